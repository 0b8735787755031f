"""XLSX: codes as text, no formula ever, the header frozen and filtered, and a sheet that says what the file is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import shapely
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from layers.export.about import about
from layers.export.content import Content, Piece
from layers.export.text_values import FORMULA_STARTS, digits, position_names, positions

# Excel's own limits.
CELL_CHARACTERS = 32_767
SHEET_ROWS = 1_048_576
_BOLD = Font(bold=True)


def write_workbook(content: Content, target: Path) -> None:
    """Writes `target`: the rows on the first sheet (further sheets where Excel's are full), then the sheet `about`.

    Times are in the city's time. A shape whose WKT a cell cannot hold is a note with its box.
    """
    book = Workbook(write_only=True)
    try:
        _fill(book, content)
        book.save(target)
    except BaseException:
        # openpyxl keeps each sheet in a temporary file and would delete it when the process ends: rows of people lie in it.
        for sheet in book.worksheets:
            sheet.close()
            Path(sheet._writer.out).unlink(missing_ok=True)
        raise


def _fill(book: Workbook, content: Content) -> None:
    names = [*(one.name for one in content.fields), *position_names(content)]
    rows = _rows(content)
    more, number = True, 0
    while more:
        number += 1
        title = content.order.register.id[:25] + ("" if number == 1 else f"_{number}")
        more = _sheet(book, title, names, rows)
    _about_sheet(book, content)


def _sheet(book: Workbook, title: str, names: list[str], rows: Iterator[list[Any]]) -> bool:
    """One sheet of rows; whether it was filled to the last."""
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for n, name in enumerate(names, 1):
        sheet.column_dimensions[get_column_letter(n)].width = max(10, min(28, len(name) + 4))
    sheet.append([_bold(sheet, name) for name in names])
    written = 1
    for row in rows:
        sheet.append([_cell(sheet, v) for v in row])
        written += 1
        if written == SHEET_ROWS:
            break
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(names))}{written}"
    return written == SHEET_ROWS


def _rows(content: Content) -> Iterator[list[Any]]:
    zone = ZoneInfo(content.city["timezone"])
    for piece in content.pieces():
        columns = [[_local(v, zone) for v in values] for values in piece.values]
        columns += _shown(content, piece)
        yield from (list(row) for row in zip(*columns, strict=True))


def _local(value: Any, zone: ZoneInfo) -> Any:
    """Excel knows no time zones: moments are the city's."""
    return value.astimezone(zone).replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def _shown(content: Content, piece: Piece) -> list[list[Any]]:
    found = positions(content, piece)
    if content.family == "point" or piece.shapes is None:
        return found
    return [
        [
            text if text is None or len(text) <= CELL_CHARACTERS else _too_long(text, shape, digits(content))
            for text, shape in zip(found[0], piece.shapes, strict=True)
        ]
    ]


def _too_long(text: str, shape: Any, places: int) -> str:
    box = ", ".join(f"{side:.{places}f}" for side in shapely.bounds(shape))
    return f"图形过长（{len(text)} 字符），请用 .gpkg / too long for a cell ({len(text)} characters): use .gpkg. bbox: {box}"


def _cell(sheet: Any, value: Any) -> Any:
    if isinstance(value, str):
        return _text(sheet, value)
    if isinstance(value, float) and float(f"{value:.16g}") != value:
        # openpyxl writes 16 digits, a double may need 17: a coordinate that came in goes out as it came.
        cell = WriteOnlyCell(sheet, repr(value))
        cell.data_type = "n"
        return cell
    return value


def _text(sheet: Any, value: str) -> Any:
    """A text cell, whatever it looks like."""
    shown = ILLEGAL_CHARACTERS_RE.sub("", value)
    if len(shown) > CELL_CHARACTERS:
        shown = shown[: CELL_CHARACTERS - 1] + "…"
    if shown[:1] not in FORMULA_STARTS:
        return shown
    cell = WriteOnlyCell(sheet, shown)
    cell.data_type = "s"
    cell.quotePrefix = True
    return cell


def _bold(sheet: Any, value: str) -> Any:
    cell = WriteOnlyCell(sheet, value)
    cell.font = _BOLD
    return cell


def _about_sheet(book: Workbook, content: Content) -> None:
    sheet = book.create_sheet("about")
    sheet.column_dimensions["A"].width = 22
    sheet.column_dimensions["B"].width = 60
    sheet.column_dimensions["C"].width = 60
    for key, value in about(content).items():
        sheet.append([_bold(sheet, key), _text(sheet, value)])
    sheet.append([])
    sheet.append([_bold(sheet, text) for text in ("列 / column", "含义", "meaning")])
    for one in content.fields:
        sheet.append([one.name, *one.meaning])
    geographic = content.order.frame.is_geographic
    for name in position_names(content):
        zh, en = _POSITIONS[name]
        sheet.append([name, zh, en if name != "wkt" or geographic else en.replace("degrees", "metres")])


_POSITIONS = {
    "lon": ("经度，度", "longitude, degrees"),
    "lat": ("纬度，度", "latitude, degrees"),
    "x": ("东坐标，米", "easting, metres"),
    "y": ("北坐标，米", "northing, metres"),
    "wkt": ("图形（WKT）", "shape, WKT, degrees"),
}
