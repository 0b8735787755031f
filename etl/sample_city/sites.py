"""Fictional sites: plants, shops, schools … with place types of the duty table. One record array, one row per site."""

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import resources

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.sample_city import facts
from etl.sample_city.planar import Floats, Ints
from etl.sample_city.terrain import Terrain
from geoapp.registry.identifiers import generate_uscc

DUTY_TABLE = "responsibilities.csv"

# Share of sites by place type, per thousand; what the table does not name gets a few each.
SHARE = {
    "R01": 120, "R02": 14, "R03": 6, "R04": 110, "R05": 18, "R06": 12, "R12": 10, "R13": 40, "R14": 130,
    "R15": 160, "R16": 8, "R17": 8, "R18": 22, "R20": 12, "R21": 10, "R23": 8, "R25": 45, "R26": 14, "R27": 8,
    "R28": 10, "R29": 22, "R30": 10, "R32": 20, "R33": 3, "R34": 8, "R36": 16, "R39": 14, "R41": 22, "R42": 14,
    "R46": 16, "R47": 26, "R48": 12, "R57": 6, "R59": 5, "R60": 12, "R61": 10, "R62": 6,
}  # fmt: skip
# Cross-sector duties and rules that nothing in a coastal plain stands under.
NO_SITES = {"R08", "R09", "R10", "R64", "R65", "R66", "R67"}
RURAL = {"R20", "R50", "R51", "R52", "R54", "R04", "R41", "R38"}
INDUSTRIAL = {"R01", "R02", "R03", "R05", "R47", "R61", "R59", "R44", "R57"}
# Chance of blue, yellow, orange, red and "not graded" by group of place types.
GRADES = {
    "plain": (0.62, 0.25, 0.04, 0.005, 0.085),
    "plant": (0.22, 0.50, 0.19, 0.04, 0.05),
    "danger": (0.02, 0.28, 0.45, 0.22, 0.03),
}
DANGER = {"R02", "R03", "R05", "R06", "R12"}
LEVELS = ("blue", "yellow", "orange", "red", None)

_HEADS = "恒鑫宏瑞金海中申永华天国明东晨万精立博长沪浦龙嘉祥盛安顺和佳福锦百新同启利康双聚"
_TAILS = "达源业丰沪泰茂联固腾成兴辉方光通诚信远江南禾云吉昌润美临绣年锐舟航民宁喜贤"
_KINDS = {
    "R01": ("机械有限公司", "塑料制品厂", "纺织有限公司", "金属制品厂", "建材有限公司", "轻工制品厂"),
    "R02": ("木业有限公司", "铝制品抛光厂", "饲料有限公司"),
    "R03": ("冷冻食品有限公司", "水产冷链有限公司"),
    "R04": ("加工坊", "五金加工点", "服装加工点", "食品小作坊"),
    "R05": ("化工有限公司", "涂料有限公司", "气体有限公司", "化工仓储有限公司"),
    "R06": ("加油站",), "R12": ("液化气供应站",), "R13": ("饭店",), "R14": ("小吃店", "面馆", "餐饮店"),
    "R15": ("便利店", "小超市", "五金店", "烟杂店"), "R16": ("超市", "百货商场"), "R17": ("农贸市场",),
    "R18": ("旅馆", "招待所"), "R19": ("酒店",), "R20": ("民宿",), "R21": ("歌舞厅", "KTV"), "R23": ("网吧",),
    "R25": ("理发店", "美容店"), "R26": ("浴室", "足浴店"), "R27": ("健身房",), "R28": ("学校",), "R29": ("幼儿园", "托育园"),
    "R32": ("诊所", "卫生室"), "R33": ("医院",), "R34": ("养老院",), "R36": ("工地",), "R39": ("装修工程",),
    "R41": ("出租房",), "R42": ("小区",), "R46": ("汽修厂", "驾校"), "R47": ("物流园", "仓储有限公司"), "R48": ("快递点",),
    "R61": ("废品回收站",), "R60": ("电动车行", "充电棚"), "R62": ("污水处理站",), "R59": ("储能电站",),
}  # fmt: skip
_SMALL_KIND = {
    "R04": "小生产加工", "R13": "小餐饮", "R14": "小餐饮", "R15": "小商店", "R18": "小旅馆", "R20": "小旅馆",
    "R21": "小歌舞娱乐", "R23": "小网吧", "R25": "小美容洗浴", "R26": "小美容洗浴", "R29": "小学校(幼儿园)", "R32": "小医院",
}  # fmt: skip
# Businesses that no rule names: some of the sites without a place type are such, so that their duty waits to be decided.
_NEW_BUSINESSES = (
    ("无人机起降场", "G5623"), ("宠物医院", "O8222"), ("检验检测有限公司", "M7452"), ("自习室", "R8890"), ("数据中心", "I6450"),
)  # fmt: skip
_SLEEPING = {"R18", "R19", "R20", "R33", "R34", "R41"}
_MIXED = {"R04", "R14", "R15", "R25", "R39", "R61", "R60", "R13"}


def duty_rows() -> list[dict[str, str]]:
    """The 68 rows of the duty table that ships with this package, as dictionaries of text."""
    text = resources.files(__package__).joinpath(DUTY_TABLE).read_text(encoding="utf-8-sig")
    return list(csv.DictReader(text.splitlines()))


@dataclass(frozen=True)
class Sites:
    """Parallel arrays, one entry per site; ids are 1, 2, …; `cell` is an index into the terrain or -1 (no cell)."""

    ids: Ints
    rule: NDArray[np.object_]
    level: NDArray[np.object_]
    nine_small: NDArray[np.object_]
    cell: Ints
    town: Ints
    points: Floats
    rows: list[tuple[object, ...]]

    @property
    def industrial(self) -> NDArray[np.bool_]:
        """Sites that may hold key risk source areas."""
        return np.isin(self.rule.astype(str), sorted(INDUSTRIAL | DANGER))


def build_sites(count: int, terrain: Terrain, as_of: date, rng: np.random.Generator) -> Sites:
    """`count` sites: in towns, the industrial zone and along what is built; about one in 150 lies in no cell.

    Deliberately: some have no place type (so no department can lead), some no hazard level, some stand on
    ground that no cell covers.
    """
    rules = np.array([row["code"] for row in duty_rows() if row["code"] not in NO_SITES])
    share = np.array([SHARE.get(code, 1.5) for code in rules], dtype=float)
    # Every place type appears before chance decides.
    drawn = np.r_[
        np.arange(min(len(rules), count)),
        rng.choice(len(rules), max(0, count - len(rules)), p=share / share.sum()),
    ]
    rule = rng.permutation(rules[drawn].astype(object))

    cell = _cells(rule, terrain, rng)
    points = _points(cell, terrain, rng)
    town = terrain.cell_town[cell].copy()

    outcasts = rng.choice(count, max(3, count // 150), replace=False)
    for site in outcasts.tolist():
        ground = terrain.no_cell[int(rng.integers(len(terrain.no_cell)))]
        spot = ground.geom.representative_point()
        points[site] = (spot.x, spot.y)
        cell[site] = -1
        town[site] = [t.code for t in facts.TOWNS].index(ground.town_code)
    # Several on one spot would hide one another.
    spread = rng.uniform(-12, 12, (len(outcasts), 2))
    points[outcasts] += spread

    level = _levels(rule, rng)
    people, vulnerability = _people(rule, rng)
    small = np.array([_SMALL_KIND.get(code) for code in rule.tolist()], dtype=object)
    kinds_of_code = {row["code"]: row["gbt4754"].split(";")[0].split("-")[0] for row in duty_rows()}
    kinds_of_code = {k: v if v.isascii() else "" for k, v in kinds_of_code.items()}

    brand = np.char.add(rng.choice(list(_HEADS), count), rng.choice(list(_TAILS), count))
    kind = np.array(
        [_pick(_KINDS.get(code, ("经营点",)), number) for number, code in enumerate(rule.tolist())]
    )
    # No place type: a deliberate gap, the department cannot be known.
    untyped = rng.choice(count, max(3, count // 60), replace=False)
    typed = rule.copy()
    typed[untyped] = None
    new_code = _new_businesses(untyped, kind)

    numbers = (rng.integers(0, 31**6 // 2) + np.arange(count, dtype=np.int64) * 7919) % 31**6
    sole = small != None  # noqa: E711 - elementwise
    uscc = np.where(
        sole, generate_uscc(facts.COUNTY, numbers, "2"), generate_uscc(facts.COUNTY, numbers, "1")
    )
    local = sole & (rng.random(count) < 0.12) & (cell >= 0)
    contact_names = rng.choice(list("王李张刘陈杨黄赵吴周徐孙朱高林何郭马罗"), count)
    tails = rng.integers(0, 10000, count)
    heads = rng.choice(["138", "139", "136", "150", "158", "186", "189"], count)
    cap = np.where(
        np.isin(rule.astype(str), sorted(DANGER)),
        4,
        np.where(np.isin(rule.astype(str), sorted(INDUSTRIAL)), 2, 1),
    )
    since = rng.integers(200, 4000, count)
    road_of_cell = nearest_main_road(terrain.cell_seeds)
    streets = np.where(cell >= 0, road_of_cell[cell], nearest_main_road(points))
    doors = rng.integers(1, 2999, count)
    local_number: dict[int, int] = {}
    rows: list[tuple[object, ...]] = []
    town_rows = facts.TOWNS
    ids = np.arange(1, count + 1)
    for i in range(count):
        c, t = int(cell[i]), town_rows[int(town[i])]
        code = terrain.cell_codes[c] if c >= 0 else None
        local_id = None
        if local[i]:
            local_number[c] = local_number.get(c, 0) + 1
            local_id = f"LOCAL:{code}-{local_number[c]}"
        rows.append(
            (
                int(ids[i]),
                None if local_id else str(uscc[i]),
                local_id,
                f"样例{brand[i]}{kind[i]}（{t.name_zh}{doors[i]}号）"
                if sole[i]
                else f"金山样例{brand[i]}{kind[i]}",
                f"上海市金山区{t.name_zh}{facts.MAIN_ROADS[streets[i]][0]}{doors[i]}号",
                typed[i],
                new_code.get(i, kinds_of_code[rule[i]]),
                "sole_trader" if sole[i] else ("above" if people[i] >= 100 else "below"),
                small[i],
                level[i],
                int(people[i]),
                vulnerability[i],
                (float(points[i, 0]), float(points[i, 1])),
                None if code is None else str(code),
                t.code,
                f"{contact_names[i]}**",
                f"{heads[i]}****{tails[i]:04d}",
                int(cap[i]),
                as_of - timedelta(days=int(since[i])),
            )
        )
    return Sites(ids, typed, level, small, cell, town, points, rows)


def _new_businesses(untyped: Ints, kind: NDArray[np.str_]) -> dict[int, str]:
    """Makes every other site without a place type one of a new business: its kind in place, its industry by site."""
    codes: dict[int, str] = {}
    for turn, site in enumerate(sorted(untyped.tolist())[::2]):
        kind[site], codes[site] = _NEW_BUSINESSES[turn % len(_NEW_BUSINESSES)]
    return codes


COLUMNS = (
    "id:int8 uscc:text local_id:text name_zh:text address:text rule_code:text gbt4754:text scale:text nine_small:text"
    " hazard_level:text people:int4 vulnerability:text geom:geometry cell_code:text town_code:text contact_name:text"
    " contact_phone:text visit_cap_per_year:int4 active_from:date"
)


def nearest_main_road(points: Floats) -> Ints:
    """Index into facts.MAIN_ROADS of the road that passes nearest to each point (n, 2), metres."""
    seats = {t.code[6:9]: t.seat_km for t in facts.TOWNS}
    roads = [
        shapely.LineString(np.array([seats[s] if isinstance(s, str) else s for s in stops]) * 1000)
        for _zh, _en, stops in facts.MAIN_ROADS
    ]
    return np.asarray(shapely.STRtree(roads).nearest(shapely.points(points)), dtype=np.int64)


def _pick(options: tuple[str, ...], number: int) -> str:
    return options[number % len(options)]


def _cells(rule: NDArray[np.object_], terrain: Terrain, rng: np.random.Generator) -> Ints:
    """A cell for each site: shops by urbanity, plants in the industrial zone and at town edges, farms outside."""
    urban, town = terrain.cell_urban, terrain.cell_town
    codes = [t.code for t in facts.TOWNS]
    zone = np.isin(
        town, [codes.index("310116503000"), codes.index("310116112000"), codes.index("310116109000")]
    )
    zhangyan = town == codes.index(facts.ZHANGYAN)
    works = sum(
        np.exp(-(((terrain.cell_seeds - np.array(spot) * 1000) ** 2).sum(axis=1) / radius**2))
        for spot, radius in facts.WORKS
    )
    weights = {
        "shop": 0.04 + urban,
        "plant": (0.12 + 3 * urban * (1 - urban) + 3 * works)
        * np.where(zone, 3.0, np.where(zhangyan, 2.6, 1.0)),
        "farm": (1 - urban) ** 2 + 0.02,
    }
    groups = np.where(
        np.isin(rule.astype(str), sorted(INDUSTRIAL | {"R05", "R12"})),
        "plant",
        np.where(np.isin(rule.astype(str), sorted(RURAL)), "farm", "shop"),
    )
    cell = np.zeros(len(rule), dtype=np.int64)
    for group, weight in weights.items():
        # Half of all cells of farmland hold nothing at all: that is not a gap.
        chance = weight * rng.lognormal(0, 0.7, len(weight))
        mine = groups == group
        cell[mine] = rng.choice(len(weight), int(mine.sum()), p=chance / chance.sum())
    return cell


def _points(cell: Ints, terrain: Terrain, rng: np.random.Generator) -> Floats:
    """A point inside each cell: between its seed and a corner, since a cell is star-shaped around its seed."""
    number = shapely.get_num_coordinates(terrain.cell_geoms)
    first = np.r_[0, np.cumsum(number)[:-1]]
    corners = shapely.get_coordinates(terrain.cell_geoms)
    corner = corners[first[cell] + np.floor(rng.random(len(cell)) * number[cell]).astype(int)]
    seed = terrain.cell_seeds[cell]
    return np.asarray(
        seed + (0.08 + 0.84 * np.sqrt(rng.random(len(cell))))[:, None] * (corner - seed), dtype=np.float64
    )


def _levels(rule: NDArray[np.object_], rng: np.random.Generator) -> NDArray[np.object_]:
    names = rule.astype(str)
    group = np.where(
        np.isin(names, sorted(DANGER)),
        "danger",
        np.where(np.isin(names, sorted(INDUSTRIAL)), "plant", "plain"),
    )
    level = np.full(len(rule), None, dtype=object)
    for key, chances in GRADES.items():
        mine = group == key
        level[mine] = np.array(LEVELS, dtype=object)[
            rng.choice(5, int(mine.sum()), p=np.array(chances) / sum(chances))
        ]
    return level


def _people(rule: NDArray[np.object_], rng: np.random.Generator) -> tuple[Ints, NDArray[np.object_]]:
    names = rule.astype(str)
    typical = np.where(np.isin(names, sorted(_SMALL_KIND)), 6.0, 40.0)
    typical = np.where(np.isin(names, ["R28", "R33", "R16", "R42"]), 420.0, typical)
    people = np.maximum(1, np.round(typical * rng.lognormal(0, 0.8, len(rule)))).astype(np.int64)
    vulnerability = np.full(len(rule), "normal", dtype=object)
    vulnerability[np.isin(names, sorted(_MIXED)) & (rng.random(len(rule)) < 0.35)] = "mixed"
    vulnerability[np.isin(names, sorted(_SLEEPING))] = "sleeping"
    vulnerability[np.isin(names, ["R29"])] = "sleeping"
    vulnerability[np.isin(names, sorted(_SLEEPING | {"R41"})) & (rng.random(len(rule)) < 0.2)] = "both"
    return people, vulnerability
