"""Rows that were kept aside, corrected by a clerk in the workbook that was made for it, on their way in again."""

from pathlib import Path

import openpyxl
import pyogrio

from etl.manifest import Manifest, Section
from geoapp.errors import Refused

__all__ = ["ABOUT_SHEET", "ROWS_SHEET", "about", "correction"]

ROWS_SHEET = "rows"
"""Sheet of the rows, with the file's own columns."""
ABOUT_SHEET = "geoapp"
"""Sheet that says where the rows come from: section, file, batch, frame, one `key, value` a line."""


def correction(manifest: Manifest, workbook: Path) -> Manifest:
    """The manifest with one file only: the corrected workbook, in place of the file that its rows come from.

    Raises Refused where the workbook is not one that GeoApp made, or its section is not in the manifest.
    """
    said = about(workbook)
    section = next(
        (s for s in manifest.in_order() if s.name == said["section"] and s.shown_file == said["file"]), None
    )
    if section is None:
        raise Refused(
            f"{workbook.name}: 其中的行来自 {said['section']} 的 {said['file']}，清单里没有 / its rows come from {said['file']} "
            f"({said['section']}), which the manifest does not name."
        )
    changed = section.from_correction(workbook, ROWS_SHEET, said.get("frame"), said.get("geometry"))
    kept: dict[str, list[Section]] = {name: [] for name in type(manifest).model_fields if name != "city"}
    return manifest.model_copy(update={**kept, section.name: [changed]})


def about(workbook: Path) -> dict[str, str]:
    """What a workbook (or GeoPackage) of kept-aside rows says of itself. Raises Refused where GeoApp did not make it."""
    if not workbook.exists():
        raise Refused(f"找不到文件 {workbook} / There is no file {workbook}.")
    found = _of_geopackage(workbook) if workbook.suffix.lower() == ".gpkg" else _of_workbook(workbook)
    if found is None:
        raise Refused(
            f"{workbook.name}: 不是 GeoApp 给出的更正表 / is not a workbook of kept-aside rows that GeoApp made: it needs the "
            f"sheets {ROWS_SHEET!r} and {ABOUT_SHEET!r}. Name other files in a manifest."
        )
    if "section" not in found or "file" not in found:
        raise Refused(
            f"{workbook.name}: 工作表 {ABOUT_SHEET!r} 不全，请重新下载更正表 / its sheet {ABOUT_SHEET!r} does not say which file the rows "
            "come from: leave that sheet as it was made."
        )
    return found


def _of_workbook(workbook: Path) -> dict[str, str] | None:
    try:
        book = openpyxl.load_workbook(workbook, read_only=True)
    except Exception as fault:  # openpyxl raises whatever the damaged part makes it raise
        raise Refused(
            f"{workbook.name}: 不是完好的 .xlsx / is not a sound .xlsx file ({type(fault).__name__})."
        ) from None
    try:
        if ABOUT_SHEET not in book.sheetnames or ROWS_SHEET not in book.sheetnames:
            return None
        return {
            str(row[0]): str(row[1])
            for row in book[ABOUT_SHEET].iter_rows(values_only=True)
            if len(row) > 1 and row[0] is not None and row[1] is not None
        }
    finally:
        book.close()


def _of_geopackage(package: Path) -> dict[str, str] | None:
    try:
        layers = {str(name) for name, _ in pyogrio.list_layers(package)}
        if not {ROWS_SHEET, ABOUT_SHEET} <= layers:
            return None
        rows = pyogrio.read_dataframe(package, layer=ABOUT_SHEET, read_geometry=False)
    except pyogrio.errors.DataSourceError:
        raise Refused(f"{package.name}: 不是完好的 GeoPackage / is not a sound GeoPackage.") from None
    return {str(key): str(value) for key, value in zip(rows["key"], rows["value"], strict=True)}
