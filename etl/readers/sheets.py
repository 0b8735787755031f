"""Spreadsheets: the cells of one sheet, a stretch of rows at a time."""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from etl.readers.archives import refuse_bomb
from etl.readers.source import Source, clean_names, refuse_too_wide
from etl.readers.table import Table
from etl.readers.text import clean
from geoapp.errors import Refused

__all__ = ["open_old_workbook", "open_workbook"]

_FAULTS = (
    zipfile.BadZipFile,
    NotImplementedError,  # a version or packing that zipfile does not know
    zlib.error,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    SyntaxError,
)


def open_workbook(path: Path, *, layer: str | None, name: str) -> Source:
    """A sheet of an .xlsx; its first row names the columns. Raises Refused where it is damaged."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(path) as packed:
            refuse_bomb(packed, name)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, *_FAULTS) as fault:
        raise _damaged(name, fault) from None
    try:
        sheet = book[_sheet(book.sheetnames, layer, name)]
        if not hasattr(sheet, "iter_rows"):
            raise Refused(
                f"{name}: {sheet.title} 是图表 / is a chart, not a table; name another sheet with `layer`."
            )
        # Some programs write a wrong extent, which would hide rows.
        sheet.reset_dimensions()
        source = _source(path, name, lambda: sheet.iter_rows(values_only=True))
    except _FAULTS as fault:
        book.close()
        raise _damaged(name, fault) from None
    except BaseException:
        book.close()
        raise
    source.closing.callback(book.close)
    return source


def open_old_workbook(path: Path, *, layer: str | None, name: str) -> Source:
    """A sheet of an .xls, .xlsb or .ods; its first row names the columns. Raises Refused where it is damaged."""
    import python_calamine

    try:
        book = python_calamine.load_workbook(str(path))
        sheet = book.get_sheet_by_name(_sheet(book.sheet_names, layer, name))
        rows = sheet.to_python(skip_empty_area=False)
    except python_calamine.PasswordError:
        raise Refused(f"{name}: 文件有密码 / is locked by a password; save it without one.") from None
    except (python_calamine.CalamineError, OSError, *_FAULTS) as fault:
        raise _damaged(name, fault) from None
    except BaseException as fault:  # its parser gives up with a kind of its own
        if type(fault).__name__ != "PanicException":
            raise
        raise _damaged(name, fault) from None
    return _source(path, name, lambda: iter(rows))


def _source(path: Path, name: str, rows: Callable[[], Iterator[Sequence[Any]]]) -> Source:
    """The sheet's rows, the first of which names the columns."""
    header = [as_text(value) or "" for value in next(rows(), ())]
    while header and not header[-1]:
        header.pop()
    if not header:
        raise Refused(f"{name}: 没有表头 / has no header in its first row.")
    names, repeated = clean_names(header)
    refuse_too_wide(name, len(names))

    def read(source: Source, size: int) -> Iterator[Table]:
        try:
            yield from _tables(source, islice(rows(), 1, None), names, size)
        except _FAULTS as fault:
            raise _damaged(name, fault) from None

    return Source(path=path, name=name, read=read, column_names=list(dict.fromkeys(names)), repeated=repeated)


def _damaged(name: str, fault: BaseException) -> Refused:
    said = " ".join(str(fault).split())[:200]
    kind = Path(name).suffix
    return Refused(
        f"{name}: 不是完好的 {kind} / is not a sound {kind} file ({said}); open it in a spreadsheet and save it again."
    )


def _sheet(names: Sequence[str], layer: str | None, name: str) -> str:
    # Our own exports say on a second sheet what they are.
    tables = [found for found in names if found != "about"] or list(names)
    if layer is None and len(tables) > 1:
        raise Refused(
            f"{name}: 有多个工作表 / has several sheets ({', '.join(names)}); name one with `layer`."
        )
    if layer is not None and layer not in names:
        raise Refused(f"{name}: 没有工作表 {layer!r} / has no sheet {layer!r}, but {', '.join(names)}.")
    return layer or tables[0]


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
