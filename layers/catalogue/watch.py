"""The watch: incidents that go on, and those of a window of days."""

from layers.catalogue.colours import EVENT_KIND, REVIEW
from layers.declaration import Classing, Layer, Style

_CLASSINGS = (
    Classing("review", "核实", "Review", "review", REVIEW),
    Classing("class", "类别", "Kind", "class", EVENT_KIND),
)
_FIELDS = {"class": "类别 / class", "state": "状态 / state", "review": "核实 / review", "first_seen_at": "首次看到 / first seen",
           "last_seen_at": "最近看到 / last seen"}  # fmt: skip
_DRAWER = ("id", "camera_name_zh", "site_name_zh", "key_risk_area_zh", "peak_score", "observation_count", "permit_state",
           "placing_method", "semi_major_m", "cell_code", "town_code")  # fmt: skip

LAYERS = (
    Layer(
        id="incident_past", name_zh="历史事件线索", name_en="Past incidents", group="watch", source="analysis.event", kind="tiles",
        key="incident_no", geometry="point", fields=_FIELDS | {"n": "起数 / number of incidents"}, versions=("incident",), order=80,
        classings=_CLASSINGS, drawer=_DRAWER, style=Style("point", radius_px=4), personal=("reviewed_by",), since_field="first_seen_at",
        grouped_below=13, min_zoom=6, visible_by_default=False,
    ),
    Layer(
        id="incident", name_zh="事件", name_en="Incidents", group="watch", source="analysis.event", kind="features",
        key="incident_no", geometry="point", fields=_FIELDS, versions=("incident",), order=90, classings=_CLASSINGS, drawer=_DRAWER,
        style=Style("symbol", symbol="incident"), personal=("reviewed_by",),
        where="s.state <> 'closed' OR s.last_seen_at >= {moment} - interval '24 hours'", clock_s=60,
    ),
)  # fmt: skip
