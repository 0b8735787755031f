"""What a file says about itself: which frame, when, whose rows, how exact."""

from zoneinfo import ZoneInfo

from layers.export.content import Content
from layers.export.order import Order

# What survives a round trip through each format.
PRECISION = {
    ".gpkg": "坐标为双精度，时间到毫秒 / coordinates as double numbers, times to the millisecond",
    ".parquet": "坐标为双精度，时间到微秒 / coordinates as double numbers, times to the microsecond",
    ".fgb": "坐标为双精度，时间到毫秒 / coordinates as double numbers, times to the millisecond",
    ".shp.zip": "坐标为双精度，文本最长 254 字节 / coordinates as double numbers, texts to 254 bytes",
    ".geojson": "9 位小数（0.1 毫米） / 9 decimals, 0.1 mm",
    ".json": "9 位小数（0.1 毫米） / 9 decimals, 0.1 mm",
    ".xlsx": "度 9 位小数、米 4 位小数（0.1 毫米），时间到毫秒 / 9 decimals of a degree or 4 of a metre, 0.1 mm; times to the millisecond",
    ".csv": "度 9 位小数、米 4 位小数（0.1 毫米） / 9 decimals of a degree or 4 of a metre, 0.1 mm",
}


def frame_words(wanted: Order) -> str:
    """The frame in words; for GCJ-02 and BD-09, that they are no CRS."""
    name = wanted.frame.name
    if name == "gcj02":
        return "GCJ-02（高德、腾讯），不是坐标参考系，无 EPSG 编码 / GCJ-02 (Gaode, Tencent): no CRS, no EPSG code"
    if name == "bd09":
        return "BD-09（百度），不是坐标参考系，无 EPSG 编码 / BD-09 (Baidu): no CRS, no EPSG code"
    if wanted.frame.epsg == 4326:
        return "WGS 84, EPSG:4326"
    if wanted.frame.epsg == 4490:
        return "CGCS2000, EPSG:4490"
    zone = "，本市投影带 / the city's zone" if wanted.frame.epsg == wanted.srid else ""
    return f"EPSG:{wanted.frame.epsg}{zone}"


def about(content: Content) -> dict[str, str]:
    """Title, frame, date, scope, rows and precision, in the order in which they are shown."""
    wanted = content.order
    register = wanted.register
    zone = ZoneInfo(content.city["timezone"])
    moment = content.at.astimezone(zone)
    span = {"as_of": wanted.span.moment, "from": wanted.span.since, "to": wanted.span.until}
    return {
        "register": f"{register.id}: {register.name_zh} / {register.name_en}",
        "city": f"{content.city['name_zh']} / {content.city['name_en']} ({content.city['code']})",
        "frame": frame_words(wanted) if content.family else "无图形 / no geometry",
        "frame_name": wanted.frame.name if content.family else "",
        "exported_at": moment.isoformat(timespec="seconds"),
        **{
            name: at.astimezone(zone).isoformat(timespec="seconds")
            for name, at in span.items()
            if at is not None
        },
        "scope": content.scope,
        "rows": str(content.rows),
        "personal": ", ".join(content.personal) or "—",
        "precision": PRECISION[wanted.ending],
    }


def one_line(content: Content) -> str:
    """The same as one line, for descriptions."""
    return "; ".join(f"{key}: {value}" for key, value in about(content).items())
