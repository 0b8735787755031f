"""The watch: incidents that go on, those of a window of days, and how many lie where."""

from layers.catalogue.colours import EVENT_KIND, REVIEW
from layers.declaration import Classing, Layer, LegendClass, Style

# Light to dark of one colour, as the surfaces.
AMOUNT = (
    LegendClass("from_100", "#3F1206", "100 起以上", "100 and more", "6"),
    LegendClass("from_30", "#7A2A0B", "30–99 起", "30 to 99", "5"),
    LegendClass("from_10", "#B04A12", "10–29 起", "10 to 29", "4"),
    LegendClass("from_5", "#DB7424", "5–9 起", "5 to 9", "3"),
    LegendClass("from_2", "#F4A95B", "2–4 起", "2 to 4", "2"),
    LegendClass("one", "#FBDDB0", "1 起", "one", "1"),
)

_CLASSINGS = (
    Classing("review", "核实", "Review", "review", REVIEW),
    Classing("class", "类别", "Kind", "class", EVENT_KIND),
)
_FIELDS = {"class": "类别 / class", "state": "状态 / state", "review": "核实 / review", "first_seen_at": "首次看到 / first seen",
           "last_seen_at": "最近看到 / last seen"}  # fmt: skip
_DRAWER = ("id", "camera_name_zh", "site_name_zh", "key_risk_area_zh", "peak_score", "observation_count", "permit_state",
           "placing_method", "semi_major_m", "cell_code", "town_code")  # fmt: skip

LAYERS = (
    # Its tiles have a route of their own (layers/event_heat.py): bins of the tile, any window, one class or all.
    Layer(
        id="event_heat", name_zh="事件热力", name_en="Events by place", group="watch", source="analysis.event_heat", kind="tiles",
        key="bin_no", geometry="polygon", order=16, versions=("event_bin",), style=Style("bins", fill_opacity=0.9, line_px=0),
        fields={"n": "事件数 / number of events", "events": "事件数 / number of events", "amount": "起数的档 / class of the number",
                "fire": "明火 / fire", "smoke": "烟雾 / smoke", "welding_arc": "焊接弧光 / welding arc", "sparks": "火花 / sparks",
                "side_m": "方格边长，米 / side of the square, metres"},
        classings=(Classing("amount", "每格起数", "Events in a square", "amount", AMOUNT, ramp=True),),
        drawer=("first_day", "last_day"), since_field="first_day", between=True, visible_by_default=False,
    ),
    Layer(
        id="incident_past", name_zh="历史事件线索", name_en="Past incidents", group="watch", source="analysis.event", kind="tiles",
        key="incident_no", geometry="point", fields=_FIELDS | {"n": "起数 / number of incidents"}, versions=("incident",), order=80,
        classings=_CLASSINGS, drawer=_DRAWER, style=Style("point", radius_px=4), personal=("reviewed_by",), since_field="first_seen_at",
        grouped_below=13, min_zoom=6, visible_by_default=False,
    ),
    Layer(
        id="incident", name_zh="事件", name_en="Incidents", group="watch", source="analysis.event", kind="features",
        key="incident_no", geometry="point", fields=_FIELDS, versions=("incident",), order=90, classings=_CLASSINGS[::-1], drawer=_DRAWER,
        style=Style("symbol", symbol="incident"), personal=("reviewed_by",),
        where="s.state <> 'closed' OR s.last_seen_at >= {moment} - interval '24 hours'", clock_s=60,
    ),
)  # fmt: skip
