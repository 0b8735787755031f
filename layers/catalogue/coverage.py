"""Coverage: gaps by kind, cameras with sector and health, what was really observed, key risk areas."""

from layers.catalogue.colours import GREY, NAMES, NOT_KNOWN, OBSERVED, RISK
from layers.declaration import Classing, Layer, LegendClass, Style

GAP = (
    LegendClass("no_cell", "#C2185B", "无网格", "in no cell", "", "x"),
    LegendClass("no_camera", "#B5179E", "无在线摄像机看到", "no online camera sees it", "", "/"),
    LegendClass("not_observed", "#6A3FB5", "已接入但未查看", "connected, nobody looked", "", "\\"),
    LegendClass("no_grid_worker", "#2F6F73", "无网格员", "no grid worker", "", "x"),
    LegendClass("not_checked", "#A06A00", "检查超期", "check overdue", "", "-"),
)
HEALTH = (
    LegendClass("observed", "#1B7F5C", "看得到", "observed"),
    LegendClass(
        "picture",
        "#A06A00",
        "画面不能用（黑、冻结、遮挡、模糊）",
        "picture of no use: black, frozen, covered, blurred",
        "",
        "\\",
    ),
    LegendClass("no_answer", "#B5179E", "没有应答", "no answer", "", "/"),
    LegendClass("stale", "#6A3FB5", "太久没有查看", "not looked at lately", "", "-"),
    LegendClass("never_looked", "#4D5A66", "从未查看", "never looked at", "?", "/"),
    LegendClass("not_connected", "#8A8F98", "未接入", "not connected", "?", "x"),
)
HOURS = (
    LegendClass("over_90", "#1B7F5C", "看到 ≥90 %", "90 % and more observed"),
    LegendClass("under_90", "#7FB069", "看到 50–90 %", "50 to 90 % observed", "", "-"),
    LegendClass("under_half", "#D98E04", "看到不足一半", "less than half observed", "", "\\"),
    LegendClass("blind", "#B3001B", "一次也没看到", "nothing observed", "", "x"),
    LegendClass("not_due", "#C9CDD2", "没有应看的时刻", "nothing was due", "", "|"),
    LegendClass("not_connected", "#8A8F98", "未接入", "not connected", "?", "x"),
    NOT_KNOWN,
)
JOINED = (
    LegendClass("this_year", "#0B6E99", "今年接入", "joined this year", "0"),
    LegendClass("last_year", "#4F9DBF", "去年接入", "joined last year", "1"),
    LegendClass("two_years_ago", "#93C4DB", "前年接入", "joined two years ago", "2"),
    LegendClass("earlier", "#C9DCE6", "更早接入", "joined earlier", "…"),
    LegendClass("no_date", GREY, "未记接入日期", "day of joining not known", "?", "/"),
)

SEEN = (
    LegendClass("under", "#C2185B", "可见不足 60 %", "under 60 % seen", "", "/"),
    LegendClass("seen", "#0B7F6B", "可见 60 % 以上", "60 % or more seen"),
)

_SEEN = (
    "seen",
    "CASE WHEN s.seen_fraction >= analysis.parameter_value('seen_fraction_min') THEN 'seen' ELSE 'under' END",
)
_STATE = ("state", "CASE WHEN s.observed THEN 'observed' ELSE 'unobserved' END")
_HEALTH = ("health", "analysis.camera_health_class(s.observed, s.reason)")
_LOOKS = (
    Classing("state", "是否看到", "Observed", "state", OBSERVED),
    Classing("health", "健康", "Health", "health", HEALTH),
)
_CAMERA_DRAWER = (
    "gb_id",
    "since",
    "last_observed_at",
    "is_connected",
    "scene_kind",
    "cell_code",
    "town_code",
)

LAYERS = (
    Layer(
        id="camera_sector", name_zh="摄像机视域", name_en="Camera sectors", group="coverage", source="analysis.camera", kind="tiles",
        key="id", geometry="polygon", order=40, shape=("sector", "sector_3857"), computed=(_STATE, _HEALTH), past=True,
        fields={"state": "状态 / state", "is_online": "在线 / online", "health": "健康 / health"}, classings=_LOOKS,
        drawer=("name_zh", "reason", *_CAMERA_DRAWER), style=Style("fill", fill_opacity=0.25, symbol="sector"), versions=("camera", "camera_health"), min_zoom=11, clock_s=60,
    ),
    Layer(
        id="key_risk_area", name_zh="重点风险源区域", name_en="Key risk source areas", group="coverage",
        source="analysis.key_risk_area", kind="tiles", key="id", geometry="polygon", order=50,
        fields={"code": "编号 / code", "level": "等级 / level", "seen_fraction": "在线可见比例 / share seen", **NAMES,
                "seen": "是否看到 60 % / whether 60 % are seen", "joined": "接入年份 / year of joining"},
        computed=(_SEEN, ("joined", "analysis.onboarding_class(s.onboarded_on, {moment})")), past=True,
        versions=("key_risk_area", "camera", "camera_health", "parameter"), style=Style("fill", fill_opacity=0.3, line_px=1.8, symbol="keyRiskArea"),
        classings=(
            Classing("seen", "在线可见", "Seen online", "seen", SEEN),
            Classing("level", "等级", "Level", "level", (*RISK, NOT_KNOWN), empty="not_known"),
            Classing("joined", "接入年份", "Year of joining", "joined", JOINED),
        ),
        drawer=("site_name_zh", "kind", "onboarded_on", "area_m2", "camera_count", "online_camera_count", "cell_code", "town_code"),
        min_zoom=9, clock_s=60,
    ),
    Layer(
        id="coverage_gap", name_zh="监管盲区", name_en="Coverage gaps", group="coverage", source="analysis.coverage_gap_place",
        counted="analysis.coverage_gap_count",
        kind="tiles", key="gap_no", geometry="mixed", order=63, shape=("geom", ""), past=True, clock_s=300,
        versions=("cell", "no_cell", "unit", "simplified", "site", "camera", "camera_health", "key_risk_area", "incident", "inspection", "duty", "parameter"),
        style=Style("fill", fill_opacity=0.35, line_px=1.2), grouped_below=13, min_zoom=8, visible_by_default=False,
        fields={"kind": "类别 / kind", "subject": "对象 / subject", "subject_id": "对象编号 / id of the subject", **NAMES,
                "n": "处数 / number of gaps"},
        classings=(Classing("kind", "类别", "Kind", "kind", GAP),),
        drawer=("gap_id", "detail_zh", "detail_en", "since", "seen_fraction", "area_m2", "cell_code", "town_code"),
    ),
    Layer(
        id="observed_hours", name_zh="24 小时观察率", name_en="Observed camera-hours", group="coverage",
        source="analysis.observed_hours", kind="tiles", key="camera_id", geometry="point", order=70, past=True, clock_s=300,
        versions=("camera",), style=Style("point", radius_px=5), min_zoom=9, visible_by_default=False,
        fields={"class": "类别 / class", "observed_share": "看到的比例 / share observed"},
        classings=(Classing("class", "观察率", "Share observed", "class", HOURS),),
        drawer=("gb_id", "name_zh", "due", "observed", "unobserved", "looked_hours", "partly_hours", "blind_hours", "not_due_hours",
                "not_connected_hours", "not_known_hours", "cell_code", "town_code"),
    ),
    Layer(
        id="camera", name_zh="摄像机", name_en="Cameras", group="coverage", source="analysis.camera", kind="tiles", key="id",
        geometry="point", order=71, computed=(_STATE, _HEALTH), past=True, versions=("camera", "camera_health"), min_zoom=9,
        fields={"state": "状态 / state", "reason": "看不到的原因 / why not", "is_online": "在线 / online", "health": "健康 / health",
                "azimuth_deg": "朝向，度 / azimuth from grid north, degrees", "name_zh": "名称 / name, from zoom 14"},
        classings=_LOOKS, drawer=_CAMERA_DRAWER, style=Style("symbol", radius_px=4.6, symbol="camera"), clock_s=60,
    ),
)  # fmt: skip
