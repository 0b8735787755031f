"""The ground of the sample city: county, towns, communities, cells and ground in no cell. EPSG:4549, metres.

Nothing here is a real border: the county's outline is drawn by hand in facts.py, the towns grow around their real
seats to about their real areas, and communities and cells follow from the seed.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely.geometry import LineString, Polygon

from etl.sample_city import facts, names
from etl.sample_city.planar import OUTSIDE, Floats, Ints, Plane, connect, draw, faces, k_means, spread
from geoapp.registry.identifiers import cell_code

Geometries = NDArray[np.object_]
STRIP_M = 250.0
"""Width of the tidal flat between the sea wall and the low water line."""
RESERVE_M = 230.0
"""Inner radius of a piece of reserved ground."""
SEAT_M = 800.0
"""Ground this near to a seat belongs to the seat's town."""
MAX_CELLS_PER_COMMUNITY = 999


@dataclass(frozen=True)
class Unit:
    """A row of territory.unit."""

    code: str
    level: str
    parent_code: str | None
    name_zh: str
    name_en: str
    seat: shapely.Point | None
    geom: shapely.MultiPolygon | None


@dataclass(frozen=True)
class NoCell:
    """A row of territory.no_cell_ground."""

    town_code: str
    name_zh: str
    name_en: str
    reason: str
    declared_on: str
    geom: Polygon


@dataclass(frozen=True)
class Terrain:
    """Cells are parallel arrays: code, town (index into facts.TOWNS), community code, polygon, seed, urbanity 0..1."""

    units: list[Unit]
    no_cell: list[NoCell]
    cell_codes: NDArray[np.str_]
    cell_names: list[str]
    cell_town: Ints
    cell_geoms: Geometries
    cell_seeds: Floats
    cell_urban: Floats
    county: shapely.Geometry
    town_geoms: dict[str, shapely.Geometry]
    coast: LineString
    plane: Plane
    cell_of_seed: Ints
    phase: Floats


def warp(points: Floats, phase: Floats, amplitude_m: float = 260.0) -> Floats:
    """Points (n, 2) moved by a smooth field of waves of 2 to 7 km, so that straight constructions look grown."""
    x, y = points[:, 0] / 1000, points[:, 1] / 1000
    east = np.sin(0.9 * x + 1.7 * y + phase[0]) + 0.6 * np.sin(2.3 * x - 1.1 * y + phase[1])
    north = np.sin(1.5 * x - 0.8 * y + phase[2]) + 0.6 * np.sin(0.7 * x + 2.6 * y + phase[3])
    return points + amplitude_m * np.column_stack([east, north]) / 1.6


def smooth(line_km: tuple[facts.Km, ...], phase: Floats, *, amplitude_m: float, rounds: int = 4) -> Floats:
    """A hand-drawn line as metres (n, 2), corners cut (Chaikin), bent by the warp; its ends stay where they were."""
    points = np.array(line_km) * 1000
    length = LineString(points).length
    points = shapely.get_coordinates(shapely.segmentize(LineString(points), 900))
    for _ in range(rounds):
        cut = np.repeat(points, 2, axis=0)[1:-1]
        a, b = cut[0::2], cut[1::2]
        points = np.vstack(
            [points[:1], np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], 1).reshape(-1, 2), points[-1:]]
        )
    bent = warp(points, phase, amplitude_m)
    along = np.r_[0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]
    ease = np.clip(np.minimum(along, along[-1] - along) / min(1500.0, length / 3), 0, 1)[:, None]
    return points + ease * (bent - points)


def _ragged(line: Floats, rng: np.random.Generator) -> Floats:
    """The line with a corner about every 900 m moved by up to some 200 m, its ends kept: a border made by history."""
    points = shapely.get_coordinates(shapely.segmentize(shapely.simplify(LineString(line), 60), 900))
    moved = points + rng.normal(0, 110, points.shape).clip(-200, 200)
    moved[:2], moved[-2:] = points[:2], points[-2:]
    return moved


def urbanity(points: Floats) -> Floats:
    """How built-up the ground is at each point (n, 2), 0 farmland to 1 town centre."""
    found = np.zeros(len(points))
    for town in facts.TOWNS:
        away = np.hypot(*(points - np.array(town.seat_km) * 1000).T) / (town.urban_km * 1000)
        found = np.maximum(found, np.exp(-(away**2)))
    return found


def _rows(line: LineString, pitch: float, offsets: tuple[float, ...]) -> list[Floats]:
    """Points every `pitch` metres along a line, at each offset to its left; a loop is not sampled twice."""
    count = max(2, round(line.length / pitch))
    at = (np.arange(count) + 0.5) * line.length / count
    here = shapely.get_coordinates(shapely.line_interpolate_point(line, at))
    ahead = shapely.get_coordinates(
        shapely.line_interpolate_point(line, np.minimum(at + pitch * 0.2, line.length))
    )
    behind = shapely.get_coordinates(shapely.line_interpolate_point(line, np.maximum(at - pitch * 0.2, 0)))
    direction = (ahead - behind) / np.hypot(*(ahead - behind).T)[:, None]
    left = np.column_stack([-direction[:, 1], direction[:, 0]])
    return [here + offset * left for offset in offsets]


def _town_of(points: Floats, county: Polygon, phase: Floats) -> Ints:
    """Town index of each point: a power diagram around seats and anchors, weighted until the areas are right."""
    spots, owner = [], []
    for index, town in enumerate(facts.TOWNS):
        for spot in (town.seat_km, *town.anchors_km):
            spots.append(np.array(spot) * 1000)
            owner.append(index)
    spots_at, owners = np.array(spots), np.array(owner)
    seats = np.array([town.seat_km for town in facts.TOWNS]) * 1000

    def cheapest(at: Floats, weight: Floats) -> Ints:
        moved = warp(at, phase, 330.0)
        # The seat keeps its surroundings: there the ground is not bent.
        near = np.exp(-((np.sqrt(((at[:, None, :] - spots_at) ** 2).sum(2)).min(1) / 900) ** 2))[:, None]
        moved = near * at + (1 - near) * moved
        cost = ((moved[:, None, :] - spots_at[None]) ** 2).sum(axis=2) - weight[owners]
        # Whatever the weights say, a seat lies in its own town.
        to_seat = np.hypot(*(at[:, None, :] - seats[None]).transpose(2, 0, 1))
        return np.where(
            to_seat.min(axis=1) < SEAT_M, np.argmin(to_seat, axis=1), owners[np.argmin(cost, axis=1)]
        )

    west, south, east, north = county.bounds
    grid = np.stack(np.meshgrid(np.arange(west, east, 330), np.arange(south, north, 330)), -1).reshape(-1, 2)
    grid = grid[shapely.contains_xy(county, grid[:, 0], grid[:, 1])]
    want = np.array([t.area_km2 for t in facts.TOWNS])
    want = want / want.sum()
    weight = np.zeros(len(facts.TOWNS))
    for step in np.linspace(3e6, 2e5, 60):
        share = np.bincount(cheapest(grid, weight), minlength=len(weight)) / len(grid)
        weight += step * np.clip((want - share) / want, -1, 1)
    return cheapest(points, weight)


def _split_count(total: int, weight: Floats, least: int, most: Ints) -> Ints:
    """Whole numbers that add up to `total`, near to the weights, none below `least` or above `most`."""
    given = np.full(len(weight), least)
    while given.sum() < total:
        open_ = given < most
        if not open_.any():
            break
        given[np.argmax(np.where(open_, weight / given, -1))] += 1
    return given


class _Planting:
    """Seeds that are set by hand, row after row: land 1, tidal flat 2, outside 0, reserves 3 and on."""

    def __init__(self) -> None:
        self.seeds = np.empty((0, 2))
        self.kinds = np.empty(0, dtype=np.int64)
        self.twins = np.empty(0, dtype=np.int64)

    def add(self, points: Floats, kind: int, twin_at: int | None = None) -> None:
        """Adds points; `twin_at`, relative to the first of them, is where their twins begin (see planar.draw)."""
        begin = len(self.seeds)
        twins = np.full(len(points), OUTSIDE) if twin_at is None else np.arange(len(points)) + begin + twin_at
        self.seeds = np.vstack([self.seeds, points])
        self.kinds = np.r_[self.kinds, np.full(len(points), kind)]
        self.twins = np.r_[self.twins, twins]

    def is_clear(self, points: Floats, distance: float) -> NDArray[np.bool_]:
        """Which points (n, 2) are farther than `distance` from every seed so far."""
        return np.asarray(cKDTree(self.seeds).query(points)[0] > distance)


def build_terrain(cells: int, communities: int, rng: np.random.Generator) -> Terrain:
    """The ground with exactly so many cells and communities. Raises ValueError where they do not fit together."""
    if cells < 5 * len(facts.TOWNS) or communities < len(facts.TOWNS) or communities * 2 > cells:
        raise ValueError("needs at least 55 cells, 11 communities, and twice as many cells as communities")
    phase = rng.uniform(0, 2 * np.pi, 4)
    land = _ragged(smooth(facts.LAND_BORDER, phase, amplitude_m=230), rng)
    shore = smooth(facts.COAST, phase, amplitude_m=90)
    county, coast = Polygon(np.vstack([land[:-1], shore[:-1]])), LineString(shore)
    pitch = float(np.sqrt(county.area / cells))

    planted = _Planting()
    _plant_outline(planted, land, shore, county, 1.15 * pitch)
    _plant_reserves(planted, rng)
    planted.add(np.array([town.seat_km for town in facts.TOWNS]) * 1000, 1)
    _plant_rivers(planted, county, coast, phase, pitch, int(0.3 * cells))
    need = cells - int((planted.kinds == 1).sum())
    if need < 0:
        raise ValueError(f"{cells} cells are too few for the outline of the county")
    planted.add(_free_seeds(need, planted.seeds, county, coast, pitch, rng), 1)

    plane = draw(planted.seeds, planted.twins, rng, pitch_m=min(90.0, pitch / 5))
    town = connect(plane, np.where(planted.kinds == 0, OUTSIDE, _town_of(planted.seeds, county, phase)))
    return _name_and_number(plane, planted.kinds, town, communities, coast, phase, rng)


def _plant_outline(planted: _Planting, land: Floats, shore: Floats, county: Polygon, row: float) -> None:
    """Pairs of seeds on both sides of the border and of the coast, so that cells end there.

    Both lines run clockwise round the county: inside is to the right.
    """
    half = STRIP_M / 2
    wall, flat, sea = _rows(LineString(shore), row, (-3 * half, -half, half))
    planted.add(sea, 0, len(sea))
    planted.add(flat, 2, -len(sea))
    # The sea wall is the edge between the flat and the first row on land.
    planted.add(wall, 1, -len(sea))
    inner, outer = _rows(LineString(land), row, (-0.5 * row, 0.5 * row))
    # No twins here: a border over land wanders from field to field.
    planted.add(outer, 0)
    planted.add(inner, 1)
    around = LineString(np.vstack([land, shore[1:]]))
    beyond = np.vstack([_rows(around, 2 * row, (d,))[0] for d in (2.2 * row, 4.5 * row)])
    planted.add(beyond[shapely.distance(shapely.points(beyond), county) > 1.2 * row], 0)


def _plant_reserves(planted: _Planting, rng: np.random.Generator) -> None:
    for index, (spot, *_words) in enumerate(facts.RESERVES):
        centre = np.array(spot) * 1000
        turn = np.linspace(0, 2 * np.pi, 6, endpoint=False) + rng.uniform(0, 1)
        planted.add(centre[None, :], 3 + index)
        # Six neighbours keep the reserve small however large the cells are.
        planted.add(centre + 2 * RESERVE_M * np.column_stack([np.cos(turn), np.sin(turn)]), 1)


def _plant_rivers(
    planted: _Planting, county: Polygon, coast: LineString, phase: Floats, pitch: float, budget: int
) -> None:
    """Pairs of seeds on both banks, `budget` seeds at most: rivers are the usual borders of cells."""
    inside = county.buffer(-2.0 * pitch).difference(coast.buffer(2.2 * STRIP_M + 0.5 * pitch))
    lines = [LineString(smooth(line, phase, amplitude_m=160)) for *_words, line in facts.RIVERS]
    runs = [
        part
        for line in lines
        for part in shapely.get_parts(line.intersection(inside))
        if part.length > 1.7 * pitch
    ]
    step = max(1.1 * pitch, 2 * sum(run.length for run in runs) / max(budget, 1))
    for run in runs:
        left, right = _rows(run, step, (0.34 * pitch, -0.34 * pitch))
        clear = planted.is_clear(left, 0.6 * pitch) & planted.is_clear(right, 0.6 * pitch)
        if clear.any():
            planted.add(left[clear], 1, int(clear.sum()))
            planted.add(right[clear], 1, -int(clear.sum()))


def _free_seeds(
    need: int, taken: Floats, county: Polygon, coast: LineString, pitch: float, rng: np.random.Generator
) -> Floats:
    room = county.buffer(-0.8 * pitch).difference(coast.buffer(2.2 * STRIP_M))
    for spot, *_words in facts.RESERVES:
        room = room.difference(shapely.Point(np.array(spot) * 1000).buffer(2.4 * RESERVE_M))
    shapely.prepare(room)
    west, south, east, north = room.bounds
    per_seed = 40 if need < 5000 else 14
    found: list[Floats] = []
    held = 0
    while held < per_seed * need:
        tried = rng.uniform((west, south), (east, north), (per_seed * need + 1000, 2))
        tried = tried[rng.uniform(0, 1, len(tried)) < 0.12 + 0.88 * urbanity(tried)]
        tried = tried[shapely.contains_xy(room, tried[:, 0], tried[:, 1])]
        found.append(tried)
        held += len(tried)
    candidates = np.vstack(found) if found else np.empty((0, 2))
    return spread(need, taken, candidates, rng)


def _name_and_number(
    plane: Plane,
    kinds: Ints,
    town: Ints,
    communities: int,
    coast: LineString,
    phase: Floats,
    rng: np.random.Generator,
) -> Terrain:
    seeds = plane.seeds
    is_cell = kinds == 1
    urban = urbanity(seeds)
    held = np.bincount(town[is_cell], minlength=len(facts.TOWNS))
    wanted = _split_count(
        communities, np.sqrt(held * np.array([t.area_km2 for t in facts.TOWNS])), 1, held // 2
    )

    community = np.full(len(seeds), OUTSIDE)
    first = 0
    for index in range(len(facts.TOWNS)):
        mine = np.flatnonzero(is_cell & (town == index))
        community[mine] = first + k_means(seeds[mine], int(wanted[index]), rng)
        first += int(wanted[index])
    community = connect(plane, community, within=np.where(is_cell, town, OUTSIDE))
    # Ground in no cell lies in no community.
    community[~is_cell] = OUTSIDE

    town_of_community = np.zeros(first, dtype=int)
    town_of_community[community[is_cell]] = town[is_cell]
    codes, unit_names = names.communities(
        town_of_community, _mean(urban[is_cell], community[is_cell], first), rng
    )

    _, face_polygons, seed_of_face = _cell_faces(plane, is_cell)
    order = _numbering(seeds[seed_of_face], community[seed_of_face])
    seed_of_cell = seed_of_face[order]
    cell_geoms = face_polygons[order]
    cell_community = community[seed_of_cell]
    special = (urban[seed_of_cell] > 0.35) & (town[seed_of_cell] == len(facts.TOWNS) - 1)
    sequence = np.zeros(len(order), dtype=int)
    counter = np.zeros(first, dtype=int)
    for position, group in enumerate(cell_community.tolist()):
        counter[group] += 1
        sequence[position] = counter[group]
    if counter.max() > MAX_CELLS_PER_COMMUNITY:
        raise ValueError(
            f"a community would hold {counter.max()} cells, 999 at most: ask for more communities"
        )
    cell_codes = np.array(
        [
            cell_code(codes[g], int(s), kind="1" if k else "0")
            for g, s, k in zip(cell_community.tolist(), sequence, special, strict=True)
        ]
    )
    cell_names = [
        f"{unit_names[g][0].removesuffix('村').removesuffix('居委')}第{s}网格"
        for g, s in zip(cell_community.tolist(), sequence, strict=True)
    ]

    units, town_geoms, county = _units(plane, town, community, codes, unit_names, town_of_community)
    cell_of_seed = np.full(len(seeds), OUTSIDE)
    cell_of_seed[seed_of_cell] = np.arange(len(seed_of_cell))
    return Terrain(
        units, _no_cell(plane, kinds, town), cell_codes, cell_names, town[seed_of_cell], cell_geoms,
        seeds[seed_of_cell], urban[seed_of_cell], county, town_geoms, coast, plane, cell_of_seed, phase,
    )  # fmt: skip


def _mean(values: Floats, group: Ints, count: int) -> Floats:
    return np.bincount(group, values, count) / np.bincount(group, minlength=count)


def _cell_faces(plane: Plane, is_cell: NDArray[np.bool_]) -> tuple[Ints, Geometries, Ints]:
    """Every cell's polygon with its seed's index."""
    label = np.where(is_cell, np.arange(len(is_cell)), OUTSIDE)
    seed, polygons = faces(plane, label)
    return np.arange(len(seed)), polygons, seed


def _numbering(seeds: Floats, community: Ints) -> Ints:
    """Order of cells: by community, and inside it in rows from north to south, each from west to east."""
    count = int(community.max()) + 1
    number = np.bincount(community, minlength=count)
    north = np.full(count, -np.inf)
    south = np.full(count, np.inf)
    np.maximum.at(north, community, seeds[:, 1])
    np.minimum.at(south, community, seeds[:, 1])
    height = np.maximum((north - south) / np.maximum(np.round(np.sqrt(number)), 1), 1.0)
    band = np.minimum(
        np.floor((north[community] - seeds[:, 1]) / height[community]),
        np.round(np.sqrt(number[community])) - 1,
    )
    return np.lexsort((seeds[:, 0], band, community))


def _units(
    plane: Plane,
    town: Ints,
    community: Ints,
    codes: list[str],
    unit_names: list[tuple[str, str]],
    town_of_community: Ints,
) -> tuple[list[Unit], dict[str, shapely.Geometry], shapely.Geometry]:
    def outlines(labels: Ints) -> dict[int, shapely.MultiPolygon]:
        label, polygons = faces(plane, labels)
        return {int(k): shapely.multipolygons(polygons[label == k]) for k in np.unique(label)}

    county = outlines(np.where(town == OUTSIDE, OUTSIDE, 0))[0]
    units = [
        Unit(code, level, parent, zh, en, None, None)
        for code, level, parent, zh, en in (facts.PROVINCE_ROW, facts.CITY_ROW)
    ]
    code, level, parent, zh, en = facts.COUNTY_ROW
    units.append(Unit(code, level, parent, zh, en, shapely.Point(np.array(facts.COUNTY_SEAT) * 1000), county))
    town_outlines = outlines(town)
    town_geoms: dict[str, shapely.Geometry] = {}
    for index, fact in enumerate(facts.TOWNS):
        town_geoms[fact.code] = town_outlines[index]
        units.append(
            Unit(fact.code, "town", facts.COUNTY_ROW[0], fact.name_zh, fact.name_en,
                 shapely.Point(np.array(fact.seat_km) * 1000), town_outlines[index])
        )  # fmt: skip
    for index, outline in outlines(community).items():
        units.append(
            Unit(codes[index], "community", facts.TOWNS[town_of_community[index]].code, *unit_names[index],
                 shapely.point_on_surface(outline), outline)
        )  # fmt: skip
    return units, town_geoms, county


def _no_cell(plane: Plane, kinds: Ints, town: Ints) -> list[NoCell]:
    """Declared ground: the tidal flat by town, and the reserves."""
    label = np.full(len(kinds), OUTSIDE)
    label[kinds == 2] = town[kinds == 2]
    reserve = kinds >= 3
    label[reserve] = 100 + kinds[reserve] - 3
    rows = []
    for what, polygon in zip(*faces(plane, label), strict=True):
        if what < 100:
            rows.append(NoCell(facts.TOWNS[what].code, *facts.TIDAL_FLAT, polygon))
        else:
            seed = np.flatnonzero(kinds == 3 + what - 100)[0]
            _, zh, en, reason, day = facts.RESERVES[what - 100]
            rows.append(NoCell(facts.TOWNS[town[seed]].code, zh, en, reason, day, polygon))
    return rows
