"""Duty: what nobody answers for, place by place."""

from layers.catalogue.colours import NAMES
from layers.declaration import Classing, Layer, LegendClass, Style

MISSING = (
    LegendClass("missing", "#54278F", "无牵头部门", "no lead department", "0", "x"),
    LegendClass("two_leads", "#C0392B", "两个牵头部门", "two leads", "2", "\\"),
    LegendClass("disputed", "#D98E04", "有争议", "disputed", "!", "/"),
    LegendClass("proposed", "#756BB1", "待确认", "not confirmed", "?", "/"),
    LegendClass("no_person", "#9E9AC8", "无责任人", "no named person", "", "-"),
    LegendClass("no_grid_worker", "#2F6F73", "无网格员", "no grid worker", "", "x"),
    LegendClass(
        "no_town_person", "#1F4E79", "乡镇（区）无负责人", "no leader of the town or district", "", "|"
    ),
)

LAYERS = (
    Layer(
        id="duty_gap", name_zh="责任缺口", name_en="Missing duties", group="duty", source="analysis.duty_gap_place", kind="tiles",
        key="gap_no", geometry="mixed", order=62, shape=("geom", ""), past=True, clock_s=300,
        versions=("cell", "simplified", "unit", "site", "duty"), style=Style("fill", fill_opacity=0.3, line_px=1.2), grouped_below=13, min_zoom=8,
        visible_by_default=False,
        fields={"class": "类别 / what is missing", "subject": "对象 / subject", "subject_id": "对象编号 / id of the subject", **NAMES,
                "n": "处数 / number of gaps"},
        classings=(Classing("class", "类别", "What is missing", "class", MISSING),),
        drawer=("gap_id", "kind", "status", "rule_code", "cell_code", "town_code"),
    ),
)  # fmt: skip
