"""Coordinate frames tried on a file's own points: how many lie where their rows say, read in each frame.

A frame is sure only where the counts support it. Points are compared in pairs of frames on the same rows: only rows that
lie right in one frame and wrong in the other tell the two apart, and those of one spot (200 m) count once, since they
are right or wrong together. The best frame is sure when at least 90 % of its rows lie right and, against every other
frame, a sign test on those rows gives p < 0.001 (ten of ten, or 15 of 16). With p < 0.05 (five of five) it is likely: worth
a person's yes, not more.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.special import bdtrc

from etl.checks.values import blank
from etl.frames import parse_frame
from etl.ground import Ground
from etl.possible_frames import Reading, possible_readings
from geoapp.territory.frames import points_from_metric

__all__ = ["Candidate", "Verdict", "candidates", "frame_candidates", "verdict"]

Floats = NDArray[np.float64]
Bool = NDArray[np.bool_]
Objects = NDArray[np.object_]

LEAST_SHARE = 0.9
MOST_DOUBT = 1e-3
LIKELY_DOUBT = 0.05
_MOST_ROWS = 20_000
_SPOT_M = 200.0
# Readings that differ by less are the same for this purpose: WGS84 and CGCS2000, a zone with and without its number.
_SAME_M = 1.0
_NEAR_M = 50_000.0


@dataclass(frozen=True)
class Candidate:
    """How the points fare in one reading, or in several that read these numbers alike (`readings`, likeliest first).

    `in_district`: share of the points inside the district's outline (NaN without one); `in_named`: share inside the place
    that their row names, of the `named` rows that name a known one; `outside_m`: median distance of the misplaced points,
    metres. `right`: shape (tested,), whether each tested point lies where it should.
    """

    readings: tuple[Reading, ...]
    tested: int
    in_district: float
    named: int
    in_named: float
    outside_m: float
    right: Bool = field(repr=False)
    spot: NDArray[np.int64] = field(repr=False)

    @property
    def label(self) -> str:
        """As people read it: `wgs84 / cgcs2000`."""
        return " / ".join(reading.label for reading in self.readings)

    @property
    def share(self) -> float:
        """Share of the points that lie where they should."""
        return float(self.right.mean()) if self.tested else 0.0

    def as_json(self) -> dict[str, Any]:
        """The figures, without the rows."""
        return {
            "frame": self.label,
            "tested": self.tested,
            "right": round(self.share, 4),
            "in_district": None if np.isnan(self.in_district) else round(self.in_district, 4),
            "named": self.named,
            "in_named": None if np.isnan(self.in_named) else round(self.in_named, 4),
            "outside_m": round(self.outside_m, 1),
        }


@dataclass(frozen=True)
class Verdict:
    """The frame to declare, `sure` or only likely (None: it cannot be told), with the reason in both languages."""

    is_sure: bool
    frame: str | None
    zh: str
    en: str


def frame_candidates(
    x: Floats,
    y: Floats,
    *,
    named_town: Objects | None = None,
    named_district: Objects | None = None,
    ground: Ground,
    tolerance_m: float = 0.0,
) -> list[Candidate]:
    """The candidates for a file of the city on `ground`, best first; [] where no outline is stored or no point is given.

    x, y: the file's own numbers, shape (n,). `named_town`, `named_district`: the words by which rows name a town (code or
    name) or a district, None for a blank; the town counts where both are given.
    """
    present = {code: unit for code, unit in ground.units.items() if not unit.is_retired}
    outlines = {code: unit.geom for code, unit in present.items() if unit.geom is not None}
    words = {unit.name: code for code, unit in present.items() if code in outlines}
    named = np.full(len(x), None, dtype=object)
    for given in (named_district, named_town):
        if given is not None:
            place, said = pd.factorize(given)
            codes = [ground.town_code(word) or words.get(word) or word for word in said]
            found = np.array([*(code if code in outlines else None for code in codes), None], dtype=object)[
                place
            ]
            named = np.where(blank(found), named, found)
    return candidates(
        x,
        y,
        srid=ground.srid,
        district=ground.district,
        places=outlines,
        named=named,
        tolerance_m=tolerance_m,
    )


def candidates(
    x: Floats,
    y: Floats,
    *,
    srid: int,
    district: shapely.Geometry | None,
    places: Mapping[str, shapely.Geometry],
    named: Objects | None = None,
    tolerance_m: float = 0.0,
) -> list[Candidate]:
    """The candidates, best first, for points (file's numbers, shape (n,)) against outlines in metres of EPSG:`srid`.

    `named`: for each row the key of `places` that it should lie in, or None: then the district. Without a `district`,
    rows that name no place are not tested. At most 20,000 rows, evenly taken.
    """
    named = np.full(len(x), None, dtype=object) if named is None else named
    rows = _rows_to_test(x, y, named, places, has_district=district is not None)
    if not len(rows):
        return []
    x, y, named = x[rows], y[rows], named[rows]
    grown = {key: _grown(places[key], tolerance_m) for key in set(named) - {None}}
    outline = None if district is None else _grown(district, tolerance_m)
    whole = shapely.box(*shapely.total_bounds([*grown.values(), *([outline] if outline else [])]))
    lon = _longitude(whole, srid)
    groups: list[tuple[list[Reading], Floats, Floats]] = []
    for reading in possible_readings(srid, lon, float(np.median(x)), float(np.median(y))):
        east, north = reading.places(x, y, srid)
        if not _is_near(whole, east, north):
            continue
        for readings, e, n in groups:
            if np.nanmax(np.hypot(east - e, north - n), initial=0) < _SAME_M:
                readings.append(reading)
                break
        else:
            groups.append(([reading], east, north))
    found = [_fares(tuple(r), e, n, named, grown, outline) for r, e, n in groups]
    return sorted(found, key=lambda c: (-c.right.sum(), any(r.swapped for r in c.readings), c.outside_m))


def _rows_to_test(
    x: Floats, y: Floats, named: Objects, places: Mapping[str, shapely.Geometry], *, has_district: bool
) -> NDArray[np.int64]:
    usable = np.isfinite(x) & np.isfinite(y) & ~((x == 0) & (y == 0))
    if not has_district:
        usable &= np.fromiter((key in places for key in named), dtype=bool, count=len(named))
    rows = np.flatnonzero(usable)
    return rows[:: max(1, -(-len(rows) // _MOST_ROWS))]


def _grown(outline: shapely.Geometry, tolerance_m: float) -> shapely.Geometry:
    grown = outline.buffer(tolerance_m) if tolerance_m else outline
    shapely.prepare(grown)
    return grown


def _longitude(outline: shapely.Geometry, srid: int) -> float:
    middle = outline.centroid
    lon, _ = points_from_metric(np.array([middle.x]), np.array([middle.y]), parse_frame("wgs84"), srid)
    return float(lon[0])


def _is_near(outline: shapely.Geometry, east: Floats, north: Floats) -> bool:
    """Whether the middle of the points lies within 50 km of the outline."""
    known = np.isfinite(east)
    if not known.any():
        return False
    middle = shapely.points(np.median(east[known]), np.median(north[known]))
    return bool(shapely.dwithin(outline, middle, _NEAR_M))


def _fares(
    readings: tuple[Reading, ...],
    east: Floats,
    north: Floats,
    named: Objects,
    places: Mapping[str, shapely.Geometry],
    district: shapely.Geometry | None,
) -> Candidate:
    in_district = np.zeros(len(east), dtype=bool)
    if district is not None:
        in_district = shapely.intersects_xy(district, east, north)
    right, metres = in_district.copy(), np.full(len(east), np.nan)
    names = ~blank(named)
    for key, outline in places.items():
        rows = np.flatnonzero(named == key)
        right[rows] = shapely.intersects_xy(outline, east[rows], north[rows])
        _measure(metres, rows[~right[rows]], east, north, outline)
    if district is not None:
        _measure(metres, np.flatnonzero(~names & ~right), east, north, district)
    wrong = metres[np.isfinite(metres)]
    return Candidate(
        readings=readings,
        tested=len(east),
        in_district=float(in_district.mean()) if district is not None else float("nan"),
        named=int(names.sum()),
        in_named=float(right[names].mean()) if names.any() else float("nan"),
        outside_m=float(np.median(wrong)) if len(wrong) else 0.0,
        right=right,
        spot=_spots(east, north),
    )


def _measure(
    metres: Floats, rows: NDArray[np.int64], east: Floats, north: Floats, outline: shapely.Geometry
) -> None:
    rows = rows[np.isfinite(east[rows])][:500]  # a median needs no more
    metres[rows] = shapely.distance(shapely.points(east[rows], north[rows]), outline)


def _spots(east: Floats, north: Floats) -> NDArray[np.int64]:
    """A number for the 200 m square that each point lies in; -1 for no place."""
    with np.errstate(invalid="ignore"):
        square = np.floor(east / _SPOT_M) * 1e6 + np.floor(north / _SPOT_M)
    return np.asarray(pd.factorize(square)[0], dtype=np.int64)


def verdict(found: list[Candidate]) -> Verdict:
    """Whether the best candidate is sure, by the rule at the head of this file, and why not where it is not."""
    if not found:
        return Verdict(
            False,
            None,
            "没有可比的边界，或没有一种框架能把点带到本区附近",
            "there is no outline to compare with, or no frame brings the points near the district",
        )
    best, rivals = found[0], found[1:]
    share = f"{best.share:.1%}"
    if best.share < LEAST_SHARE:
        return Verdict(
            False,
            None,
            f"最好的 {best.label} 也只有 {share} 的点在应在的地方，要到 {LEAST_SHARE:.0%} 才算数",
            f"even in the best, {best.label}, only {share} of the points lie where they should; {LEAST_SHARE:.0%} are asked for",
        )
    tested = [(rival, *_apart(best, rival)) for rival in rivals]
    doubts = [(float(bdtrc(pro - 1, pro + contra, 0.5)), rival, pro, contra) for rival, pro, contra in tested]
    doubt, rival, pro, contra = max(doubts, key=lambda one: one[0], default=(0.0, best, 0, 0))
    said = (
        f"{best.label} 与 {rival.label} 只在 {pro + contra} 处不同（{pro} 处支持前者，{contra} 处支持后者）",
        f"{best.label} and {rival.label} differ in {pro + contra} spot(s) only ({pro} for the former, {contra} for the latter)",
    )
    if doubt >= LIKELY_DOUBT:
        return Verdict(
            False,
            None,
            f"{said[0]}，不够下结论；只有靠近边界的点能区分框架",
            f"{said[1]}: too few to say; only points near a border tell frames apart",
        )
    declarable = next((r.name for r in best.readings if r.can_be_declared), None)
    if declarable is None:
        return Verdict(
            False,
            None,
            f"点是 {best.label}：两列对调了，或框架不能声明；请在清单里交换 lon 与 lat 两列，或请提供方重新导出",
            f"the points are {best.label}: exchange the columns for lon and lat in the manifest, or have the file exported again",
        )
    if doubt >= MOST_DOUBT:
        return Verdict(
            False,
            declarable,
            f"像是 {declarable}，但不确定：{said[0]}；碰巧如此的可能为 {doubt:.1%}",
            f"it looks like {declarable}, which is not sure: {said[1]}; by chance that happens in {doubt:.1%} of such files",
        )
    zh = f"{share} 的点在应在的地方；与其他每一种框架都有足够多的点不同"
    en = f"{share} of the points lie where they should, and enough spots tell it from every other frame"
    if declarable.startswith("epsg:"):
        zh += "。西安 80、北京 54 的数字与此相似、相差约 10 至 100 米，这里分不出来：请问数据来源"
        en += (
            ". Xi'an 1980 and Beijing 1954 have numbers of the same look, some 10 to 100 m off, which outlines cannot tell: "
            "ask where the file comes from"
        )
    return Verdict(True, declarable, zh, en)


def _apart(best: Candidate, rival: Candidate) -> tuple[int, int]:
    """Spots that speak for the best and for the rival: rows that are right in one and wrong in the other."""
    return (
        len(np.unique(best.spot[best.right & ~rival.right])),
        len(np.unique(best.spot[rival.right & ~best.right])),
    )
