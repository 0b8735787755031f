"""CSV with a byte order mark, as spreadsheets expect it."""

import csv
from pathlib import Path
from typing import Any

from layers.export.content import Content
from layers.export.text_values import FORMULA_STARTS, local_time, position_names, positions


def write_csv(content: Content, target: Path) -> None:
    """Writes `target` in UTF-8 with BOM, or GB18030, which holds GBK. Times are ISO 8601 in the city's time with offset.

    A text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    zone = content.city["timezone"]
    encoding = "gb18030" if content.order.encoding == "gbk" else "utf-8-sig"
    with target.open("w", encoding=encoding, newline="") as out:
        writer = csv.writer(out)
        writer.writerow([*(one.name for one in content.fields), *position_names(content)])
        for piece in content.pieces():
            columns = [[_cell(v, zone) for v in values] for values in piece.values]
            columns += positions(content, piece)
            writer.writerows(zip(*columns, strict=True))


def _cell(value: Any, zone: str) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value[:1] in FORMULA_STARTS else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return local_time(value, zone) if hasattr(value, "tzinfo") else value
