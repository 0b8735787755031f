"""CSV, TSV and the like, a stretch of rows at a time."""

import csv
import io
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from etl.encoding import decode
from etl.readers.blocks import Columns, Record, can_go_by_blocks, parts_of
from etl.readers.source import Source, clean_names, refuse_too_wide
from etl.readers.table import Table
from geoapp.errors import Refused

__all__ = ["open_delimited"]

# A record over more lines than this is a quotation mark that was never closed.
_LONGEST_RECORD_LINES = 50
_LONGEST_VALUE = 16 << 20
_LONGEST_LINE = 32 << 20
_SAMPLE = 16 << 20


def open_delimited(path: Path, *, encoding: str | None, name: str) -> Source:
    """A file of separated values; its first record names the columns.

    Raises Refused where the encoding cannot be told or is another than declared, or there is no header.
    """
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE)
    decoded = decode(sample, encoding, what=name)
    found, evidence = decoded.encoding, decoded.evidence
    if len(sample) == _SAMPLE:
        evidence += f" (its first {_SAMPLE >> 20} MB)"
    first = decoded.text.removeprefix("\ufeff").split("\n", 1)[0][:_LONGEST_LINE]
    delimiter = max("\t,;|", key=first.count) if path.suffix.lower() != ".tsv" else "\t"
    records = _records(path, name, found, delimiter)
    _, header = next(records, (0, None))
    records.close()
    if header is None:
        raise Refused(f"{name}: 没有表头 / has no header line.")
    names, repeated = clean_names(header)
    refuse_too_wide(name, len(names))

    del decoded  # its text is long
    by_blocks = can_go_by_blocks(sample, found)

    def read(source: Source, size: int) -> Iterator[Table]:
        if by_blocks:
            parts: Iterator[Columns | Record] = parts_of(path, name, found, delimiter, len(names))
        else:
            parts = (Record(*record) for record in _records(path, name, found, delimiter))
        return _tables(source, parts, names, size)

    return Source(
        path=path,
        name=name,
        read=read,
        column_names=list(dict.fromkeys(names)),
        repeated=repeated,
        encoding=found,
        evidence=evidence,
    )


def _lines(stream: io.TextIOBase, name: str) -> Iterator[str]:
    for number in range(1 << 62):
        line = stream.readline(_LONGEST_LINE)
        if not line:
            return
        if len(line) >= _LONGEST_LINE:
            raise Refused(
                f"{name}: 第 {number + 1} 行过长 / line {number + 1} is longer than {_LONGEST_LINE >> 20} million characters: "
                "this is not a table of separated values."
            )
        yield line.removeprefix("\ufeff") if number == 0 else line


def _records(
    path: Path, name: str, encoding: str, delimiter: str
) -> Generator[tuple[int, list[str]], None, None]:
    """Each record with its number, the header being 1. Raises Refused for a quotation mark that is never closed."""
    csv.field_size_limit(_LONGEST_VALUE)
    errors = "replace" if encoding.startswith("utf-16") else "surrogateescape"
    with path.open("r", encoding=encoding, errors=errors, newline="") as stream:
        reader = csv.reader(_lines(stream, name), delimiter=delimiter)
        last_line = 0
        row_no = 0
        try:
            for record in reader:
                if reader.line_num - last_line > _LONGEST_RECORD_LINES:
                    raise Refused(
                        f"{name}, 第 {last_line + 1} 行 / line {last_line + 1}: 引号没有闭合 / a quotation mark is "
                        "opened and never closed, so that rows run together; correct that line."
                    )
                last_line = reader.line_num
                row_no += 1
                yield row_no, record
        except csv.Error as fault:
            raise Refused(
                f"{name}, 第 {reader.line_num} 行 / line {reader.line_num}: 不是合法的 CSV / not valid CSV: {fault}."
            ) from None


def _tables(
    source: Source, parts: Iterator[Columns | Record], names: list[str], size: int
) -> Iterator[Table]:
    rows: list[list[str]] = []
    numbers: list[int] = []
    marked: dict[int, tuple[str, str]] = {}
    width = len(names)
    for part in parts:
        if isinstance(part, Columns):
            if rows:
                yield _table(source, rows, numbers, marked, names)
                rows, numbers, marked = [], [], {}
            yield from _stretches(source, part, names, size)
            continue
        row_no, record = part
        if row_no == 1 or not any(record):
            continue
        if len(record) != width:
            if len(record) < width or any(extra.strip() for extra in record[width:]):
                marked[len(rows)] = ("row_shape", f"{len(record)} of {width}")
            record = (record + [""] * width)[:width]
        rows.append(record)
        numbers.append(row_no)
        if len(rows) == size:
            yield _table(source, rows, numbers, marked, names)
            rows, numbers, marked = [], [], {}
    if rows:
        yield _table(source, rows, numbers, marked, names)


def _stretches(source: Source, part: Columns, names: list[str], size: int) -> Iterator[Table]:
    """The rows of a block that hold anything, at most `size` at a time."""
    held: dict[str, pa.Array] = {}
    for name, column in zip(names, part.columns, strict=True):
        held.setdefault(name, column)
    row_no = np.arange(part.first_row, part.first_row + len(part.columns[0]), dtype=np.int64)
    blank = np.ones(len(row_no), dtype=bool)
    for column in part.columns:
        blank &= np.asarray(pc.binary_length(column)) == 0
        if not blank.any():
            break
    else:
        wanted = pa.array(~blank)
        held = {name: column.filter(wanted) for name, column in held.items()}
        row_no = row_no[~blank]
    for start in range(0, len(row_no), size):
        yield source.table(
            {name: column.slice(start, size) for name, column in held.items()}, row_no[start : start + size]
        )


def _table(
    source: Source,
    rows: list[list[str]],
    numbers: list[int],
    marked: dict[int, tuple[str, str]],
    names: list[str],
) -> Table:
    held: dict[str, pa.Array] = {}
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        try:
            column = pa.array(values, type=pa.string())
        except UnicodeEncodeError:  # bytes that do not fit the encoding
            column, bad = _without_unfit(values)
            for row in bad:
                marked[row] = ("undecodable", source.encoding or "")
        held.setdefault(name, column)
    return source.table(held, np.array(numbers, dtype=np.int64), marked=marked)


def _without_unfit(values: tuple[str, ...]) -> tuple[pa.Array, list[int]]:
    texts = [
        value.encode("utf-8", errors="replace").decode() if value.isascii() else _shown(value)
        for value in values
    ]
    bad = [row for row, (text, value) in enumerate(zip(texts, values, strict=True)) if text != value]
    return pa.array(texts, type=pa.string()), bad


def _shown(value: str) -> str:
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in value)
