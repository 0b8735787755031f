"""Rows that were kept aside, corrected by a clerk in the workbook that was made for it, on their way in again."""

from pathlib import Path

import openpyxl

from etl.manifest import Manifest, Section
from geoapp.errors import Refused

__all__ = ["ABOUT_SHEET", "ROWS_SHEET", "correction"]

ROWS_SHEET = "rows"
"""Sheet of the rows, with the file's own columns."""
ABOUT_SHEET = "geoapp"
"""Sheet that says where the rows come from: section, file, batch, frame, one `key, value` a line."""


def correction(manifest: Manifest, workbook: Path) -> Manifest:
    """The manifest with one file only: the corrected workbook, in place of the file that its rows come from.

    Raises Refused where the workbook is not one that GeoApp made, or its section is not in the manifest.
    """
    about = _about(workbook)
    section = next(
        (s for s in manifest.in_order() if s.name == about["section"] and s.shown_file == about["file"]), None
    )
    if section is None:
        raise Refused(
            f"{workbook.name}: 其中的行来自 {about['section']} 的 {about['file']}，清单里没有 / its rows come from {about['file']} "
            f"({about['section']}), which the manifest does not name."
        )
    changed = section.from_correction(workbook, ROWS_SHEET, about.get("frame"), about.get("geometry"))
    kept: dict[str, list[Section]] = {name: [] for name in type(manifest).model_fields if name != "city"}
    return manifest.model_copy(update={**kept, section.name: [changed]})


def _about(workbook: Path) -> dict[str, str]:
    try:
        book = openpyxl.load_workbook(workbook, read_only=True)
    except FileNotFoundError:
        raise Refused(f"找不到文件 {workbook} / There is no file {workbook}.") from None
    except Exception as fault:  # openpyxl raises whatever the damaged part makes it raise
        raise Refused(
            f"{workbook.name}: 不是完好的 .xlsx / is not a sound .xlsx file ({type(fault).__name__})."
        ) from None
    try:
        if ABOUT_SHEET not in book.sheetnames or ROWS_SHEET not in book.sheetnames:
            raise Refused(
                f"{workbook.name}: 不是 GeoApp 给出的更正表 / is not a workbook of kept-aside rows that GeoApp made: it needs the "
                f"sheets {ROWS_SHEET!r} and {ABOUT_SHEET!r}. Name other files in a manifest."
            )
        return {
            str(row[0]): str(row[1])
            for row in book[ABOUT_SHEET].iter_rows(values_only=True)
            if len(row) > 1 and row[0] is not None and row[1] is not None
        }
    finally:
        book.close()
