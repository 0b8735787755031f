"""Outlines of cells and units for small scales, simplified as one coverage: a border between two cells stays one line.

EPSG:3857 metres, for tiles (sql/tiles/cell_ground.sql says which level a zoom takes). Visvalingam-Whyatt over the whole
coverage (shapely.coverage_simplify, GEOS 3.12): PostGIS 3.3 has no coverage functions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray

from geoapp.database.sql_files import read_sql

Connection = psycopg.Connection[dict[str, Any]]
Shapes = NDArray[np.object_]

TOLERANCE_M: Mapping[int, float] = {1: 60.0, 2: 30.0, 3: 15.0}
"""Level to tolerance: a triangle of this side squared is dropped. Metres of EPSG:3857: under a pixel of a 512-pixel tile."""
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
    two alone and stays as it is. Nothing is done where nothing has changed.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        state = _one(connection, "state")
        if state["is_current"]:
            return Renewed(0, 0, whole=False)
        cells = _Cells.read(connection)
        whole = len(cells.shapes) == 0 or cells.missing.sum() > RENEWED_AT_ONCE * len(cells.shapes)
        wanted = np.ones(len(cells.shapes), dtype=bool) if whole else cells.touched()
        connection.execute(
            "DELETE FROM territory.cell_simplified" + ("" if whole else " WHERE cell_no = ANY (%s)"),
            None if whole else (cells.numbers[wanted].tolist(),),
        )
        for level, tolerance in TOLERANCE_M.items():
            _store_cells(connection, level, cells, wanted, cells.simplified(wanted, tolerance))
        units = _renew_units(connection)
        connection.execute(read_sql("grid/simplified_made").encode(), state)
    return Renewed(int(wanted.sum()), units, bool(whole))


@dataclass(frozen=True, slots=True)
class _Cells:
    """All cells: numbers, codes, outlines in EPSG:3857, and which lack a simplified outline."""

    numbers: NDArray[np.int64]
    codes: list[str]
    communities: list[str]
    shapes: Shapes
    missing: NDArray[np.bool_]

    @classmethod
    def read(cls, connection: Connection) -> "_Cells":
        rows = connection.execute(read_sql("grid/cells_to_simplify").encode()).fetchall()
        return cls(
            np.array([row["cell_no"] for row in rows], dtype=np.int64),
            [row["code"] for row in rows],
            [row["community_code"] for row in rows],
            shapely.from_wkb(np.array([bytes(row["shape"]) for row in rows], dtype=object)),
            np.array([row["is_missing"] for row in rows], dtype=bool),
        )

    def touched(self) -> NDArray[np.bool_]:
        """The cells that lack an outline and those that touch one of them."""
        return _with_neighbours(self.shapes, self.missing)

    def simplified(self, wanted: NDArray[np.bool_], tolerance: float) -> Shapes:
        """Simplified outlines of the wanted cells; their neighbours are looked at, too, for where borders meet."""
        around = wanted if wanted.all() else _with_neighbours(self.shapes, wanted)
        found = simplified_coverage(self.shapes[around], tolerance)
        return found[wanted[around]]


def simplified_coverage(shapes: Shapes, tolerance: float) -> Shapes:
    """The polygons of a coverage with fewer vertices, common borders still common. One that would vanish stays as it was."""
    if not len(shapes):
        return shapes
    found = shapely.coverage_simplify(shapes, tolerance)
    lost = shapely.is_empty(found) | ~shapely.is_valid(found)
    found[lost] = shapes[lost]
    return found


def _with_neighbours(shapes: Shapes, some: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`some` and all whose ground touches one of them."""
    found = some.copy()
    if some.any():
        found[np.unique(shapely.STRtree(shapes).query(shapes[some], predicate="intersects")[1])] = True
    return found


def _store_cells(
    connection: Connection, level: int, cells: _Cells, wanted: NDArray[np.bool_], shapes: Shapes
) -> None:
    with connection.cursor().copy(
        "COPY territory.cell_simplified (level, cell_no, code, community_code, geom_3857) FROM STDIN (FORMAT binary)"
    ) as copy:
        copy.set_types(["int2", "int4", "text", "text", "bytea"])
        for place, wkb in zip(np.flatnonzero(wanted), _ewkb(shapes), strict=True):
            copy.write_row(
                (level, int(cells.numbers[place]), cells.codes[place], cells.communities[place], wkb)
            )


def _renew_units(connection: Connection) -> int:
    """Outlines of all units, each from the simplified cells in it; what lies in no cell joins as it is."""
    connection.execute("DELETE FROM territory.unit_simplified")
    rows = connection.execute(read_sql("grid/units_to_simplify").encode()).fetchall()
    for level, tolerance in TOLERANCE_M.items():
        cells = connection.execute(
            "SELECT s.code, ST_AsBinary(s.geom_3857) AS shape FROM territory.cell_simplified AS s WHERE s.level = %s",
            (level,),
        ).fetchall()
        shapes = shapely.from_wkb(np.array([bytes(row["shape"]) for row in cells], dtype=object))
        codes = np.array([row["code"] for row in cells], dtype="U18")
        made = [unit_outline(row, codes, shapes, tolerance) for row in rows]
        with connection.cursor().copy(
            "COPY territory.unit_simplified (level, code, geom_3857) FROM STDIN (FORMAT binary)"
        ) as copy:
            copy.set_types(["int2", "text", "bytea"])
            for row, wkb in zip(rows, _ewkb(np.array(made, dtype=object)), strict=True):
                copy.write_row((level, row["code"], wkb))
    return len(rows)


def unit_outline(
    unit: Mapping[str, Any], codes: NDArray[np.str_], shapes: Shapes, tolerance: float
) -> shapely.Geometry:
    """The outline of a unit at a level: its cells there (`codes`, `shapes`) and its ground in no cell (`unit["bare"]`, WKB) as
    one; without cells the unit's own outline, simplified. Chinks between the two, narrower than the tolerance, are closed."""
    inside = np.char.startswith(codes, unit["prefix"]) if len(codes) else np.zeros(0, dtype=bool)
    own = shapely.from_wkb(bytes(unit["shape"]))
    if not inside.any():
        return shapely.simplify(own, tolerance)
    ground = shapely.coverage_union_all(shapes[inside])
    if unit["bare"] is not None:
        bare = shapely.from_wkb(bytes(unit["bare"]))
        # Where a simplified border has moved off the bare ground, a chink would show as a hole.
        ground = shapely.union_all([ground, bare.buffer(tolerance / 2, join_style="mitre").intersection(own)])
    return _without_chinks(ground, tolerance)


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


def _one(connection: Connection, name: str) -> dict[str, Any]:
    row = connection.execute(read_sql(f"grid/simplified_{name}").encode()).fetchone()
    assert row is not None
    return row
