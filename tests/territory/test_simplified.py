"""Simplified outlines: fewer vertices, no crack, the same after an edit as if all had been made again, and used while true."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from clones import clone, drop
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.wavy_grid import wavy_grid
from geoapp.access.accounts import add_account
from geoapp.database.cluster import DATABASE, PrivateCluster
from geoapp.database.connection import connect
from geoapp.territory.simplified import TOLERANCE_M, renew_simplified, simplified_coverage

Connection = psycopg.Connection[dict[str, Any]]
SIDE = 8
TOWNS = ("310116101", "310116102")
# Where the 8 x 8 wavy cells of 200 m stand in the zone, metres.
EAST, NORTH = 620_000, 3_400_000


def cells_of_a_grid(seed: int = 1) -> NDArray[np.object_]:
    return np.asarray(
        shapely.transform(
            wavy_grid(SIDE, np.random.default_rng(seed)), lambda xy: xy + np.array([EAST, NORTH])
        )
    )


@pytest.fixture(scope="module")
def the_grid(cluster: PrivateCluster) -> Iterator[Connection]:
    """Two towns, west and east, whose outlines are their cells'."""
    name = clone(cluster, DATABASE)
    cells = cells_of_a_grid()
    west = np.array([n % SIDE < SIDE // 2 for n in range(len(cells))])
    try:
        with connect(cluster.url(name), autocommit=True) as connection:
            run = connection.execute
            run(
                "INSERT INTO territory.city (name_zh, name_en, code, metric_srid) VALUES ('城', 'City', '310116', 4549)"
            )
            county = shapely.coverage_union_all(cells)
            units = [("310116000000", "county", None, county)]
            units += [(f"{t}000", "town", "310116000000", shapely.coverage_union_all(cells[side]))
                      for t, side in zip(TOWNS, (west, ~west), strict=True)]  # fmt: skip
            units += [(f"{t}001", "community", f"{t}000", None) for t in TOWNS]
            for code, level, parent, shape in units:
                run(
                    "INSERT INTO territory.unit (code, level, parent_code, name_zh, geom) VALUES"
                    " (%s, %s, %s, %s, ST_Multi(ST_SetSRID(ST_GeomFromWKB(%s), 4549)))",
                    (code, level, parent, code, None if shape is None else shapely.to_wkb(shape)),
                )
            for n, cell in enumerate(cells):
                add_cell(connection, TOWNS[0 if west[n] else 1], n + 1, cell)
            yield connection
    finally:
        drop(cluster, name)


@pytest.fixture
def grid(the_grid: Connection) -> Iterator[Connection]:
    with the_grid.transaction(force_rollback=True):
        yield the_grid


def add_cell(connection: Connection, town: str, number: int, shape: shapely.Geometry) -> None:
    connection.execute(
        "INSERT INTO territory.grid_cell (code, community_code, geom) VALUES (%s, %s, ST_SetSRID(ST_GeomFromWKB(%s), 4549))",
        (f"{town}0011{number:03d}00", f"{town}001", shapely.to_wkb(shape)),
    )


def stored(connection: Connection, level: int) -> dict[int, shapely.Geometry]:
    rows = connection.execute(
        "SELECT cell_no, ST_AsBinary(geom_3857) AS g FROM territory.cell_simplified WHERE level = %s",
        (level,),
    ).fetchall()
    return {r["cell_no"]: shapely.from_wkb(bytes(r["g"])) for r in rows}


def full(connection: Connection) -> dict[int, shapely.Geometry]:
    rows = connection.execute(
        "SELECT cell_no, ST_AsBinary(geom_3857) AS g FROM territory.grid_cell"
    ).fetchall()
    return {r["cell_no"]: shapely.from_wkb(bytes(r["g"])) for r in rows}


def fits(shapes: dict[int, shapely.Geometry]) -> bool:
    return bool(shapely.coverage_is_valid(np.array(list(shapes.values()), dtype=object)))


def split(connection: Connection, cell_no: int) -> None:
    """A cell becomes two, along a line through its middle: the new corners lie on its neighbours' borders, too."""
    row = connection.execute(
        "SELECT code, ST_AsBinary(geom) AS g FROM territory.grid_cell WHERE cell_no = %s", (cell_no,)
    ).fetchone()
    assert row is not None
    ring = shapely.get_coordinates(shapely.from_wkb(bytes(row["g"])))[:-1]
    half = len(ring) // 2
    parts = (shapely.Polygon(ring[: half + 1]), shapely.Polygon(np.concatenate([ring[half:], ring[:1]])))
    connection.execute("DELETE FROM territory.grid_cell WHERE cell_no = %s", (cell_no,))
    for n, part in enumerate(parts):
        connection.execute(
            "INSERT INTO territory.grid_cell (code, community_code, geom) VALUES (%s, %s, ST_SetSRID(ST_GeomFromWKB(%s), 4549))",
            (f"{row['code'][:16]}{n + 1:02d}", row["code"][:12], shapely.to_wkb(part)),
        )


def outlines(connection: Connection, level: int) -> dict[str, shapely.Geometry]:
    rows = connection.execute(
        "SELECT code, ST_AsBinary(geom_3857) AS g FROM territory.unit_simplified WHERE level = %s", (level,)
    ).fetchall()
    return {r["code"]: shapely.from_wkb(bytes(r["g"])) for r in rows}


def test_fewer_vertices_no_crack_and_towns_of_their_cells(grid: Connection) -> None:
    assert renew_simplified(grid).whole
    assert renew_simplified(grid).cells == 0, "nothing has changed"
    before = full(grid)
    assert fits(before)
    vertices = {0: shapely.get_num_coordinates(np.array(list(before.values()), dtype=object)).sum()}
    for level in TOLERANCE_M:
        cells = stored(grid, level)
        assert set(cells) == set(before)
        assert fits(cells), "common borders are common"
        vertices[level] = shapely.get_num_coordinates(np.array(list(cells.values()), dtype=object)).sum()
        # No border moves further than the eye sees at this scale.
        worst = max(shapely.hausdorff_distance(cells[n].boundary, before[n].boundary) for n in cells)
        assert worst < 2 * TOLERANCE_M[level]
        towns = outlines(grid, level)
        assert set(towns) == {"310116000000", *(f"{t}000" for t in TOWNS)}
        communities = {
            r["cell_no"]: r["code"][:9] for r in grid.execute("SELECT cell_no, code FROM territory.grid_cell")
        }
        for town in TOWNS:
            own = shapely.coverage_union_all(
                np.array([g for n, g in cells.items() if communities[n] == town], dtype=object)
            )
            assert shapely.equals(own, towns[f"{town}000"])
        pair = np.array([towns[f"{t}000"] for t in TOWNS], dtype=object)
        assert shapely.coverage_is_valid(pair)
        assert shapely.equals(towns["310116000000"], shapely.coverage_union_all(pair))
    assert vertices[1] <= vertices[2] <= vertices[3] < vertices[0]


def test_after_an_edit_only_what_touches_it_is_made_again(grid: Connection) -> None:
    renew_simplified(grid)
    before = {level: stored(grid, level) for level in TOLERANCE_M}
    [row] = grid.execute(
        "SELECT cell_no FROM territory.grid_cell ORDER BY cell_no OFFSET 27 LIMIT 1"
    ).fetchall()
    split(grid, row["cell_no"])
    assert row["cell_no"] not in stored(grid, 1), "a cell that is gone is not drawn"
    done = renew_simplified(grid)
    assert not done.whole
    assert done.cells == 10, "two new ones and their eight neighbours"
    assert done.units == 3, "both towns that they are in, and the county"
    for level in TOLERANCE_M:
        after = stored(grid, level)
        assert fits(after)
        new = set(after) - set(before[level])
        touched = {n for n in after if any(shapely.intersects(full(grid)[n], full(grid)[m]) for m in new)}
        same = [n for n in after if n not in touched]
        assert len(same) == SIDE * SIDE - 9
        assert all(shapely.equals_exact(after[n], before[level][n]) for n in same)
    # The same as if all had been made at once.
    step = {level: stored(grid, level) for level in TOLERANCE_M}
    grid.execute("DELETE FROM territory.cell_simplified")
    grid.execute("DELETE FROM territory.simplified_made_from")
    assert renew_simplified(grid).whole
    for level in TOLERANCE_M:
        once = stored(grid, level)
        assert all(shapely.equals(once[n], step[level][n]) for n in once)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, SIDE * SIDE - 1), min_size=1, max_size=4, unique=True))
def test_any_edits_leave_a_whole_coverage(the_grid: Connection, places: list[int]) -> None:
    with the_grid.transaction(force_rollback=True):
        renew_simplified(the_grid)
        numbers = [
            r["cell_no"] for r in the_grid.execute("SELECT cell_no FROM territory.grid_cell ORDER BY cell_no")
        ]
        for place in places:
            split(the_grid, numbers[place])
            renew_simplified(the_grid)
        for level in TOLERANCE_M:
            cells = stored(the_grid, level)
            assert set(cells) == set(full(the_grid))
            assert fits(cells)


def drawn(connection: Connection, z: int) -> dict[int, str]:
    """Shapes of the cells that a tile of the zoom would draw, by number."""
    rows = connection.execute(
        """
        SELECT DISTINCT k.cell_no, md5(ST_AsBinary(k.geom_3857)) AS shape
        FROM (
            SELECT ST_XMin(b.g) AS west, ST_YMax(b.g) AS north FROM (
                SELECT ST_Transform(ST_SetSRID(ST_Extent(geom_3857)::geometry, 3857), 4326) AS g FROM territory.grid_cell
            ) AS b
        ) AS e
        CROSS JOIN LATERAL (SELECT floor((e.west + 180) / 360 * 2 ^ %(z)s)::integer AS x,
            floor((1 - asinh(tand(e.north)) / pi()) / 2 * 2 ^ %(z)s)::integer AS y) AS t
        CROSS JOIN generate_series(-1, 2) AS dx CROSS JOIN generate_series(-1, 2) AS dy
        CROSS JOIN LATERAL tiles.cell_ground(%(z)s, t.x + dx, t.y + dy) AS k
        """,
        {"z": z},
    ).fetchall()
    return {r["cell_no"]: r["shape"] for r in rows}


def md5s(connection: Connection, table: str) -> dict[int, str]:
    rows = connection.execute(
        f"SELECT cell_no, md5(ST_AsBinary(geom_3857)) AS shape FROM {table}".encode()
    ).fetchall()
    return {r["cell_no"]: r["shape"] for r in rows}


def test_tiles_take_the_simplified_outline_while_it_is_true(grid: Connection) -> None:
    whole = md5s(grid, "territory.grid_cell")
    assert drawn(grid, 11) == whole, "not made yet"
    renew_simplified(grid)
    assert drawn(grid, 13) == whole
    for z, level in ((9, 1), (10, 1), (11, 2), (12, 3)):
        assert drawn(grid, z) == md5s(grid, f"territory.cell_simplified WHERE level = {level}"), z
    # A name is no shape: all stay simplified. A moved cell is drawn as it is, the others as they were.
    grid.execute("UPDATE territory.grid_cell SET name_zh = '甲' WHERE cell_no % 2 = 0")
    assert drawn(grid, 11) == md5s(grid, "territory.cell_simplified WHERE level = 2")
    grid.execute(
        "UPDATE territory.grid_cell SET geom = ST_Translate(geom, 1, 1) WHERE cell_no = (SELECT min(cell_no) FROM territory.grid_cell)"
    )
    now, moved = drawn(grid, 11), min(whole)
    assert now[moved] == md5s(grid, "territory.grid_cell")[moved] != whole[moved]
    assert len(now) == len(whole)
    renew_simplified(grid)
    assert drawn(grid, 11) == md5s(grid, "territory.cell_simplified WHERE level = 2")


def test_a_town_reads_its_own_outlines_only(grid: Connection) -> None:
    renew_simplified(grid)
    add_account(grid, "town_b", "乙", ["analyst"], areas=[f"{TOWNS[1]}000"])
    role = grid.execute("SELECT db_role FROM access.account WHERE login = 'town_b'").fetchone()
    assert role is not None
    grid.execute(f"SET LOCAL ROLE {role['db_role']}".encode())
    towns = {r["town_code"] for r in grid.execute("SELECT town_code FROM territory.cell_simplified")}
    units = {r["code"] for r in grid.execute("SELECT code FROM territory.unit_simplified")}
    grid.execute("SET LOCAL ROLE NONE")
    assert towns == {f"{TOWNS[1]}000"}
    assert f"{TOWNS[0]}000" not in units


def test_single_cells_islands_and_holes() -> None:
    """Nothing vanishes, nothing breaks: one cell, an island in a hole, two apart, one with a hole, none at all."""
    square = shapely.box(0, 0, 1000, 1000)
    island = shapely.Point(500, 500).buffer(200)
    ring = square.difference(island)
    tiny = shapely.box(5000, 5000, 5003, 5003)
    for shapes in (
        [square],
        [ring, island],
        [square, shapely.box(3000, 0, 4000, 1000)],
        [ring],
        [tiny],
        [square, tiny],
    ):
        given_ = np.array(shapes, dtype=object)
        for tolerance in TOLERANCE_M.values():
            found = simplified_coverage(given_.copy(), tolerance)
            assert len(found) == len(shapes)
            assert not shapely.is_empty(found).any()
            assert shapely.is_valid(found).all()
            assert shapely.coverage_is_valid(found)
            assert shapely.area(found).sum() == pytest.approx(
                shapely.area(given_).sum(), rel=0.02, abs=4 * tolerance**2
            )
    assert len(simplified_coverage(np.array([], dtype=object), 60.0)) == 0


def test_a_town_with_an_island_keeps_it_and_bare_ground_leaves_no_chink(grid: Connection) -> None:
    """A hole in the grid is the town's ground all the same; an island of it is a part of its outline."""
    [row] = grid.execute(
        "SELECT cell_no FROM territory.grid_cell ORDER BY cell_no OFFSET 9 LIMIT 1"
    ).fetchall()
    grid.execute("DELETE FROM territory.grid_cell WHERE cell_no = %s", (row["cell_no"],))
    island = shapely.box(EAST - 3000, NORTH, EAST - 2500, NORTH + 500)
    grid.execute(
        "UPDATE territory.unit SET geom = ST_Multi(ST_Union(geom, ST_SetSRID(ST_GeomFromWKB(%s), 4549))) WHERE code = %s",
        (shapely.to_wkb(island), f"{TOWNS[0]}000"),
    )
    add_cell(grid, TOWNS[0], 900, island)
    grid.execute("SELECT analysis.refresh_no_cell()")
    assert grid.execute("SELECT count(*) AS n FROM territory.no_cell_piece").fetchone() == {"n": 1}
    renew_simplified(grid)
    for level in TOLERANCE_M:
        town = outlines(grid, level)[f"{TOWNS[0]}000"]
        assert shapely.is_valid(town)
        assert shapely.get_num_geometries(town) == 2
        assert sum(shapely.get_num_interior_rings(part) for part in shapely.get_parts(town)) == 0


def test_refresh_says_what_it_did(grid: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """`geoapp layers refresh`."""
    from contextlib import contextmanager

    from typer.testing import CliRunner

    from layers import commands

    class Held:
        """The test's transaction is rolled back, so nothing in it is committed."""

        def __getattr__(self, name: str) -> Any:
            return (lambda: None) if name == "commit" else getattr(grid, name)

    @contextmanager
    def held() -> Iterator[Any]:
        yield Held()

    monkeypatch.setattr(commands, "connect", held)
    said = json.loads(CliRunner().invoke(commands.app, ["refresh", "--json"]).stdout)
    assert (said["simplified_cells"], said["simplified_units"]) == (SIDE * SIDE, 3)
    again = json.loads(CliRunner().invoke(commands.app, ["refresh", "--json"]).stdout)
    assert (again["simplified_cells"], again["simplified_units"]) == (0, 0)
