"""Classes that several layers share, so that a colour means one thing on every screen."""

from layers.declaration import LegendClass

RED, ORANGE, YELLOW, BLUE, GREY = "#9B1B1E", "#E8743B", "#FBE05C", "#5AA9E6", "#C9CDD2"

RISK = (
    LegendClass("red", RED, "重大风险（红）", "major (red)", "I"),
    LegendClass("orange", ORANGE, "较大风险（橙）", "considerable (orange)", "II"),
    LegendClass("yellow", YELLOW, "一般风险（黄）", "moderate (yellow)", "III"),
    LegendClass("blue", BLUE, "低风险（蓝）", "low (blue)", "IV"),
)
UNGRADED = LegendClass("unknown", GREY, "未分级", "not graded", "?", "/")
NO_SITE = LegendClass("none", GREY, "无场所", "no site")
NOT_KNOWN = LegendClass("not_known", GREY, "不知道", "not known", "?", "/")

OBSERVED = (
    LegendClass("observed", "#1B7F5C", "看得到", "observed"),
    LegendClass("unobserved", "#8A8F98", "看不到（未知）", "unobserved (unknown)", "?", "/"),
)
REVIEW = (
    LegendClass("unreviewed", "#D7263D", "待核实", "not reviewed", "?"),
    LegendClass("confirmed", "#7A0C14", "已核实", "confirmed", "!"),
    LegendClass("permitted", "#2E7D4F", "有许可", "permitted", "✓"),
    LegendClass("false", "#8A8F98", "误报", "false alarm", "×"),
)
EVENT_KIND = (
    LegendClass("fire", "#B3001B", "明火", "fire", "F"),
    LegendClass("smoke", "#6C757D", "烟雾", "smoke", "S"),
    LegendClass("welding_arc", "#3A5FCD", "焊接弧光", "welding arc", "W"),
    LegendClass("sparks", "#C77700", "火花", "sparks", "*"),
)

NAMES = {"name_zh": "名称 / name in Chinese", "name_en": "英文名 / name in English"}
