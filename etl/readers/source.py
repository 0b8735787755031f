"""An opened file: what it says about itself, and its rows a stretch at a time."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyproj
from numpy.typing import NDArray

from etl.readers.table import Table
from etl.readers.text import clean
from geoapp.errors import Refused

__all__ = ["CHUNK_ROWS", "Source", "clean_names", "refuse_too_wide"]

CHUNK_ROWS = 65_536
_MOST_COLUMNS = 4_096


@dataclass
class Source:
    """An opened file; a context manager.

    `name`: as people are told it. `column_names`: attribute columns, cleaned, in order, each once; `repeated` those
    that the file has more than once. `rows`: where the format says it cheaply. `crs`: only where the file itself
    says it. `notices` may grow while rows are read.
    """

    path: Path
    name: str
    read: Callable[["Source", int], Iterator[Table]] = field(repr=False)
    column_names: list[str] = field(default_factory=list)
    repeated: frozenset[str] = frozenset()
    rows: int | None = None
    has_geometry: bool = False
    crs: pyproj.CRS | None = None
    crs_from: str = ""
    encoding: str | None = None
    evidence: str = ""
    notices: list[str] = field(default_factory=list)
    closing: ExitStack = field(default_factory=ExitStack, repr=False)

    def chunks(self, size: int = CHUNK_ROWS) -> Iterator[Table]:
        """The rows in order, at most `size` at a time; one empty table where there are none.

        Raises Refused where the file turns out to be damaged so that rows would be missing.
        """
        is_empty = True
        try:
            for table in self.read(self, size):
                if len(table) or is_empty:
                    is_empty = False
                    yield table
        except (OSError, pa.ArrowException, MemoryError) as fault:
            said = " ".join(str(fault).split())[:300]
            raise Refused(
                f"{self.name}: 读到一半出错 / is damaged, reading it stopped: {said}. Export or copy it again."
            ) from None
        if is_empty:
            nothing = {name: pa.array([], type=pa.string()) for name in self.column_names}
            shapes = pa.array([], type=pa.binary()) if self.has_geometry else None
            yield self.table(nothing, np.zeros(0, dtype=np.int64), shapes)

    def table(
        self,
        held: Mapping[str, pa.Array],
        row_no: NDArray[np.int64],
        shapes: Any = None,
        marked: Mapping[int, tuple[str, str]] | None = None,
    ) -> Table:
        """A stretch of this file's rows."""
        return Table(
            path=self.path,
            held=held,
            row_no=row_no,
            shapes=shapes,
            crs=self.crs,
            crs_from=self.crs_from,
            encoding=self.encoding,
            evidence=self.evidence,
            notices=tuple(self.notices),
            repeated=self.repeated,
            marked=marked or {},
        )

    def close(self) -> None:
        self.closing.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def clean_names(header: Iterable[str | None]) -> tuple[list[str], frozenset[str]]:
    """Column names without blanks around them (`column_3` for a nameless one), and those that come more than once."""
    names = [(clean(name or "") or f"column_{number}") for number, name in enumerate(header, start=1)]
    return names, frozenset(name for name, times in Counter(names).items() if times > 1)


def refuse_too_wide(name: str, columns: int) -> None:
    """Raises Refused for a table of so many columns that it cannot be one of records."""
    if columns > _MOST_COLUMNS:
        raise Refused(
            f"{name}: 有 {columns} 列 / has {columns} columns, more than {_MOST_COLUMNS}: it is not a table of one record a row; "
            "look at its separator, or turn rows and columns round."
        )
