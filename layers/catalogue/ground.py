"""The ground: base map, outlines and names of units, grid cells with the three lenses, ground in no cell, planned changes."""

from layers.catalogue.colours import NAMES, NO_SITE, RISK_LOOK
from layers.catalogue.duty import MISSING
from layers.declaration import Classing, Layer, LegendClass, Lens, Style

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
COVERAGE = (
    LegendClass("no_camera", "#B5179E", "无在线摄像机看到", "no online camera sees it", "", "/"),
    LegendClass("not_observed", "#6A3FB5", "已接入但未查看", "connected, nobody looked", "", "\\"),
    LegendClass("no_grid_worker", "#2F6F73", "无网格员", "no grid worker", "", "x"),
    LegendClass("not_checked", "#A06A00", "检查超期", "check overdue", "", "-"),
    LegendClass("clear", "#E9F1EA", "无盲区", "no gap"),
)
DUTY = (
    LegendClass("0", "#F4F2F8", "责任明确", "all duties held", "0"),
    LegendClass("1", "#CBC9E2", "缺口不超过 1/4", "to a quarter missing", "1", "/"),
    LegendClass("2", "#9E9AC8", "缺口 1/4–1/2", "a quarter to a half missing", "2", "/"),
    LegendClass("3", "#756BB1", "缺口 1/2–3/4", "a half to three quarters missing", "3", "/"),
    LegendClass("4", "#54278F", "缺口超过 3/4", "more than three quarters missing", "4", "x"),
)
# As analysis.duty_state; of a cell the gravest of its sites', else what the cell itself lacks.
DUTY_STATE = (
    *(one for one in MISSING if one.id not in ("no_grid_worker", "no_town_person")),
    *(one for one in MISSING if one.id == "no_grid_worker"),
    LegendClass("no_chief", "#8C6D31", "无网格长", "no chief of the cell", "", "|"),
    LegendClass("confirmed", "#F4F2F8", "责任明确", "all duties held"),
)
NO_CELL = (
    LegendClass("false", "#C2185B", "无网格（未声明）", "in no cell (not declared)", "", "x"),
    LegendClass("true", "#6B7280", "无网格（已声明）", "in no cell (declared)", "", "/"),
)
CHANGE = (
    LegendClass("before", "#8A8F98", "调整前的网格", "cell as it is"),
    LegendClass("after", "#0B6E99", "拟调整的网格", "cell as proposed", "", "/"),
)

LENSES = (
    Lens("risk", "风险", "Risk", "哪里可能出事？", "Where is it about to burn?", "analysis.risk_cell",
         (*RISK_LOOK, NO_SITE)),
    Lens("coverage", "盲区", "Coverage gaps", "哪里没人看？", "What does nobody watch?", "analysis.coverage_cell", COVERAGE),
    Lens("duty", "责任", "Missing duties", "哪里没人管？", "What does nobody answer for?", "analysis.duty_cell", DUTY,
         (Classing("share", "按比例", "by share", "class", DUTY), Classing("state", "按状态", "by state", "state", DUTY_STATE))),
)  # fmt: skip

_DRAWN_UNITS = "s.level IN ('county', 'town', 'community')"
_UNIT_FIELDS = {"level": "级别 / level", "code": "区划代码 / code", **NAMES}

LAYERS = (
    Layer(
        id="base", name_zh="底图", name_en="Base map", group="ground", source="territory.base_feature", kind="tiles", key="id",
        geometry="mixed", fields={"kind": "类别 / kind", **NAMES}, versions=("base",), order=0,
        style=Style("symbol", symbol="ground"), classings=(Classing("kind", "类别", "Kind", "kind", BASE),), scoped=False, switched=False,
    ),
    Layer(
        id="cell", name_zh="网格", name_en="Grid cells", group="ground", source="analysis.grid_cell", kind="tiles", key="cell_no",
        geometry="polygon", fields={"code": "网格编码 / 18-digit code", "town_code": "乡镇代码 / town"}, order=10,
        versions=("cell", "simplified"), style=Style("fill", line_px=0.6), lenses=LENSES, personal=("chief_name",),
        drawer=("name_zh", "community_zh", "town_zh", "area_m2", "worker_count"), past=True, switched=False,
    ),
    Layer(
        id="no_cell", name_zh="无网格地块", name_en="Ground in no cell", group="coverage", source="analysis.no_cell", kind="tiles",
        key="id", geometry="polygon", order=15, versions=("cell", "no_cell", "unit"), style=Style("fill", line_px=1.4, dash=(4, 3), symbol="noCell"),
        fields={"declared": "是否声明 / declared", "area_m2": "面积 / square metres", **NAMES},
        classings=(Classing("declared", "是否声明", "Declared", "declared", NO_CELL),), drawer=("reason", "declared_on", "town_code"),
    ),
    Layer(
        id="unit", name_zh="行政边界", name_en="Boundaries", group="ground", source="analysis.unit", kind="tiles", key="code",
        geometry="polygon", fields=_UNIT_FIELDS, versions=("unit", "simplified"), order=30, where=_DRAWN_UNITS,
        style=Style("line", line_px=1.2, symbol="border"),
        classings=(Classing("level", "级别", "Level", "level", UNIT),), drawer=("area_km2", "cell_count"),
    ),
    Layer(
        id="changeset", name_zh="网格调整方案", name_en="Planned changes of cells", group="ground", source="analysis.changeset_ground",
        kind="tiles", key="part_no", geometry="polygon", order=35, versions=("changeset", "cell"), style=Style("line", line_px=2, dash=(6, 3)),
        fields={"part": "前后 / before or after", "changeset_id": "方案编号 / changeset", "title": "方案 / title", "state": "状态 / state"},
        shape=("geom", ""), classings=(Classing("part", "前后", "Before and after", "part", CHANGE),),
        drawer=("reason", "town_code", "planned_at", "area_m2"), min_zoom=9, visible_by_default=False,
        roles=("committee", "planner", "admin"),
    ),
    Layer(
        id="unit_label", name_zh="地名", name_en="Names", group="ground", source="analysis.unit", kind="tiles", key="code",
        geometry="point", fields=_UNIT_FIELDS, versions=("unit",), order=99, style=Style("symbol"), where=_DRAWN_UNITS,
        classings=(Classing("level", "级别", "Level", "level", UNIT),), export=False, switched=False,
    ),
)  # fmt: skip
