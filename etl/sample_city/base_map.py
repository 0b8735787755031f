"""The sample city's own base map: sea, rivers, lakes, roads, railway, built-up ground, woods. EPSG:4549, metres."""

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from etl.sample_city import facts
from etl.sample_city.planar import OUTSIDE
from etl.sample_city.terrain import Terrain, smooth, urbanity

COLUMNS = "kind:text name_zh:text name_en:text geom:geometry is_generated:bool"
Row = tuple[str, str, str, shapely.Geometry]


def build_base_map(terrain: Terrain, rng: np.random.Generator) -> list[tuple[object, ...]]:
    """Rows of territory.base_feature, drawn bottom to top in this order."""
    rows: list[Row] = [
        _sea(terrain),
        *_built_up(terrain, rng),
        *_green(terrain, rng),
        *_water(terrain, rng),
        *_roads(terrain, rng),
    ]
    return [(*row[:3], row[3], True) for row in rows]


# The shore beyond the county, from its south-west end round the open water to its north-east end, kilometres.
_BEYOND = ((617.6, 3393.9), (611.0, 3390.6), (604.0, 3388.0), (604.0, 3378.0), (662.0, 3378.0), (662.0, 3427.0), (650.0, 3422.4), (643.0, 3416.8))  # fmt: skip


def _sea(terrain: Terrain) -> Row:
    """The bay south-east of the low water line, far enough out that its own edge is not on screen at town scale."""
    corners = (facts.COAST[-1], *_BEYOND, facts.COAST[0])
    ring = np.vstack(
        [shapely.get_coordinates(terrain.coast), smooth(corners, terrain.phase, amplitude_m=500)[1:-1]]
    )
    return ("sea", "杭州湾", "Hangzhou Bay", Polygon(ring).buffer(0).difference(terrain.county))


def _blob(x: float, y: float, radius: float, rng: np.random.Generator, *, rough: float = 0.25) -> Polygon:
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    r = np.ones(48)
    for wave in (2, 3, 5):
        r += rough / wave * rng.normal() * np.cos(wave * turn + rng.uniform(0, 6.28))
    return Polygon(
        np.round(
            np.column_stack([x, y])
            + radius * np.clip(r, 0.4, 1.7)[:, None] * np.column_stack([np.cos(turn), np.sin(turn)]),
            2,
        )
    )


def _built_up(terrain: Terrain, rng: np.random.Generator) -> list[Row]:
    blobs = [_blob(x * 1000, y * 1000, radius, rng) for (x, y), radius in facts.WORKS]
    for town in facts.TOWNS:
        x, y = np.array(town.seat_km) * 1000
        blobs.append(_blob(x, y, town.urban_km * 700, rng))
        for _ in range(5):
            dx, dy = rng.normal(0, town.urban_km * 650, 2)
            blobs.append(_blob(x + dx, y + dy, town.urban_km * rng.uniform(180, 380), rng))
    villages = np.flatnonzero((terrain.cell_urban < 0.3) & (rng.random(len(terrain.cell_codes)) < 0.7))[:3000]
    for index in villages.tolist():
        x, y = terrain.cell_seeds[index]
        blobs.append(_blob(x, y, rng.uniform(55, 150), rng, rough=0.5))
    land = shapely.union_all(blobs).intersection(terrain.county.buffer(-30))
    for ground in terrain.no_cell:
        land = land.difference(ground.geom)
    return [("built_up", "", "", part) for part in shapely.get_parts(land) if part.area > 2000]


def _green(terrain: Terrain, rng: np.random.Generator) -> list[Row]:
    rows: list[Row] = []
    named = (("秦望山", "Qinwang Hill", 621_900, 3_408_300, 420), ("滨海公园", "Seaside Park", 627_000, 3_399_300, 330), ("亭林公园", "Tinglin Park", 625_900, 3_418_300, 180), ("张堰公园", "Zhangyan Park", 623_500, 3_410_400, 130), ("花海公园", "Flower Park", 614_600, 3_412_100, 420))  # fmt: skip
    for zh, en, x, y, radius in named:
        rows.append(("green", zh, en, _blob(x, y, radius, rng)))
    for index in np.flatnonzero((terrain.cell_urban < 0.25) & (rng.random(len(terrain.cell_codes)) < 0.08))[
        :150
    ].tolist():
        x, y = terrain.cell_seeds[index] + rng.uniform(-150, 150, 2)
        rows.append(("green", "", "", _blob(x, y, rng.uniform(90, 260), rng, rough=0.6)))
    return rows


def _water(terrain: Terrain, rng: np.random.Generator) -> list[Row]:
    rows: list[Row] = []
    for zh, en, width, line in facts.RIVERS:
        curve = LineString(np.round(smooth(line, terrain.phase, amplitude_m=160), 2)).intersection(
            terrain.county
        )
        rows.append(("river", zh, en, curve))
        rows.append(("water", zh, en, curve.buffer(width / 2, cap_style="flat").intersection(terrain.county)))
    for zh, en, x, y, radius in (("鹦鹉洲湖", "Yingwuzhou Lake", 628_700, 3_401_300, 240), ("长楼水库", "Changlou Reservoir", 607_900, 3_420_300, 330), ("枫溪湖", "Fengxi Lake", 598_200, 3_417_700, 260), ("漕泾湖", "Caojing Lake", 632_700, 3_410_300, 210)):  # fmt: skip
        rows.append(("water", zh, en, _blob(x, y, radius, rng, rough=0.4)))
    for index in np.flatnonzero((terrain.cell_urban < 0.2) & (rng.random(len(terrain.cell_codes)) < 0.1))[
        :200
    ].tolist():
        x, y = terrain.cell_seeds[index] + rng.uniform(-200, 200, 2)
        rows.append(("water", "", "", _blob(x, y, rng.uniform(25, 80), rng, rough=0.5)))
    # Canals of the fields follow the borders of communities, which do not follow a town's streets.
    lines = _edges(terrain, between_communities=True)
    middle = shapely.get_coordinates(shapely.centroid(lines))
    chosen = lines[(urbanity(middle) < 0.3) & (rng.random(len(lines)) < 0.45)] if len(lines) else lines
    rows += [("river", "", "", line) for line in chosen.tolist()]
    return rows


def _edges(terrain: Terrain, *, between_communities: bool) -> np.ndarray:
    """Edges between two cells, of the same community or of two."""
    cell = terrain.cell_of_seed[terrain.plane.pairs]
    both = (cell != OUTSIDE).all(axis=1)
    community = np.array([code[:12] for code in terrain.cell_codes.tolist()])
    differ = np.zeros(len(cell), dtype=bool)
    differ[both] = community[cell[both, 0]] != community[cell[both, 1]]
    return terrain.plane.lines[both & (differ == between_communities)][:40_000]


def _roads(terrain: Terrain, rng: np.random.Generator) -> list[Row]:
    rows: list[Row] = []
    lines = _edges(terrain, between_communities=False)
    middle = shapely.get_coordinates(shapely.centroid(lines)) if len(lines) else np.empty((0, 2))
    chance = 0.3 + 0.6 * urbanity(middle)
    rows += [("road", "", "", line) for line in lines[rng.random(len(lines)) < chance].tolist()]
    rows += _streets(terrain, rng)
    seats = {t.code[6:9]: t.seat_km for t in facts.TOWNS}
    for zh, en, stops in facts.MAIN_ROADS:
        points = tuple(seats[s] if isinstance(s, str) else s for s in stops)
        rows.append(("main_road", zh, en, _trace(points, terrain, 120)))
    for zh, en, points in facts.RAILWAYS:
        rows.append(("railway", zh, en, _trace(points, terrain, 60)))
    for zh, en, points in facts.MOTORWAYS:
        rows.append(("motorway", zh, en, _trace(points, terrain, 200)))
    return rows


def _streets(terrain: Terrain, rng: np.random.Generator) -> list[Row]:
    """A town's streets: two bundles of lines across its core, turned and unevenly spaced."""
    rows: list[Row] = []
    for town in facts.TOWNS:
        centre, reach = np.array(town.seat_km) * 1000, town.urban_km * 850
        core = _blob(float(centre[0]), float(centre[1]), reach, rng)
        turn = rng.uniform(0, np.pi / 2)
        for angle in (turn, turn + np.pi / 2 + rng.uniform(-0.15, 0.15)):
            along, across = (
                np.array([np.cos(angle), np.sin(angle)]),
                np.array([-np.sin(angle), np.cos(angle)]),
            )
            at = -reach * 1.4
            while at < reach * 1.4:
                at += rng.uniform(130, 320)
                ends = rng.uniform(0.5, 1.5, 2) * reach
                line = np.linspace(-ends[0], ends[1], 12)[:, None] * along + at * across + centre
                bent = line + 14 * np.sin(np.linspace(0, rng.uniform(2, 7), 12))[:, None] * across
                rows.append(("road", "", "", LineString(np.round(bent, 2)).intersection(core)))
    return [row for row in rows if not row[3].is_empty]


def _trace(points: tuple[facts.Km, ...], terrain: Terrain, amplitude: float) -> shapely.Geometry:
    return LineString(np.round(smooth(points, terrain.phase, amplitude_m=amplitude), 2)).intersection(
        terrain.county
    )
