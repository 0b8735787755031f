"""The four levels of a hazard as files write them."""

__all__ = ["LEVELS"]

LEVELS = {
    "red": "red", "红": "red", "红色": "red", "重大": "red", "重大风险": "red",
    "orange": "orange", "橙": "orange", "橙色": "orange", "较大": "orange", "较大风险": "orange",
    "yellow": "yellow", "黄": "yellow", "黄色": "yellow", "一般": "yellow", "一般风险": "yellow",
    "blue": "blue", "蓝": "blue", "蓝色": "blue", "低": "blue", "低风险": "blue",
}  # fmt: skip
