"""Rows that were kept aside as a workbook: a clerk corrects the cells, and `geoapp load … --corrected` takes it in again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

from etl.correction import ABOUT_SHEET, ROWS_SHEET
from etl.report.wrong_columns import wrong_columns
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = [
    "GEOMETRY",
    "LONGEST_CELL",
    "OF_PACKAGE",
    "about_batch",
    "batch_of",
    "own_columns",
    "rejected_rows",
    "write_workbook",
]

Connection = psycopg.Connection[dict[str, Any]]
LONGEST_CELL = 32_767
GEOMETRY = "geometry"
"""Name under which staging keeps a row's shape, and of the column that holds it as WKT."""
_WRONG = PatternFill("solid", fgColor="FFF4CCCC")
_SAID = PatternFill("solid", fgColor="FFF3F3F3")
_HEAD = Font(bold=True)
_TOP = Alignment(wrap_text=True, vertical="top")
_OURS = ("GeoApp 行号 row", "GeoApp 原因 reason", "GeoApp 怎么改 what to do")
OF_PACKAGE = ("geoapp_row", "geoapp_reason")
"""Names of the same columns in a GeoPackage."""
_MOST_COMMENTS = 20_000
_HELP = (
    "1. 在 rows 表里改标红的单元格；灰色的三列（行号、原因、怎么改）不会导入，不必改。",
    "2. 整行不要了就删去；*** 或带星号的号码是隐去的，须填回原值，否则仍会留置。",
    "3. 保存后交给管理员（导入页可交回），用 geoapp load 清单.yaml --corrected 本文件 导入。",
    "4. 改不了的，请问数据提供方；原文件不受影响。",
    "1. Correct the red cells of the sheet rows; the three grey columns are not loaded.",
    "2. Delete rows that are not wanted; *** or starred numbers were hidden: put the real value back, or the row stays aside.",
    "3. Save it and hand it in (page of imports), or have it loaded: geoapp load MANIFEST.yaml --corrected THIS FILE.",
    "4. What you cannot correct, ask the provider of; the file it came from is left as it is.",
)


def batch_of(connection: Connection, batch_id: int) -> dict[str, Any]:
    """The batch. Raises Refused where there is none, or it kept no row aside."""
    found = connection.execute(
        "SELECT id, section, file, frame, file_columns, columns_used, rows_rejected FROM staging.batch WHERE id = %s",
        (batch_id,),
    ).fetchone()
    if found is None:
        raise Refused(f"没有批次 {batch_id} / there is no import {batch_id}. `geoapp load list` shows them.")
    if not found["rows_rejected"]:
        raise Refused(f"批次 {batch_id} 没有留置的行 / batch {batch_id} kept no row aside.")
    return found


def about_batch(batch: dict[str, Any], *, geometry: str | None) -> dict[str, str]:
    """What a file of corrected rows says of itself, for etl.correction."""
    said = {"batch": batch["id"], "section": batch["section"], "file": batch["file"], "frame": batch["frame"]}
    said["geometry"] = geometry
    return {key: str(value) for key, value in said.items() if value is not None}


def own_columns(batch: dict[str, Any]) -> list[str]:
    """The file's columns in their order, without those that an earlier workbook of ours had added."""
    return [str(name) for name in batch["file_columns"] if name not in (*_OURS, *OF_PACKAGE)]


def rejected_rows(connection: Connection, batch_id: int) -> Iterator[dict[str, Any]]:
    """Each row that the batch kept aside, in the file's order, a thousand at a time."""
    with connection.cursor(name="rejected_rows") as cursor:
        cursor.itersize = 1000
        yield from cursor.execute(read_sql("staging/rejected_rows").encode(), {"batch_id": batch_id})


def write_workbook(connection: Connection, batch_id: int, target: Path) -> tuple[int, int]:
    """Writes the rows that a batch kept aside, in the file's own columns, to an .xlsx; streams, whatever their number.

    Cells that a reason names are red, with the reason as a comment. All cells are text: codes stay whole, and nothing is a
    formula. Gives how many rows were written, and how many were left out since their shape is too long for a cell
    (etl.report.long_shapes has those). Raises Refused where there is no such batch, or it kept no row aside.
    """
    batch = batch_of(connection, batch_id)
    has = connection.execute(
        "SELECT bool_or(columns ? 'geometry') AS shapes FROM staging.rejected WHERE batch_id = %s",
        (batch_id,),
    ).fetchone()
    assert has is not None
    columns = own_columns(batch)
    has_shapes = bool(has["shapes"]) and GEOMETRY not in columns
    columns += [GEOMETRY] if has_shapes else []
    book = Workbook(write_only=True)
    rows, left_out = _write_rows(book.create_sheet(ROWS_SHEET), connection, batch, columns)
    about = book.create_sheet(ABOUT_SHEET)
    for pair in about_batch(batch, geometry=GEOMETRY if has_shapes else None).items():
        about.append([_cell(about, text) for text in pair])
    guide = book.create_sheet("说明")
    guide.column_dimensions["A"].width = 110
    for line in (*_HELP, *_left_out(left_out, batch_id)):
        guide.append([_cell(guide, line)])
    partial = target.with_name(f".{target.name}.part")
    try:
        book.save(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return rows, left_out


def _left_out(count: int, batch_id: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (
        f"另有 {count} 行的图形太长，放不进单元格：geoapp load rejected {batch_id} 把它们写进 GeoPackage。",
        f"{count} more row(s) have shapes too long for a cell: geoapp load rejected {batch_id} writes them to a GeoPackage.",
    )


def _write_rows(
    sheet: WriteOnlyWorksheet, connection: Connection, batch: dict[str, Any], columns: list[str]
) -> tuple[int, int]:
    names = [*columns, *_OURS]
    sheet.freeze_panes = "A2"
    for place, name in enumerate(names, start=1):
        width = 44 if name in _OURS[1:] else min(max(10, 2 * len(name)), 30)
        sheet.column_dimensions[get_column_letter(place)].width = width
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(names))}{batch['rows_rejected'] + 1}"
    sheet.append([_cell(sheet, name, font=_HEAD) for name in names])
    count = left_out = comments = 0
    for row in rejected_rows(connection, batch["id"]):
        held = row["columns"]
        if len(held.get(GEOMETRY) or "") > LONGEST_CELL:
            left_out += 1
            continue
        wrong = wrong_columns(row["reasons"], batch["columns_used"], columns)
        cells = []
        for name in columns:
            note = wrong.get(name)
            comments += note is not None
            cells.append(
                _cell(
                    sheet,
                    held.get(name),
                    fill=_WRONG if note else None,
                    note=note if comments <= _MOST_COMMENTS else None,
                )
            )
        sheet.append([*cells, *_our_cells(sheet, row)])
        count += 1
    return count, left_out


def _our_cells(sheet: WriteOnlyWorksheet, row: dict[str, Any]) -> list[WriteOnlyCell]:
    reasons = row["reasons"]
    said = _lines(f"{r['zh']} / {r['en']}" for r in reasons)
    todo = _lines(f"{r['fix_zh']} / {r['fix_en']}" for r in reasons if r["fix_zh"])
    return [_cell(sheet, text, fill=_SAID) for text in (str(row["row_no"]), said, todo)]


def _lines(texts: Iterator[str]) -> str:
    return "\n".join(dict.fromkeys(texts))


def _cell(
    sheet: WriteOnlyWorksheet,
    value: str | None,
    *,
    fill: PatternFill | None = None,
    font: Font | None = None,
    note: str | None = None,
) -> WriteOnlyCell:
    text = ILLEGAL_CHARACTERS_RE.sub("\ufffd", value)[:LONGEST_CELL] if value else None
    cell = WriteOnlyCell(sheet, text)
    if text:
        cell.data_type = "s"  # whatever it begins with, it is text
        cell.number_format = "@"
    if fill is not None:
        cell.fill = fill
        cell.alignment = _TOP
    if font is not None:
        cell.font = font
    if note is not None:
        cell.comment = Comment(note[:1000], "GeoApp", height=120, width=320)
    return cell
