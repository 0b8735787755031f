"""What a proposal is made from: the towns asked for, their communities, sites and lines, as the database holds them now."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray

from etl.grid_proposal.outlines import hairs_closed, shared_ground_removed
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = ["SEAM_KINDS", "Place", "Stored", "fitted_together", "towns_asked"]

SEAM_KINDS = ("motorway", "main_road", "road", "railway", "river")
"""Lines of the base map that a cell's border may follow; `water` (areas) by its shore."""

_SHARED_MOST_M2 = 10_000.0

Geometries = NDArray[np.object_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """A town or a community; outline and seat in metres of the city's zone, None where not known."""

    code: str
    name: str
    outline: shapely.Geometry | None
    seat: shapely.Point | None

    @property
    def town(self) -> str:
        """The 12-digit code of its town."""
        return self.code[:9] + "000"


@dataclass(frozen=True)
class Stored:
    """The ground of a city; geometries in metres of EPSG `srid`."""

    srid: int
    towns: list[Place]
    communities: list[Place]
    sites: Floats
    """(n, 2) metres."""
    lines: Geometries
    declared: Geometries
    cells: dict[str, shapely.Polygon]
    """Cells that are stored already, by code."""
    retired: set[str]
    """Codes that a cell once had: they are never given again."""

    @classmethod
    def read(cls, connection: psycopg.Connection[dict[str, Any]]) -> "Stored":
        """Reads everything; raises Refused where the database holds no city."""
        city = connection.execute("SELECT metric_srid FROM territory.city").fetchone()
        if city is None:
            raise Refused(
                "数据库里还没有城市 / The database holds no city yet: load its units first (geoapp load MANIFEST.yaml)."
            )
        rows = connection.execute(read_sql("grid/places").encode()).fetchall()
        places = {level: [_place(r) for r in rows if r["level"] == level] for level in ("town", "community")}
        sites = connection.execute("SELECT ST_X(geom) AS x, ST_Y(geom) AS y FROM registry.site ORDER BY id")
        lines = connection.execute(read_sql("grid/seam_lines").encode(), {"kinds": list(SEAM_KINDS)})
        cells = connection.execute(
            "SELECT code, ST_AsBinary(geom) AS wkb FROM territory.grid_cell ORDER BY code"
        )
        retired = connection.execute("SELECT DISTINCT code FROM territory.grid_cell_history")
        declared = connection.execute(
            "SELECT ST_AsBinary(geom) AS wkb FROM territory.no_cell_ground ORDER BY id"
        )
        return cls(
            srid=int(city["metric_srid"]),
            towns=places["town"],
            communities=places["community"],
            sites=np.array([(r["x"], r["y"]) for r in sites], dtype=float).reshape(-1, 2),
            lines=_shapes(lines.fetchall()),
            declared=_shapes(declared.fetchall()),
            cells={r["code"]: shapely.from_wkb(bytes(r["wkb"])) for r in cells},
            retired={r["code"] for r in retired},
        )


def _place(row: dict[str, Any]) -> Place:
    outline, seat = (None if row[k] is None else shapely.from_wkb(bytes(row[k])) for k in ("outline", "seat"))
    return Place(row["code"], row["name_zh"], outline, seat)


def _shapes(rows: list[dict[str, Any]]) -> Geometries:
    found = np.empty(len(rows), dtype=object)
    found[:] = [shapely.from_wkb(bytes(row["wkb"])) for row in rows]
    return found


def towns_asked(stored: Stored, asked: list[str]) -> list[Place]:
    """The towns named by code (9 or 12 digits) or name; all towns where none is named. Raises Refused for one that is
    not stored or has no outline."""
    if not stored.towns:
        raise Refused(
            "数据库里没有镇 / No town is stored: a grid is made inside towns. Load the `units` section first (geoapp load)."
        )
    chosen = stored.towns if not asked else [_town_named(stored, text) for text in asked]
    chosen = sorted({town.code: town for town in chosen}.values(), key=lambda town: town.code)
    bare = [town for town in chosen if town.outline is None]
    if bare:
        raise Refused(
            f"没有边界的镇：{'、'.join(t.name for t in bare)} / No outline is stored for: {', '.join(t.code for t in bare)}.\n"
            "  Load their outlines in the manifest's `units` section, or name other towns with --town."
        )
    return chosen


def fitted_together(stored: Stored, towns: list[Place]) -> tuple[list[Place], list[str]]:
    """The towns with outlines that fit to those of all others, and what was decided for that: ground that two outlines hold
    goes to the town of the lower code, a hair between outlines to the town that borders on it for longest.

    Raises Refused where two towns share more than a drawing's inaccuracy: 1 hectare.
    """
    drawn = [town for town in stored.towns if town.outline is not None]
    asked = {town.code for town in towns}
    outlines, shared = shared_ground_removed([town.outline for town in drawn])
    of_asked = [(i, j, area) for i, j, area in shared if {drawn[i].code, drawn[j].code} & asked]
    wrong = [(i, j, area) for i, j, area in of_asked if area > _SHARED_MOST_M2]
    if wrong:
        listed = "; ".join(f"{drawn[i].name} / {drawn[j].name}: {area:,.0f} m²" for i, j, area in wrong)
        raise Refused(
            f"镇界重叠 / Outlines of towns overlap: {listed}.\n  Correct the outlines and load them again."
        )
    said = [
        f"{drawn[i].name}、{drawn[j].name}: 镇界重叠 {area:,.1f} m²，归前者 / outlines overlap, the ground goes to the first"
        for i, j, area in of_asked
        if area >= 0.1
    ]
    outlines, hairs = hairs_closed(outlines.tolist())
    said += [
        f"{drawn[i].name}: 镇界之间的细缝 {area:,.1f} m² 归它 / a hair between outlines goes to it"
        for i, area in hairs
        if area >= 0.1 and drawn[i].code in asked
    ]
    fitted = {
        town.code: replace(town, outline=outline) for town, outline in zip(drawn, outlines, strict=True)
    }
    return [fitted[town.code] for town in towns], said


def _town_named(stored: Stored, text: str) -> Place:
    code = text.ljust(12, "0") if text.isdigit() and len(text) == 9 else text
    for town in stored.towns:
        if code == town.code or text == town.name:
            return town
    known = ", ".join(f"{town.code} {town.name}" for town in stored.towns[:30])
    raise Refused(f"没有这个镇：{text} / There is no town {text!r}. Stored: {known}")
