"""Key risk source areas (重点风险源区域) of the sample city and the cameras that look at some of them. EPSG:4549, metres."""

import math
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.sample_city import facts
from etl.sample_city.planar import Floats, Ints
from etl.sample_city.sites import Sites
from etl.sample_city.terrain import Terrain
from geoapp.errors import Refused
from geoapp.registry.identifiers import camera_gb_id

WIDTH_PX, HEIGHT_PX = 960, 540
LIVE_IN_ZHANGYAN = 35 / 60
"""Share of the live cameras that stand in Zhangyan."""

KINDS = (
    ("熔炼", "Melting"), ("涂装", "Paint shop"), ("危化品储罐", "Chemical tanks"), ("动火作业区", "Hot-work area"),
    ("有限空间", "Confined space"), ("粉尘", "Dust"), ("氨制冷", "Ammonia refrigeration"), ("充电", "Charging"),
    ("危化品仓库", "Chemical store"), ("喷烤漆房", "Spray booth"),
)  # fmt: skip
_BY_RULE = {
    "R02": (5,), "R03": (6,), "R05": (2, 8), "R06": (2,), "R12": (2, 8), "R47": (8, 7), "R59": (7,), "R61": (3,),
}  # fmt: skip
SCENES = {
    0: "shed", 1: "workshop", 2: "tank_farm", 3: "yard", 4: "yard", 5: "workshop", 6: "storeroom", 7: "shed",
    8: "storeroom", 9: "workshop",
}  # fmt: skip
YEARLY = {2019: 0.10, 2020: 0.12, 2021: 0.14, 2022: 0.15, 2023: 0.16, 2024: 0.14, 2025: 0.11, 2026: 0.08}
"""Share of the areas that joined in each year; years after `as_of` fall to the last one before it."""


@dataclass(frozen=True)
class KeyRiskAreas:
    """Parallel arrays, ids are 1, 2, …; site and kind are indices."""

    ids: Ints
    site: Ints
    kind: Ints
    town: Ints
    geoms: NDArray[np.object_]
    rows: list[tuple[object, ...]]


@dataclass(frozen=True)
class Cameras:
    """Parallel arrays, ids are 1, 2, …; site is an index into the sites, area an index or -1."""

    ids: Ints
    site: Ints
    area: Ints
    town: Ints
    live: NDArray[np.bool_]
    scene: list[str]
    points: Floats
    sectors: NDArray[np.object_]
    rows: list[tuple[object, ...]]


AREA_COLUMNS = "id:int8 code:text site_id:int8 name_zh:text name_en:text kind:text level:text geom:geometry town_code:text onboarded_on:date"
TARGET_COLUMNS = "year:int4 areas:int4 document_no:text set_on:date"
CAMERA_COLUMNS = (
    "id:int8 gb_id:text name_zh:text site_id:int8 geom:geometry height_m:float8 azimuth_deg:float8 tilt_deg:float8"
    " hfov_deg:float8 width_px:int4 height_px:int4 max_range_m:float8 sector:geometry town_code:text cell_code:text"
    " snapshot_url:text period_s:int4 public_place:bool legal_basis:text scene_kind:text installed_on:date"
)


def build_areas(
    total: int, in_zhangyan: int, sites: Sites, as_of: date, rng: np.random.Generator
) -> KeyRiskAreas:
    """`total` areas, `in_zhangyan` of them there, at industrial sites; the most dangerous sites hold several."""
    zhangyan = [t.code for t in facts.TOWNS].index(facts.ZHANGYAN)
    able = sites.industrial & (sites.cell >= 0)
    inside, outside = (
        np.flatnonzero(able & (sites.town == zhangyan)),
        np.flatnonzero(able & (sites.town != zhangyan)),
    )
    if len(inside) == 0 or (len(outside) == 0 and total > in_zhangyan):
        raise Refused(
            "样例城市太小，没有可设重点风险源的企业 / Too few sites to hold the key risk areas: ask for more --sites."
        )
    heavy = np.array(
        [{"red": 6, "orange": 4, "yellow": 2}.get(level or "", 1) for level in sites.level.tolist()], float
    )

    def choose(pool: Ints, count: int) -> Ints:
        # Each site once before any holds a second one.
        once = (
            rng.permutation(pool)[
                np.argsort(-heavy[pool] + rng.uniform(0, 3, len(pool)), kind="stable")[:count]
            ]
            if count < len(pool)
            else pool
        )
        more = rng.choice(pool, max(0, count - len(once)), p=heavy[pool] / heavy[pool].sum())
        return np.r_[once, more]

    site = np.sort(np.r_[choose(inside, in_zhangyan), choose(outside, total - in_zhangyan)])
    kind = np.array([_kind(sites.rule[s], rng) for s in site.tolist()])
    geoms = _shapes(sites.points[site], _nth(site), rng)
    years = np.array([y for y in YEARLY if y <= as_of.year] or [as_of.year])
    share = np.array([YEARLY.get(int(y), 1.0) for y in years])
    joined = [
        _day_in(int(y), as_of, rng.random()) for y in rng.choice(years, total, p=share / share.sum()).tolist()
    ]
    level_of = np.array(["blue", "yellow", "orange", "red"])
    rows: list[tuple[object, ...]] = []
    number: dict[str, int] = {}
    for i, s in enumerate(site.tolist()):
        town = facts.TOWNS[int(sites.town[s])]
        number[town.code] = number.get(town.code, 0) + 1
        zh, en = KINDS[kind[i]]
        own = sites.level[s]
        level = (
            own
            if own in ("orange", "red")
            else str(level_of[int(rng.choice([1, 1, 2, 2, 3], p=[0.3, 0.3, 0.2, 0.12, 0.08]))])
        )
        rows.append(
            (
                i + 1,
                f"KRA-{town.code[6:9]}-{number[town.code]:04d}",
                int(sites.ids[s]),
                f"{sites.rows[s][3]}{zh.removesuffix('区')}区",
                f"{en}, {town.name_en} {number[town.code]}",
                zh,
                level,
                geoms[i],
                town.code,
                joined[i],
            )
        )
    return KeyRiskAreas(np.arange(1, total + 1), site, kind, sites.town[site], geoms, rows)


def build_targets(areas: KeyRiskAreas, as_of: date) -> list[tuple[object, ...]]:
    """Yearly targets of the district: set each January, of ended years some were missed. The running year's is somewhat more
    than an even pace would reach, so that the curve lags."""
    joined: dict[int, int] = {}
    for row in areas.rows:
        day = row[9]
        assert isinstance(day, date)
        joined[day.year] = joined.get(day.year, 0) + 1
    rows: list[tuple[object, ...]] = []
    for n, (year, count) in enumerate(sorted(joined.items())):
        through = ((as_of - date(year, 1, 1)).days + 1) / 365 if year == as_of.year else 1.0
        wanted = count / through * (1.15 if year == as_of.year else (0.9, 1.05)[n % 2])
        set_on = min(date(year, 1, 12), as_of)
        rows.append((year, max(5, 5 * round(wanted / 5)), f"样例安委〔{year}〕1号", set_on))
    return rows


def _kind(rule: str | None, rng: np.random.Generator) -> int:
    return int(rng.choice(_BY_RULE.get(rule or "", (0, 1, 3, 3, 4, 5, 9))))


def _nth(site: Ints) -> Ints:
    """0 for a site's first area, 1 for its second … (site is sorted)."""
    first = np.searchsorted(site, site, side="left")
    return np.arange(len(site)) - first


def _day_in(year: int, as_of: date, share: float) -> date:
    last = min(date(year, 12, 31), as_of)
    return date(year, 1, 1) + timedelta(days=int(share * ((last - date(year, 1, 1)).days + 1)))


def _shapes(centres: Floats, nth: Ints, rng: np.random.Generator) -> NDArray[np.object_]:
    """Sheds and yards of 18 to 110 m, turned; a site's further areas lie beside the first on a spiral."""
    count = len(centres)
    long_m = np.clip(rng.lognormal(np.log(34), 0.45, count), 18, 110)
    wide_m = long_m * rng.uniform(0.4, 0.95, count)
    turn = rng.uniform(0, np.pi, count)
    away = np.where(nth == 0, 6.0, 62.0 * np.sqrt(nth))
    bearing = nth * 2.4 + turn
    centre = centres + (away * np.stack([np.cos(bearing), np.sin(bearing)])).T
    # A corner cut out of one in four makes an L.
    cut = np.where(rng.random(count) < 0.25, rng.uniform(0.25, 0.5, count), 0.0)
    a, b = long_m / 2, wide_m / 2
    corner = np.stack(
        [
            np.stack([-a, -b], 1), np.stack([a, -b], 1), np.stack([a, b * (1 - 2 * cut)], 1),
            np.stack([a * (1 - 2 * cut), b * (1 - 2 * cut)], 1), np.stack([a * (1 - 2 * cut), b], 1), np.stack([-a, b], 1),
        ],
        axis=1,
    )  # fmt: skip
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    ring = np.stack(
        [corner[..., 0] * cos - corner[..., 1] * sin, corner[..., 0] * sin + corner[..., 1] * cos], -1
    )
    # Without a cut, three corners coincide: simplify drops the doubles.
    return shapely.simplify(shapely.polygons(np.round(ring + centre[:, None, :], 3)), 0.01)


def wedges(
    points: Floats,
    height_m: Floats,
    azimuth_deg: Floats,
    tilt_deg: Floats,
    hfov_deg: Floats,
    max_range_m: Floats,
) -> NDArray[np.object_]:
    """Ground seen by each camera over flat ground, polygons in the metric CRS, pinhole without distortion.

    Near edge from the bottom of a 16:9 picture, sides from its left and right edges, far edge an arc at
    max_range_m or the top of the picture where that is nearer. Cameras must look below the horizon at the bottom
    of their picture (tilt above -vfov/2).
    """
    side = np.tan(np.radians(hfov_deg) / 2)
    up = side * HEIGHT_PX / WIDTH_PX
    s, c = np.sin(np.radians(tilt_deg)), np.cos(np.radians(tilt_deg))
    near = height_m * (c - up * s) / (s + up * c)
    with np.errstate(divide="ignore"):
        top = np.where(s > up * c, height_m * (c + up * s) / (s - up * c), np.inf)
    far = np.minimum(top, max_range_m)
    local = np.stack(
        [
            np.stack([k * side * (y * c + height_m * s), y], 1)
            for k, y in ((-1, near), (1, near), (1, far), (-1, far))
        ],
        axis=1,
    )
    disc = shapely.buffer(shapely.points(0, 0), max_range_m, quad_segs=24)
    seen = shapely.intersection(shapely.polygons(local), disc)
    number = shapely.get_num_coordinates(seen)
    flat = shapely.get_coordinates(seen)
    a = np.repeat(np.radians(azimuth_deg), number)
    # Local y is the optical axis, local x the right: east = x cos a + y sin a, north = y cos a - x sin a.
    turned = np.column_stack(
        [flat[:, 0] * np.cos(a) + flat[:, 1] * np.sin(a), flat[:, 1] * np.cos(a) - flat[:, 0] * np.sin(a)]
    )
    return shapely.set_coordinates(seen, np.round(turned + np.repeat(points, number, axis=0), 3))


def build_cameras(
    total: int,
    live: int,
    sites: Sites,
    areas: KeyRiskAreas,
    terrain: Terrain,
    farm_url: str,
    as_of: date,
    rng: np.random.Generator,
) -> Cameras:
    """`total` cameras, the first `live` of them connected to the farm, about 35 in 60 of those in Zhangyan.

    Four in five look at a key risk area (some well, some half, some past it), the rest at a site. Areas that get
    no camera at all are a deliberate gap, and so are the cameras that nothing is connected to.
    """
    if live > total:
        raise Refused(
            f"在线摄像机 {live} 多于摄像机 {total} / {live} live cameras, but only {total} cameras."
        )
    zhangyan = [t.code for t in facts.TOWNS].index(facts.ZHANGYAN)
    live_there = min(round(live * LIVE_IN_ZHANGYAN), int((areas.town == zhangyan).sum()) * 2)
    spare = rng.permutation(np.flatnonzero(areas.town == zhangyan))
    elsewhere = rng.permutation(np.flatnonzero(areas.town != zhangyan))
    plain = rng.permutation(np.flatnonzero((sites.cell >= 0) & ~sites.industrial))

    target_area = np.full(total, -1)
    target_site = np.zeros(total, dtype=np.int64)
    for i in range(total):
        if i < live:
            pool = spare if i < live_there else elsewhere
            at_area = i % 6 != 5
        else:
            # Five areas in eight are looked at by somebody; the rest by nobody.
            pool = np.r_[spare[: 5 * len(spare) // 8], elsewhere[: 5 * len(elsewhere) // 8]]
            at_area = rng.random() < 0.8
        if at_area and len(pool):
            target_area[i] = pool[i % len(pool)] if i < live else rng.choice(pool)
            target_site[i] = areas.site[target_area[i]]
        elif i < live_there:
            here = plain[sites.town[plain] == zhangyan]
            target_site[i] = rng.choice(here if len(here) else plain)
        else:
            target_site[i] = rng.choice(plain)

    hfov = rng.uniform(50, 90, total)
    tilt = rng.uniform(8, 30, total)
    height = np.round(rng.uniform(4, 9, total), 1)
    reach = np.round(rng.uniform(40, 80, total), 0)
    centre = sites.points[target_site].copy()
    looked = target_area >= 0
    centre[looked] = shapely.get_coordinates(shapely.centroid(areas.geoms[target_area[looked]]))
    azimuth = np.round(rng.uniform(0, 360, total), 1) % 360
    hfov, tilt = np.round(hfov, 1), np.round(tilt, 1)
    # The middle of what it sees falls on its target; one in four is aimed badly, by 15 to 45 m.
    local = wedges(np.zeros((total, 2)), height, azimuth, tilt, hfov, reach)
    middle = shapely.get_coordinates(shapely.centroid(local))
    miss = np.where(rng.random(total) < 0.25, rng.uniform(15, 45, total), rng.uniform(0, 5, total))
    bearing = rng.uniform(0, 2 * np.pi, total)
    points = np.round(centre - middle + (miss * np.stack([np.sin(bearing), np.cos(bearing)])).T, 3)
    sectors = wedges(points, height, azimuth, tilt, hfov, reach)

    cell = _cell_at(points, terrain)
    town = sites.town[target_site]
    scene = [
        SCENES[int(areas.kind[a])] if a >= 0 else ("gate" if n % 3 else "yard")
        for n, a in enumerate(target_area.tolist())
    ]
    periods = rng.integers(8, 13, total)
    industry = ["42" if looked[i] else "50" for i in range(total)]
    age = rng.integers(40, 2400, total)
    rows: list[tuple[object, ...]] = []
    for i in range(total):
        gb_id = camera_gb_id(facts.COUNTY, industry[i], i + 1)
        public = not looked[i] and scene[i] == "gate"
        rows.append(
            (
                i + 1, gb_id, f"{facts.TOWNS[int(town[i])].name_zh}{i + 1:03d}号{_SCENE_ZH[scene[i]]}",
                int(sites.ids[target_site[i]]), tuple(points[i].tolist()), float(height[i]), float(azimuth[i]), float(tilt[i]),
                float(hfov[i]), WIDTH_PX, HEIGHT_PX, float(reach[i]), sectors[i], facts.TOWNS[int(town[i])].code,
                None if cell[i] < 0 else str(terrain.cell_codes[cell[i]]),
                f"{farm_url.rstrip('/')}/snapshot/{gb_id}.jpg" if i < live else None,
                int(periods[i]), public, "公共安全视频图像信息系统管理条例第七条" if public else "企业协议接入",
                scene[i], as_of - timedelta(days=int(age[i])),
            )
        )  # fmt: skip
    return Cameras(
        np.arange(1, total + 1),
        target_site,
        target_area,
        town,
        np.arange(total) < live,
        scene,
        points,
        sectors,
        rows,
    )


_SCENE_ZH = {
    "shed": "车间棚",
    "workshop": "车间",
    "tank_farm": "罐区",
    "yard": "场院",
    "storeroom": "库房",
    "gate": "门岗",
}


def _cell_at(points: Floats, terrain: Terrain) -> Ints:
    """Index of the cell that holds each point, -1 for none."""
    found = np.full(len(points), -1)
    point, cell = shapely.STRtree(terrain.cell_geoms).query(shapely.points(points), predicate="within")
    found[point] = cell
    return found


def ellipse_polygon(
    east: float, north: float, major_m: float, minor_m: float, rotation_deg: float
) -> shapely.Polygon:
    """A 95 % error ellipse as a ring of 24 points; rotation of its major axis clockwise from grid north."""
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    s, c = math.sin(math.radians(rotation_deg)), math.cos(math.radians(rotation_deg))
    along, across = major_m * np.cos(t), minor_m * np.sin(t)
    return shapely.Polygon(
        np.round(np.column_stack([east + along * s - across * c, north + along * c + across * s]), 3)
    )
