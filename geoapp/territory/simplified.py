"""Outlines of cells and units for small scales, simplified as one coverage: a border between two cells stays one line.

EPSG:3857 metres, for tiles (sql/tiles/cell_ground.sql says which level a zoom takes). Visvalingam-Whyatt over the whole
coverage (shapely.coverage_simplify, GEOS 3.12): PostGIS 3.3 has no coverage functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray

from geoapp.database.sql_files import read_sql

Connection = psycopg.Connection[dict[str, Any]]
Shapes = NDArray[np.object_]

TOLERANCE_M: Mapping[int, float] = {1: 120.0, 2: 60.0, 3: 30.0}
"""Level to tolerance: a triangle of this side squared is dropped. Metres of EPSG:3857: a long border moves by about a pixel of a
512-pixel tile."""
RENEWED_AT_ONCE = 0.2
"""Above this share of changed cells all are made again: no slower, and no border depends on the order of edits."""
# Two processes that renew together would do the same work twice; any constant that nothing else locks.
_LOCK = 748_116_330


@dataclass(frozen=True, slots=True)
class Renewed:
    """What was done: cells whose outlines were made anew, units, and whether all of them were."""

    cells: int
    units: int
    whole: bool


def renew_simplified(connection: Connection) -> Renewed:
    """Makes what is missing in territory.cell_simplified and unit_simplified, in the connection's transaction, as the owner.

    After an edit only cells that changed and those that touch them are made again: a border of two others follows from these
    two alone and stays as it is; and only units that hold some of them. Nothing is done where nothing has changed.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        state = connection.execute(read_sql("grid/simplified_state").encode()).fetchone()
        assert state is not None
        if state["is_current"]:
            return Renewed(0, 0, whole=False)
        whole = bool(state["missing"] > RENEWED_AT_ONCE * state["cells"])
        cells = _Cells.read(connection, whole=whole)
        connection.execute(
            "DELETE FROM territory.cell_simplified" + ("" if whole else " WHERE cell_no = ANY (%s)"),
            None if whole else ([int(n) for n in cells.numbers[cells.wanted]],),
        )
        for level, tolerance in TOLERANCE_M.items():
            _store_cells(connection, level, cells, simplified_coverage(cells.shapes, tolerance)[cells.wanted])
        # A cell that is gone without another in its place leaves its community without a row here.
        units = _renew_units(
            connection, cells, every=whole or state["has_new_ground"] or not cells.wanted.any()
        )
        connection.execute(read_sql("grid/simplified_made").encode(), state)
    return Renewed(int(cells.wanted.sum()), units, whole)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells to be looked at: numbers, codes, outlines in EPSG:3857, and which are to be made again."""

    numbers: NDArray[np.int64]
    codes: list[str]
    communities: list[str]
    shapes: Shapes
    wanted: NDArray[np.bool_]

    @classmethod
    def read(cls, connection: Connection, *, whole: bool) -> "_Cells":
        query = read_sql("grid/cells_to_simplify")
        rows = connection.execute(query.encode(), {"whole": whole}).fetchall()
        return cls(
            np.array([row["cell_no"] for row in rows], dtype=np.int64),
            [row["code"] for row in rows],
            [row["community_code"] for row in rows],
            _shapes(rows),
            np.array([row["is_wanted"] for row in rows], dtype=bool),
        )


def simplified_coverage(shapes: Shapes, tolerance: float) -> Shapes:
    """The polygons of a coverage with fewer vertices, common borders still common. One that would vanish stays as it was."""
    if not len(shapes):
        return shapes
    found = shapely.coverage_simplify(shapes, tolerance)
    lost = shapely.is_empty(found) | ~shapely.is_valid(found)
    found[lost] = shapes[lost]
    return found


def _store_cells(connection: Connection, level: int, cells: _Cells, shapes: Shapes) -> None:
    with connection.cursor().copy(
        "COPY territory.cell_simplified (level, cell_no, code, community_code, geom_3857) FROM STDIN (FORMAT binary)"
    ) as copy:
        copy.set_types(["int2", "int4", "text", "text", "bytea"])
        for place, wkb in zip(np.flatnonzero(cells.wanted), _ewkb(shapes), strict=True):
            copy.write_row(
                (level, int(cells.numbers[place]), cells.codes[place], cells.communities[place], wkb)
            )


def _renew_units(connection: Connection, cells: _Cells, *, every: bool) -> int:
    """Outlines of the units that hold a wanted cell, or of `every` one; towns before the county that is put together from them."""
    held = sorted({cells.communities[place] for place in np.flatnonzero(cells.wanted)})
    query = read_sql("grid/units_to_simplify")
    units = connection.execute(query.encode(), {"all": every, "communities": held}).fetchall()
    if every:
        connection.execute("DELETE FROM territory.unit_simplified")
    for level, tolerance in TOLERANCE_M.items():
        for unit in units:
            asked = {
                "level": level,
                "level_of_unit": unit["level"],
                "code": unit["code"],
                "prefix": unit["prefix"],
            }
            parts = connection.execute(read_sql("grid/simplified_parts").encode(), asked).fetchall()
            shape = unit_outline(unit, _shapes(parts), tolerance)
            connection.execute(
                "INSERT INTO territory.unit_simplified AS s (level, code, geom_3857) VALUES (%s, %s, %s::bytea::geometry)"
                " ON CONFLICT (level, code) DO UPDATE SET geom_3857 = excluded.geom_3857",
                (level, unit["code"], _ewkb(np.array([shape], dtype=object))[0]),
            )
    return len(units)


def unit_outline(unit: Mapping[str, Any], parts: Shapes, tolerance: float) -> shapely.Geometry:
    """The outline of a unit: its parts at a level and its ground in no cell (`unit["bare"]`, WKB) as one; without parts the unit's
    own outline (`unit["shape"]`), simplified. Chinks between the two, narrower than the tolerance, are closed."""
    own = shapely.from_wkb(bytes(unit["shape"]))
    if not len(parts):
        return shapely.simplify(own, tolerance)
    ground = shapely.coverage_union_all(parts)
    if unit["bare"] is not None:
        bare = shapely.from_wkb(bytes(unit["bare"]))
        # Where a simplified border has moved off the bare ground, a chink would show as a hole.
        ground = shapely.union_all([ground, bare.buffer(tolerance / 2, join_style="mitre").intersection(own)])
    return _without_chinks(ground, tolerance)


def _shapes(rows: Sequence[Mapping[str, Any]]) -> Shapes:
    found: Shapes = shapely.from_wkb(np.array([bytes(row["shape"]) for row in rows], dtype=object))
    return found


def _without_chinks(ground: shapely.Geometry, tolerance: float) -> shapely.Geometry:
    """Without holes that no pixel would show; real holes stay."""
    parts = []
    for part in shapely.get_parts(ground):
        rings = [ring for ring in part.interiors if shapely.Polygon(ring).area > tolerance**2]
        parts.append(shapely.Polygon(part.exterior, rings))
    return shapely.multipolygons(parts)


def _ewkb(shapes: Shapes) -> list[bytes]:
    found: list[bytes] = shapely.to_wkb(shapely.set_srid(shapes, 3857), include_srid=True).tolist()
    return found
