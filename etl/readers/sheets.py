"""Spreadsheets: the cells of one sheet, a stretch of rows at a time."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from etl.readers.source import Source, clean_names, refuse_too_wide
from etl.readers.table import Table
from etl.readers.text import clean
from geoapp.errors import Refused

__all__ = ["open_workbook"]


def open_workbook(path: Path, *, layer: str | None, name: str) -> Source:
    """A sheet of an .xlsx; its first row names the columns. Raises Refused where it is damaged."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as fault:
        raise Refused(
            f"{name}: 不是完好的 .xlsx / is not a sound .xlsx file ({fault}); open it in a spreadsheet and save it again."
        ) from None
    sheet = book[_sheet(book.sheetnames, layer, name)]
    header = [
        str(value) if value is not None else "" for value in next(sheet.iter_rows(values_only=True), ())
    ]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise Refused(f"{name}: 没有表头 / has no header in its first row.")
    names, repeated = clean_names(header)
    refuse_too_wide(name, len(names))

    def read(source: Source, size: int) -> Iterator[Table]:
        return _tables(source, sheet.iter_rows(min_row=2, values_only=True), names, size)

    source = Source(
        path=path, name=name, read=read, column_names=list(dict.fromkeys(names)), repeated=repeated
    )
    source.closing.callback(book.close)
    return source


def _sheet(names: Sequence[str], layer: str | None, name: str) -> str:
    if layer is None and len(names) > 1:
        raise Refused(
            f"{name}: 有多个工作表 / has several sheets ({', '.join(names)}); name one with `layer`."
        )
    if layer is not None and layer not in names:
        raise Refused(f"{name}: 没有工作表 {layer!r} / has no sheet {layer!r}, but {', '.join(names)}.")
    return layer or names[0]


def _tables(source: Source, rows: Iterator[Sequence[Any]], names: list[str], size: int) -> Iterator[Table]:
    records: list[list[str | None]] = []
    numbers: list[int] = []
    width = len(names)
    for row_no, values in enumerate(rows, start=2):
        record = [as_text(value) for value in values[:width]]
        if any(value is not None for value in record):
            records.append(record + [None] * (width - len(record)))
            numbers.append(row_no)
        if len(records) == size:
            yield _table(source, records, numbers, names)
            records, numbers = [], []
    if records:
        yield _table(source, records, numbers, names)


def _table(source: Source, records: list[list[str | None]], numbers: list[int], names: list[str]) -> Table:
    held: dict[str, pa.Array] = {}
    for name, values in zip(names, zip(*records, strict=True), strict=True):
        held.setdefault(name, pa.array(values, type=pa.string()))
    return source.table(held, np.array(numbers, dtype=np.int64))


def as_text(value: Any) -> str | None:
    """A cell's value as the text that a person sees: codes that a spreadsheet made floats are whole again."""
    if value is None or isinstance(value, str):
        return clean(value) if value else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e18 else repr(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).removesuffix("T00:00:00")
    return clean(str(value))
