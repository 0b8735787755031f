"""Risk: the score of every cell and of every site, and the sites themselves."""

from layers.catalogue.colours import GREY, NO_SITE, RISK, RISK_LOOK, UNGRADED
from layers.declaration import Classing, Ground, Layer, LegendClass, Style

CATEGORY = (
    LegendClass("industry", "#7A4B1F", "工贸与危化", "industry", "工"),
    LegendClass("nine_small", "#C0392B", "九小场所", "nine small places", "九"),
    LegendClass("public", "#1F6FB2", "公共场所", "public places", "公"),
    LegendClass("construction", "#D98E04", "建筑施工", "construction", "建"),
    LegendClass("transport", "#3E7C59", "交通运输", "transport", "交"),
    LegendClass("utility", "#6A3FB5", "燃气与公用", "utilities", "用"),
    LegendClass("emerging", "#B5179E", "新业态", "emerging trades", "新"),
    LegendClass("no_type", GREY, "类型不明或无规则", "no known type or no rule", "?", "/"),
)

# What a score follows from.
_SCORED = ("site", "key_risk_area", "camera", "camera_health", "incident", "inspection", "duty", "parameter")

LAYERS = (
    Layer(
        id="risk_cell", name_zh="网格风险", name_en="Risk of cells", group="risk", source="analysis.risk_cell", kind="tiles",
        key="cell_no", geometry="polygon", order=11, versions=("cell", "simplified", "unit", *_SCORED),
        style=Style("fill", line_px=0.6), ground=Ground("territory.grid_cell", "code", "cell_code"), past=True, clock_s=60,
        fields={"look": "风险等级或无数据、无人负责 / level, or no data, or no owner", "score": "风险分 / score", "cell_code": "网格编码 / 18-digit code"},
        classings=(Classing("look", "风险等级", "Level", "look", (*RISK_LOOK, NO_SITE), empty="none"),),
        drawer=("level", "site_count", "top_site_id", "has_duty_gap", "is_stale", "unknown_site_count", "town_code"),
        visible_by_default=False,
    ),
    Layer(
        id="site", name_zh="场所", name_en="Sites", group="risk", source="analysis.site", kind="tiles", key="id", geometry="point",
        fields={"hazard_level": "固有等级 / inherent grade", "n": "场所数 / number of sites", "name_zh": "名称 / name, from zoom 14",
                "category": "大类 / category of its type, from zoom 12"},
        versions=("site", "duty"), order=60, by_key=True, style=Style("symbol", radius_px=3.2, symbol="site"), past=True,
        classings=(
            Classing("hazard_level", "固有等级", "Inherent grade", "hazard_level", (*RISK, UNGRADED), empty="unknown"),
            Classing("category", "场所大类", "Category", "category", CATEGORY, empty="no_type", from_zoom=12),
        ),
        drawer=("uscc", "address", "place_type_zh", "people", "vulnerability", "lead_zh", "duty_status", "last_check_at",
                "open_hazard_count", "cell_code", "town_code"),
        grouped_below=12, min_zoom=8, clock_s=3600, visible_by_default=False,
    ),
    Layer(
        id="risk_site", name_zh="场所风险", name_en="Risk of sites", group="risk", source="analysis.risk_site", kind="tiles",
        counted="analysis.risk_look_count",
        key="site_id", geometry="point", order=61, versions=("cell", "unit", *_SCORED),
        style=Style("point", radius_px=4), ground=Ground("registry.site", "id", "site_id"), past=True, clock_s=60,
        fields={"look": "风险等级或无数据、无人负责 / level, or no data, or no owner", "score": "风险分 / score", "n": "场所数 / number of sites"},
        classings=(Classing("look", "风险等级", "Level", "look", RISK_LOOK, empty="no_data"),),
        drawer=("level", "confidence", "inherent", "dynamic", "control", "override_zh", "override_en", "reasons", "unknown_parts", "is_stale", "has_duty_gap",
                "cell_code", "town_code"),
        grouped_below=13, min_zoom=8, visible_by_default=False,
    ),
)  # fmt: skip
