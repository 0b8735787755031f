"""What became of one file of a manifest."""

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["SectionResult"]


@dataclass
class SectionResult:
    """Counts and reasons of one file. rows_in = stored + unchanged + repaired + rejected, always.

    `stored` are the rows that are new or changed and needed no repair; `new`, `changed` count the same rows and the
    repaired ones by what they are to the register; `moved` (more than 5 m) are among `changed`; `gone` are stored rows
    that an earlier version of this file brought and this one does not hold. `difference`: examples of each.
    `rejected_rows` and `repaired_rows` list the first ones; all of them are in staging.
    """

    section: str
    file: str
    batch_id: int
    rows_in: int = 0
    stored: int = 0
    unchanged: int = 0
    repaired: int = 0
    rejected: int = 0
    warned: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    gone: int = 0
    not_selected: int = 0
    encoding: str | None = None
    evidence: str = ""
    frame: str | None = None
    frame_from: str = ""
    unused_columns: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    difference: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    rejected_rows: list[dict[str, Any]] = field(default_factory=list)
    repaired_rows: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)
