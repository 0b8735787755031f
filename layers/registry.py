"""The layers of the map, declared once: panel, legend, TileJSON, export and tests read this and nothing else.

Geometry is EPSG:3857 inside tiles (extent 4096) and EPSG:4326 in GeoJSON. Colours are CSS hex; every class that means
"not known" or "a gap" is hatched, so that it never looks like a calm colour, and risk carries numerals as a second cue.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from geoapp.access.caller import ROLES
from geoapp.errors import Refused

Hatch = Literal["", "/", "\\", "x", "-", "|"]


@dataclass(frozen=True, slots=True)
class LegendClass:
    """One class of a legend: `id` is the value in the data, `numeral` a cue for those who cannot tell the colours."""

    id: str
    colour: str
    name_zh: str
    name_en: str
    numeral: str = ""
    hatch: Hatch = ""


@dataclass(frozen=True, slots=True)
class Lens:
    """A question asked of every cell: `/lens/{id}.json` gives the class of each cell by cell_no."""

    id: str
    name_zh: str
    name_en: str
    question_zh: str
    question_en: str
    source: str
    classes: tuple[LegendClass, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer.

    source: the analysts' view behind it. kind: how the browser gets it (`tiles` or `features`). key: the column whose
    value is the feature's id. fields: properties of a feature and what they mean. class_field: the property that the
    classes colour. versions: rows of territory.layer_version that change its content. clock_s: seconds after which a
    content that depends on the time of day is asked for again; 0 = it does not. export: a query that gives the rows
    for a file, where it is not `source` as it is. Zooms are tile zooms (512 px tiles: map zoom − 1).
    roles: who may see it at all; which rows of it, the database decides. scoped: whether callers of different areas get
    different rows (else one copy serves all). personal: columns of a file that name or reach a person.
    """

    id: str
    name_zh: str
    name_en: str
    source: str
    kind: Literal["tiles", "features"]
    key: str
    geometry: Literal["polygon", "line", "point", "mixed"]
    fields: dict[str, str]
    versions: tuple[str, ...]
    classes: tuple[LegendClass, ...] = ()
    class_field: str = ""
    lenses: tuple[Lens, ...] = ()
    min_zoom: int = 0
    max_zoom: int = 14
    visible_by_default: bool = True
    clock_s: int = 0
    export: bool = True
    roles: tuple[str, ...] = ROLES
    scoped: bool = True
    personal: tuple[str, ...] = ()


RED, ORANGE, YELLOW, BLUE, GREY = "#9B1B1E", "#E8743B", "#FBE05C", "#5AA9E6", "#C9CDD2"

RISK = (
    LegendClass("red", RED, "重大风险（红）", "major (red)", "I"),
    LegendClass("orange", ORANGE, "较大风险（橙）", "considerable (orange)", "II"),
    LegendClass("yellow", YELLOW, "一般风险（黄）", "moderate (yellow)", "III"),
    LegendClass("blue", BLUE, "低风险（蓝）", "low (blue)", "IV"),
)
UNGRADED = LegendClass("unknown", GREY, "未分级", "not graded", "?", "/")

COVERAGE = (
    LegendClass("no_camera", "#B5179E", "无在线摄像机看到", "no online camera sees it", "", "/"),
    LegendClass("not_observed", "#6A3FB5", "已接入但未查看", "connected, nobody looked", "", "\\"),
    LegendClass("no_grid_worker", "#2F6F73", "无网格员", "no grid worker", "", "x"),
    LegendClass("not_checked", "#A06A00", "检查超期", "check overdue", "", "-"),
    LegendClass("clear", "#E9F1EA", "无盲区", "no gap"),
)
NO_CELL = (
    LegendClass("false", "#C2185B", "无网格（未声明）", "in no cell (not declared)", "", "x"),
    LegendClass("true", "#6B7280", "无网格（已声明）", "in no cell (declared)", "", "/"),
)
DUTY = (
    LegendClass("0", "#F4F2F8", "责任明确", "all duties held", "0"),
    LegendClass("1", "#CBC9E2", "缺口不超过 1/4", "to a quarter missing", "1", "/"),
    LegendClass("2", "#9E9AC8", "缺口 1/4–1/2", "a quarter to a half missing", "2", "/"),
    LegendClass("3", "#756BB1", "缺口 1/2–3/4", "a half to three quarters missing", "3", "/"),
    LegendClass("4", "#54278F", "缺口超过 3/4", "more than three quarters missing", "4", "x"),
)
REVIEW = (
    LegendClass("unreviewed", "#D7263D", "待核实", "not reviewed", "?"),
    LegendClass("confirmed", "#7A0C14", "已核实", "confirmed", "!"),
    LegendClass("permitted", "#2E7D4F", "有许可", "permitted", "✓"),
    LegendClass("false", "#8A8F98", "误报", "false alarm", "×"),
)
OBSERVED = (
    LegendClass("observed", "#1B7F5C", "看得到", "observed"),
    LegendClass("unobserved", "#8A8F98", "看不到（未知）", "unobserved (unknown)", "?", "/"),
)
BASE = (
    LegendClass("sea", "#CFE3EE", "海", "sea"),
    LegendClass("water", "#CFE3EE", "水面", "water"),
    LegendClass("river", "#B9D6E6", "河流", "river"),
    LegendClass("motorway", "#E3B778", "高速公路", "motorway"),
    LegendClass("main_road", "#EBD9B0", "主要道路", "main road"),
    LegendClass("road", "#E4E4E0", "道路", "road"),
    LegendClass("railway", "#9A9A9A", "铁路", "railway"),
    LegendClass("green", "#DCE8D2", "绿地", "green"),
    LegendClass("built_up", "#ECE7DF", "建成区", "built-up"),
)
UNIT = (
    LegendClass("county", "#3B3F46", "区界", "district"),
    LegendClass("town", "#5D6470", "镇界", "town"),
    LegendClass("community", "#A3A9B3", "社区（村）界", "community"),
)

LENSES = (
    Lens("risk", "风险", "Risk", "哪里可能出事？", "Where is it about to burn?", "analysis.risk_cell",
         (*RISK, LegendClass("no_owner", "#7A6A9B", "低风险但无人负责", "low, but nobody answers", "", "x"),
          LegendClass("no_data", GREY, "无数据（无场所、全部未知或陈旧）", "no data (no site, or all unknown or old)", "?", "/"))),
    Lens("coverage", "盲区", "Coverage gaps", "哪里没人看？", "What does nobody watch?", "analysis.coverage_cell", COVERAGE),
    Lens("duty", "责任", "Missing duties", "哪里没人管？", "What does nobody answer for?", "analysis.duty_cell", DUTY),
)  # fmt: skip

_NAMES = {"name_zh": "名称 / name in Chinese", "name_en": "英文名 / name in English"}

LAYERS: dict[str, Layer] = {
    layer.id: layer
    for layer in (
        Layer(
            id="base", name_zh="底图", name_en="Base map", source="territory.base_feature", kind="tiles", key="id",
            geometry="mixed", fields={"kind": "类别 / kind", **_NAMES}, versions=("base",), classes=BASE, class_field="kind",
            scoped=False,
        ),
        Layer(
            id="unit", name_zh="行政边界", name_en="Boundaries", source="analysis.unit", kind="tiles", key="code",
            geometry="polygon", fields={"level": "级别 / level", "code": "区划代码 / code", **_NAMES}, versions=("unit",),
            classes=UNIT, class_field="level",
        ),
        Layer(
            id="unit_label", name_zh="地名", name_en="Names", source="analysis.unit", kind="tiles", key="code",
            geometry="point", fields={"level": "级别 / level", "code": "区划代码 / code", **_NAMES}, versions=("unit",),
            class_field="level", export=False,
        ),
        Layer(
            id="cell", name_zh="网格", name_en="Grid cells", source="analysis.grid_cell", kind="tiles", key="cell_no",
            geometry="polygon", fields={"code": "网格编码 / 18-digit code", "town_code": "乡镇代码 / town"},
            versions=("cell",), lenses=LENSES, personal=("chief_name",),
        ),
        Layer(
            id="no_cell", name_zh="无网格地块", name_en="Ground in no cell", source="analysis.no_cell", kind="tiles", key="id",
            geometry="polygon", fields={"declared": "是否声明 / declared", "area_m2": "面积 / square metres", **_NAMES},
            versions=("cell", "no_cell", "unit"), classes=NO_CELL, class_field="declared",
        ),
        Layer(
            id="key_risk_area", name_zh="重点风险源区域", name_en="Key risk source areas", source="analysis.key_risk_area",
            kind="tiles", key="id", geometry="polygon",
            fields={"code": "编号 / code", "level": "等级 / level", "seen_fraction": "在线可见比例 / share seen", **_NAMES},
            versions=("key_risk_area", "camera", "camera_health"), classes=RISK, class_field="level", min_zoom=9, clock_s=60,
        ),
        Layer(
            id="camera_sector", name_zh="摄像机视域", name_en="Camera sectors", source="analysis.camera", kind="tiles", key="id",
            geometry="polygon", fields={"state": "状态 / state", "is_online": "在线 / online"},
            versions=("camera", "camera_health"), classes=OBSERVED, class_field="state", min_zoom=11, clock_s=60, export=False,
        ),
        Layer(
            id="site", name_zh="场所", name_en="Sites", source="analysis.site", kind="tiles", key="id", geometry="point",
            fields={"hazard_level": "固有等级 / inherent grade", "n": "场所数 / number of sites", "name_zh": "名称 / name, from zoom 14"},
            versions=("site",), classes=(*RISK, UNGRADED), class_field="hazard_level", min_zoom=8, clock_s=3600,
            visible_by_default=False,
        ),
        Layer(
            id="camera", name_zh="摄像机", name_en="Cameras", source="analysis.camera", kind="tiles", key="id", geometry="point",
            fields={"state": "状态 / state", "reason": "看不到的原因 / why not", "is_online": "在线 / online",
                    "azimuth_deg": "朝向，度 / azimuth from grid north, degrees", "name_zh": "名称 / name, from zoom 14"},
            versions=("camera", "camera_health"), classes=OBSERVED, class_field="state", min_zoom=9, clock_s=60,
        ),
        Layer(
            id="incident", name_zh="事件", name_en="Incidents", source="analysis.event", kind="features", key="incident_no",
            geometry="point",
            fields={"class": "类别 / class", "state": "状态 / state", "review": "核实 / review", "first_seen_at": "首次看到 / first seen",
                    "last_seen_at": "最近看到 / last seen"},
            versions=("incident",), classes=REVIEW, class_field="review", personal=("reviewed_by",),
        ),
    )
}  # fmt: skip


def layer(name: str, roles: Iterable[str] = ROLES) -> Layer:
    """The declaration of a layer that one of `roles` may see; raises Refused, with the names for them, for any other."""
    found = layers_for(roles)
    if name not in found:
        raise Refused(f"没有图层 {name} / no layer {name!r}. Known: {', '.join(found)}.")
    return found[name]


def layers_for(roles: Iterable[str]) -> dict[str, Layer]:
    """The layers that one of `roles` may see, by id, in drawing order."""
    held = set(roles)
    return {name: declared for name, declared in LAYERS.items() if held.intersection(declared.roles)}


def lens(name: str) -> Lens:
    """The declaration of a lens; raises Refused, with the known names, for any other."""
    for found in LENSES:
        if found.id == name:
            return found
    raise Refused(f"没有专题 {name} / no lens {name!r}. Known: {', '.join(lens.id for lens in LENSES)}.")
