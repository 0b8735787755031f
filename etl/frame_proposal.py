"""A frame proposed for a file: its points tried in each candidate, as a table that a person can judge."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table as Grid

from etl.checks.values import as_text, blank, floats
from etl.frame_candidates import Candidate, frame_candidates, verdict
from etl.ground import Ground
from etl.readers import Table
from etl.section import Section

__all__ = ["Proposal", "propose", "propose_frame"]

Floats = NDArray[np.float64]
Objects = NDArray[np.object_]
_SHOWN = 8
_FEWEST_NAMED, _LEAST_NAMED = 5, 0.02


@dataclass(frozen=True)
class Proposal:
    """The candidates, best first. `best`: the frame to declare, which `is_sure` or only likely; None where it cannot be told.

    `named_by`: the file's column that names each row's place; None where the rows were tried against the district only.
    """

    candidates: list[Candidate]
    is_sure: bool
    best: str | None
    zh: str
    en: str
    named_by: str | None

    @property
    def reason(self) -> str:
        """The verdict in a sentence, both languages."""
        return f"{self.zh} / {self.en}"

    def table(self) -> Grid:
        """The figures of the best candidates, for a terminal."""
        by = "行政区边界 district outline" if self.named_by is None else f"列 column {self.named_by}"
        likely = "不能确定 unsure" if self.best is None else f"可能 likely: {self.best}"
        sure = f"确定 sure: {self.best}" if self.is_sure else likely
        grid = Grid(
            title=f"坐标框架 frames ({escape(by)})",
            caption=f"{sure}。{escape(self.reason)}",
            caption_justify="left",
        )
        grid.add_column("框架 frame", no_wrap=True)
        for heading in (
            "在本区 in district",
            "在所填单位 in named place",
            "其余相距 others off",
            "点 points",
        ):
            grid.add_column(heading, justify="right")
        for one in self.candidates[:_SHOWN]:
            named = "" if np.isnan(one.in_named) else f"{one.in_named:.1%} / {one.named:,}"
            inside = "" if np.isnan(one.in_district) else f"{one.in_district:.1%}"
            off = f"{one.outside_m:,.0f} m" if one.outside_m else ""
            grid.add_row(escape(one.label), inside, named, off, f"{one.tested:,}")
        return grid

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "sure": self.is_sure,
            "frame": self.best,
            "reason_zh": self.zh,
            "reason_en": self.en,
            "named_by": self.named_by,
            "candidates": [one.as_json() for one in self.candidates],
        }


def propose_frame(table: Table, section: Section, ground: Ground) -> Proposal:
    """What the file of a section is in, by the columns that the manifest names, else by its geometry."""
    table = table.select(_chosen(table, section))
    columns = section.named_columns()
    if "lon" in columns and "lat" in columns and section.name != "units":
        x, y = _numbers(table, columns["lon"]), _numbers(table, columns["lat"])
    else:
        x, y = _points(table)
    return propose(table, x, y, ground, tolerance_m=getattr(section, "border_tolerance_m", 0.0))


def propose(table: Table, x: Floats, y: Floats, ground: Ground, *, tolerance_m: float = 0.0) -> Proposal:
    """What the points (file's numbers, shape (n,)) of a table's rows are in.

    The column that names towns is found; then only rows that name one of the stored towns are tried: a file may be of a
    wider area.
    """
    named_by, named = _named(table, ground)
    if named is not None:
        x = np.where(blank(named), np.nan, x)
    found = frame_candidates(x, y, named_town=named, ground=ground, tolerance_m=tolerance_m)
    said = verdict(found)
    zh, en = said.zh, said.en
    if named is None and found:
        zh += "。没有一列填了镇（街道），只能与区界相比"
        en += ". No column names a town: the points could be compared with the district's outline only"
    return Proposal(found, said.is_sure, said.frame, zh, en, named_by)


def _chosen(table: Table, section: Section) -> NDArray[np.bool_]:
    """The rows that the section's `where` takes."""
    mask = np.ones(len(table), dtype=bool)
    for column, wanted in section.where.items():
        if column in table.columns:
            mask &= (
                pd.Series(table.columns[column])
                .isin([wanted] if isinstance(wanted, str) else wanted)
                .to_numpy()
            )
    return mask


def _numbers(table: Table, column: str) -> Floats:
    found = table.numbers(column)
    return floats(as_text(table.text(column))) if found is None else found


def _points(table: Table) -> tuple[Floats, Floats]:
    """A point of each shape, in the file's numbers; NaN for none."""
    found = table.points()
    if found is not None:
        return found
    if table.geometry is None:
        return np.full(len(table), np.nan), np.full(len(table), np.nan)
    centres = shapely.centroid(table.geometry)
    return shapely.get_x(centres), shapely.get_y(centres)


def _named(table: Table, ground: Ground) -> tuple[str | None, Objects | None]:
    """The column by which most rows (some, at least) name a town with an outline: by name, or by a code that begins with
    the town's."""
    best: tuple[str | None, Objects | None] = (None, None)
    most = max(_FEWEST_NAMED, int(_LEAST_NAMED * len(table))) - 1
    for name in table.columns:
        place, words = pd.factorize(table.columns[name])
        codes = np.array([*(_town(word, ground) for word in words), None], dtype=object)[place]
        count = int((~pd.isna(codes)).sum())
        if count > most:
            best, most = (name, codes), count
    return best


def _town(word: str, ground: Ground) -> str | None:
    digits = word.replace("-", "")
    code = ground.town_code(digits[:9] if digits.isdigit() and len(digits) in (9, 12, 18) else word)
    return code if code is not None and ground.units[code].geom is not None else None
