"""Surfaces of risk and of events: hexagons of the scores around a place, squares of the events to be expected there."""

from layers.catalogue.colours import GREY
from layers.declaration import Classing, Layer, LegendClass, Style

# Light to dark of one colour: the more, the darker; never blue, which means calm.
RATE = (
    LegendClass("from_75", "#4A0D3B", "75 以上", "75 and more", "6"),
    LegendClass("from_55", "#7E1B57", "55–75", "55 to 75", "5"),
    LegendClass("from_45", "#AE3465", "45–55", "45 to 55", "4"),
    LegendClass("from_35", "#D55A68", "35–45", "35 to 45", "3"),
    LegendClass("from_20", "#EE9379", "20–35", "20 to 35", "2"),
    LegendClass("below_20", "#FBD3B0", "20 以下", "below 20", "1"),
    LegendClass("not_known", GREY, "附近几乎没有场所，不知道", "hardly a site near: not known", "?", "/"),
)
DENSITY = (
    LegendClass("from_100", "#3F1206", "每平方公里 100 以上", "100 per km² and more", "6"),
    LegendClass("from_30", "#7A2A0B", "30–100", "30 to 100", "5"),
    LegendClass("from_10", "#B04A12", "10–30", "10 to 30", "4"),
    LegendClass("from_3", "#DB7424", "3–10", "3 to 10", "3"),
    LegendClass("from_1", "#F4A95B", "1–3", "1 to 3", "2"),
    LegendClass("above_0", "#FBDDB0", "1 以下", "below 1", "1"),
    LegendClass("no_site", GREY, "核半径内没有登记的场所", "no site on record within the kernel", "?", "/"),
)
TENTH = (
    LegendClass("first", "#3B0F4F", "预期最多的十分之一", "the tenth where most is expected", "1"),
    LegendClass("second", "#7A2B73", "第二个十分之一", "the second tenth", "2"),
    LegendClass("third", "#B5567F", "第三个十分之一", "the third tenth", "3"),
    LegendClass("to_half", "#E294A0", "其后至一半", "to the half", "4"),
    LegendClass("rest", "#F6DDD6", "其余", "the rest", "5"),
)
_HEX = {
    "bandwidth_m": "核半径，米 / radius of the kernel, metres",
    "weight": "核权之和 / sum of the kernel's weights",
}

LAYERS = (
    Layer(
        id="risk_rate", name_zh="平均风险面", name_en="Mean risk around a place", group="risk", source="analysis.risk_surface", kind="tiles",
        key="hex_no", geometry="polygon", order=12, versions=("risk_surface",), past=True, past_near=True, known_by="risk", style=Style("fill", fill_opacity=0.6, line_px=0),
        fields={"rate_class": "平均分的档 / class", "rate": "周围场所的平均风险分 / mean score of the sites around", **_HEX},
        classings=(Classing("rate_class", "平均风险分", "Mean score", "rate_class", RATE, empty="not_known", ramp=True),),
        drawer=("density", "inside_share", "as_of"), visible_by_default=False, note="note_risk_surface",
    ),
    Layer(
        id="risk_density", name_zh="风险密度面", name_en="Density of risk", group="risk", source="analysis.risk_surface", kind="tiles",
        key="hex_no", geometry="polygon", order=13, versions=("risk_surface",), past=True, past_near=True, known_by="risk", style=Style("fill", fill_opacity=0.6, line_px=0),
        fields={"density_class": "密度的档 / class", "density": "风险密度，每平方公里 / weighted scores per km²", **_HEX},
        classings=(Classing("density_class", "风险密度", "Density", "density_class", DENSITY, empty="no_site", ramp=True),),
        drawer=("rate", "inside_share", "as_of"), visible_by_default=False, note="note_risk_surface",
    ),
    Layer(
        id="event_surface", name_zh="事件预期面（28 天）", name_en="Events to be expected (28 days)", group="risk",
        source="analysis.expected_event", kind="tiles", key="place", geometry="polygon", order=14, versions=("expected_event",),
        style=Style("fill", fill_opacity=0.6, line_px=0),
        fields={"band": "档 / class", "expected": "28 天内预期事件数 / events to be expected in 28 days"},
        classings=(Classing("band", "预期事件", "Events expected", "band", TENTH, ramp=True),),
        drawer=("share", "cut_day", "made_at", "cell_code", "town_code"), past=True, past_worked_out=True, visible_by_default=False, note="note_expected_event",
    ),
)  # fmt: skip
