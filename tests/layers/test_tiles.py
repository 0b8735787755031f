"""Tiles of the small town, decoded: what they hold, where it lies, and when their version changes."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from shapely import Polygon, from_wkb
from shapely.affinity import affine_transform
from shapely.geometry.polygon import orient
from small_town import TOWN_A, TOWN_B, add_area, add_camera, add_site, box, small_town
from vector_tile import TileLayer, read_tile

from geoapp.access.caller import Caller
from geoapp.database.cluster import PrivateCluster
from layers.registry import LAYERS, layer
from layers.tiles import TileCopies, layer_version, make_tile, tile_address

DISTRICT = Caller(1, "district", "", ("duty_officer",), "district", "geoapp_district_000000")
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def _database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


@pytest.fixture
def town(_database: Connection) -> Iterator[Connection]:
    with _database.transaction(force_rollback=True):
        yield _database


def tile_of(connection: Connection, z: int, *, x: float = 1000, y: float = 500) -> tuple[int, int, int]:
    """The tile of zoom z that holds a point of the county (metres from its corner)."""
    row = connection.execute(
        "SELECT ST_X(p) AS lon, ST_Y(p) AS lat FROM ST_Transform(ST_SetSRID(ST_MakePoint(%s, %s), 4549), 4326) AS p",
        (620000 + x, 3400000 + y),
    ).fetchone()
    assert row is not None
    n = 2**z
    across = (row["lon"] + 180) / 360 * n
    down = (1 - math.asinh(math.tan(math.radians(row["lat"]))) / math.pi) / 2 * n
    return z, int(across), int(down)


def drawn(connection: Connection, name: str, z: int, **at: float) -> TileLayer:
    tile = make_tile(connection, layer(name), *tile_of(connection, z, **at))
    return read_tile(tile)[name] if tile else TileLayer(name)


def test_cells_carry_their_number_and_lie_where_they_are(town: Connection) -> None:
    z, x, _ = tile_of(town, 12)
    found = drawn(town, "cell", 12)
    assert (found.extent, found.version) == (4096, 2)
    cells = {r["cell_no"]: r for r in town.execute("SELECT * FROM analysis.grid_cell").fetchall()}
    assert {f.id for f in found.features} == set(cells)
    side = 40075016.685578488 / 2**z
    for feature in found.features:
        assert feature.id is not None
        row = cells[feature.id]
        assert (feature.properties["code"], feature.properties["town_code"]) == (
            row["code"],
            row["town_code"],
        )
        metric = town.execute("SELECT ST_Area(geom_3857) AS a, ST_X(ST_Centroid(geom_3857)) AS x FROM territory.grid_cell"
                              " WHERE cell_no = %s", (feature.id,)).fetchone()  # fmt: skip
        assert metric is not None
        shape = Polygon(feature.parts[0])
        assert shape.area * (side / 4096) ** 2 == pytest.approx(metric["a"], rel=0.03)
        west = -20037508.342789244 + x * side
        assert west + shape.centroid.x * side / 4096 == pytest.approx(metric["x"], abs=3)


def test_neighbouring_tiles_meet_without_a_crack(town: Connection) -> None:
    # Cells that cross a tile's edge are drawn past it on both sides.
    z, x, y = tile_of(town, 15)
    reach = [
        p[0] for f in read_tile(make_tile(town, layer("cell"), z, x, y))["cell"].features for p in f.parts[0]
    ]
    assert max(reach) > 4096 or min(reach) < 0


@pytest.mark.parametrize("turned", [1.0, -1.0])
def test_a_common_border_stays_one_and_what_crosses_the_edge_is_cut(town: Connection, turned: float) -> None:
    # In the units of a tile: two neighbours with a wavy border between them, one that goes far beyond the edge, a speck.
    wave = [(2000 + 30.3 * math.sin(n), 203 + 60.7 * n) for n in range(60)]
    shapes = [
        Polygon([*wave, (900, wave[-1][1]), (900, wave[0][1])]),
        Polygon([*wave, (3000, wave[-1][1]), (3000, wave[0][1])]),
        Polygon([(3500, 100), (9000, 100), (9000, 900), (3500, 900)]),
        Polygon([(10.1, 10.1), (10.2, 10.1), (10.2, 10.2)]),
    ]
    z, x, y = 12, 3425, 1675
    unit = 40075016.685578488 / 2**z / 4096
    west, north = x * 4096 * unit - 20037508.342789244, 20037508.342789244 - y * 4096 * unit
    stored = [orient(affine_transform(s, [unit, 0, 0, -unit, west, north]), turned).wkb for s in shapes]
    rows = town.execute(
        "SELECT ST_AsBinary(tiles.drawn(ST_GeomFromWKB(s.geom, 3857), %s, %s, %s)) AS g"
        " FROM unnest(%s::bytea[]) WITH ORDINALITY AS s (geom, n) ORDER BY s.n",
        (z, x, y, stored),
    ).fetchall()
    left, right, cut = (from_wkb(bytes(r["g"])) for r in rows[:3])
    border = [{p for p in made.exterior.coords if 1900 < p[0] < 2100} for made in (left, right)]
    assert border[0] == border[1]
    assert len(border[0]) == len(wave)
    for made, shape in ((left, shapes[0]), (right, shapes[1])):
        assert made.area == pytest.approx(shape.area, rel=0.001)
    assert cut.bounds == (3500, 100, 4096 + 64, 900)
    # By the format an outer ring has a positive area in the tile's units, in which y grows downwards.
    assert all(made.exterior.is_ccw for made in (left, right, cut))
    assert rows[3]["g"] is None or from_wkb(bytes(rows[3]["g"])).is_empty


def test_units_by_zoom_and_names_once(town: Connection) -> None:
    assert {f.properties["level"] for f in drawn(town, "unit", 10).features} == {"county", "town"}
    z, x, y = tile_of(town, 12, x=500)
    names = [
        f.properties["code"]
        for dx in (-1, 0, 1)
        for dy in (-1, 0, 1)
        for f in read_tile(make_tile(town, layer("unit_label"), z, x + dx, y + dy) or b"")
        .get("unit_label", TileLayer())
        .features
    ]
    assert sorted(names) == ["310116101000", "310116102000"]


def test_ground_in_no_cell_says_whether_it_is_declared(town: Connection) -> None:
    assert sorted(f.properties["declared"] for f in drawn(town, "no_cell", 12).features) == [False, True]


def test_sites_are_counted_below_zoom_twelve(town: Connection) -> None:
    for i in range(7):
        add_site(town, 600 + i, 100, hazard="orange" if i == 3 else "blue")
    low, high, close = (drawn(town, "site", z, x=603, y=100) for z in (9, 12, 14))
    assert [(f.properties["n"], f.properties["hazard_level"]) for f in low.features] == [(7, "orange")]
    assert len(high.features) == 7
    assert "name_zh" not in high.features[0].properties
    assert close.features[0].properties["name_zh"] == "场所"


def test_an_ungraded_site_has_no_colour_in_the_tile(town: Connection) -> None:
    add_site(town, 600, 100, hazard=None)
    assert "hazard_level" not in drawn(town, "site", 13, x=600, y=100).features[0].properties


def test_cameras_tell_what_they_cannot_see(town: Connection) -> None:
    sector = box(600, 100, 50, 50)
    add_camera(town, 600, 100, sector, seen=datetime.now(UTC) - timedelta(minutes=1))
    add_camera(town, 610, 100, sector, url=None)
    points = {f.properties.get("reason"): f.properties for f in drawn(town, "camera", 12).features}
    assert set(points) == {None, "not_connected"}
    assert (points[None]["state"], points["not_connected"]["state"]) == ("observed", "unobserved")
    assert points[None]["azimuth_deg"] == 90
    assert sorted(f.properties["state"] for f in drawn(town, "camera_sector", 13).features) == [
        "observed",
        "unobserved",
    ]


def test_key_risk_area_tells_how_much_is_seen(town: Connection) -> None:
    site = add_site(town, 600, 100)
    area = add_area(town, site, 600, 100, 100, 100)
    add_camera(town, 590, 100, box(600, 100, 25, 100), seen=datetime.now(UTC) - timedelta(minutes=1))
    [feature] = drawn(town, "key_risk_area", 12).features
    assert (feature.id, feature.properties["seen_fraction"]) == (area, 0.25)


def test_base_map(town: Connection) -> None:
    town.execute(
        "INSERT INTO territory.base_feature (kind, name_zh, geom) VALUES ('river', '河', ST_GeomFromText(%s, 4549)), ('road', '', ST_GeomFromText(%s, 4549))",
        ("LINESTRING(620000 3400100, 623000 3400100)", "LINESTRING(620000 3400200, 623000 3400200)"),
    )
    assert [f.properties["kind"] for f in drawn(town, "base", 10).features] == ["river"]
    assert [f.properties["kind"] for f in drawn(town, "base", 12).features] == ["river", "road"]


def test_version_changes_with_content_and_only_with_its_own(town: Connection) -> None:
    before = {name: layer_version(town, declared, DISTRICT) for name, declared in LAYERS.items()}
    assert before == {name: layer_version(town, declared, DISTRICT) for name, declared in LAYERS.items()}
    town.execute("UPDATE territory.grid_cell SET name_zh = 'x' WHERE cell_no = 1")
    changed = {
        name for name, declared in LAYERS.items() if layer_version(town, declared, DISTRICT) != before[name]
    }
    assert changed == {"cell", "no_cell", "changeset", "risk_cell", "risk_site", "coverage_gap", "duty_gap"}
    camera = add_camera(town, 600, 100, None)
    middle = layer_version(town, layer("camera"), DISTRICT)
    town.execute(
        "INSERT INTO watch.camera_health_event (camera_id, at, observed, reason) VALUES (%s, now(), false, 'timeout')",
        (camera,),
    )
    assert layer_version(town, layer("camera"), DISTRICT) != middle


def test_versions_of_different_areas_are_never_the_same(town: Connection) -> None:
    """A version is an ETag: one area's must never tell another that nothing has changed."""
    other = replace(DISTRICT, scope="town", areas=(TOWN_A,))
    third = replace(DISTRICT, scope="town", areas=(TOWN_B,))
    for declared in LAYERS.values():
        found = {layer_version(town, declared, who) for who in (DISTRICT, other, third)}
        assert len(found) == (3 if declared.scoped else 1), declared.id
    assert [one.id for one in LAYERS.values() if not one.scoped] == ["base"]
    # What a town's cells show may follow from where its sites stand.
    before = layer_version(town, layer("cell"), other), layer_version(town, layer("cell"), DISTRICT)
    add_site(town, 600, 100)
    assert layer_version(town, layer("cell"), other) != before[0]
    assert layer_version(town, layer("cell"), DISTRICT) == before[1]


@pytest.mark.parametrize(
    "address",
    [
        ("1", "2", "0"),
        ("1", "0", "2"),
        ("23", "0", "0"),
        ("-1", "0", "0"),
        ("a", "0", "0"),
        ("1", "0", "01"),
        ("1", "0", "1e0"),
    ],
)
def test_no_such_tile(address: tuple[str, str, str]) -> None:
    assert tile_address(*address) is None


def test_copies_stay_within_their_limit_and_drop_the_oldest() -> None:
    import os

    copies = TileCopies(limit_bytes=3000)
    for i in range(5):
        copies.put(("cell", "s", "v", 1, i, 0), os.urandom(1000))
        copies.get(("cell", "s", "v", 1, 0, 0))
    kept = [i for i in range(5) if copies.get(("cell", "s", "v", 1, i, 0)) is not None]
    assert 0 in kept  # used all the time
    assert len(kept) < 4
    assert copies.put(("cell", "s", "v", 9, 9, 9), b"") == b""
    assert copies.get(("cell", "s", "v", 9, 9, 9)) == b""


def test_empty_copies_do_not_fill_the_memory() -> None:
    copies = TileCopies(limit_bytes=40_000)
    for i in range(10_000):
        copies.put(("cell", f"scope {i}", "v", 1, 0, 0), b"")
    assert len(copies) <= 100
