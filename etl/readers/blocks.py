"""Separated values a block of lines at a time: as Arrow columns where the lines are plain, else record by record.

Plain lines, by far the most, are parsed by Arrow, ten times as fast. A block with anything out of the ordinary (a
quotation mark that is open at the end of a line, a record of another width, a blank line, bytes that do not fit) goes
to the csv module instead, which says what is wrong with which row. Both give the same rows.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from geoapp.errors import Refused

__all__ = ["Columns", "Record", "can_go_by_blocks", "parts_of"]

_BLOCK = 8 << 20
# The header's block goes to the csv module.
_FIRST = 1 << 14
_LONGEST_LINE = 64 << 20
# A record over more lines than this is a quotation mark that was never closed.
_LONGEST_RECORD_LINES = 50


class Columns(NamedTuple):
    """Records `first_row`, `first_row + 1`, … of the file (the header is 1), as one Arrow array of strings a column."""

    first_row: int
    columns: list[pa.Array]


class Record(NamedTuple):
    """One record as the csv module reads it."""

    row_no: int
    values: list[str]


def can_go_by_blocks(sample: bytes, encoding: str) -> bool:
    """Whether lines can be told in the file's bytes: they end with a line feed, and each byte of one is only that."""
    return (
        not encoding.startswith("utf-16") and b"\n" in sample and sample.count(b"\r") <= sample.count(b"\r\n")
    )


def parts_of(path: Path, name: str, encoding: str, delimiter: str, width: int) -> Iterator[Columns | Record]:
    """All rows of the file in order, the header first. Raises Refused for a quotation mark that is never closed."""
    blocks = _texts(path, name, encoding)
    row_no, line_no = 1, 0
    for text in blocks:
        columns = _plain(text, delimiter, width) if row_no > 1 else None
        if columns is not None:
            yield Columns(row_no, columns)
            row_no += len(columns[0])
            line_no += len(columns[0])
            continue
        lines = _Lines(text, blocks)
        reader = csv.reader(lines, delimiter=delimiter)
        read = 0
        try:
            while lines.has_more():
                values = next(reader, None)
                if values is None:
                    break
                if reader.line_num - read > _LONGEST_RECORD_LINES:
                    at = line_no + read + 1
                    raise Refused(
                        f"{name}, 第 {at} 行 / line {at}: 引号没有闭合 / a quotation mark is "
                        "opened and never closed, so that rows run together; correct that line."
                    )
                read = reader.line_num
                yield Record(row_no, values)
                row_no += 1
        except csv.Error as fault:
            at = line_no + reader.line_num
            raise Refused(
                f"{name}, 第 {at} 行 / line {at}: 不是合法的 CSV / not valid CSV: {fault}."
            ) from None
        line_no += reader.line_num


class _Lines:
    """The lines of a block; it goes on into the next block only where a record does."""

    def __init__(self, text: str, blocks: Iterator[str]) -> None:
        self.stream = io.StringIO(text, newline="")
        self.left = len(text)
        self.blocks = blocks

    def has_more(self) -> bool:
        return self.left > 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        if not self.left:
            text = next(self.blocks, "")
            if not text:
                raise StopIteration
            self.stream, self.left = io.StringIO(text, newline=""), len(text)
        line = self.stream.readline()
        self.left -= len(line)
        return line


def _texts(path: Path, name: str, encoding: str) -> Iterator[str]:
    """The file's text in blocks of whole lines; bytes that do not fit are lone surrogates."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")
    rest = ""
    is_first = True
    with path.open("rb") as stream:
        while True:
            content = stream.read(min(_BLOCK, _FIRST) if is_first else _BLOCK)
            text = decoder.decode(content, final=not content)
            if is_first:
                text, is_first = text.removeprefix("\ufeff"), False
            rest += text
            end = rest.rfind("\n") + 1 if content else len(rest)
            if end:
                yield rest[:end]
            rest = rest[end:]
            if not content:
                return
            if len(rest) > _LONGEST_LINE:
                raise Refused(
                    f"{name}: 有一行过长 / has a line longer than {_LONGEST_LINE >> 20} million characters: "
                    "this is not a table of separated values."
                )


def _plain(text: str, delimiter: str, width: int) -> list[pa.Array] | None:
    """The block's columns; None where it is not plain."""
    try:
        content = text.encode("utf-8")
    except UnicodeEncodeError:  # bytes that did not fit
        return None
    if not content.endswith(b"\n") or not _are_plain_lines(content):
        return None
    wrong: list[object] = []

    def note(row: object) -> str:
        wrong.append(row)
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            read_options=pyarrow.csv.ReadOptions(
                column_names=[str(place) for place in range(width)],
                block_size=len(content) + 1,
                use_threads=False,
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=False,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={str(place): pa.string() for place in range(width)},
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowException:
        return None
    if wrong or len(table) != content.count(b"\n"):
        return None
    return [
        column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns
    ]


def _are_plain_lines(content: bytes) -> bool:
    """No blank line, no NUL, no carriage return but at the end of a line, no quotation mark open at one, none inside a value."""
    if (
        b"\x00" in content
        or b"\n\n" in content
        or b"\n\r\n" in content
        or content.startswith((b"\n", b"\r\n"))
    ):
        return False
    if content.count(b"\r") != content.count(b"\r\n"):
        return False
    if b'"' not in content:
        return True
    data = np.frombuffer(content, dtype=np.uint8)
    quotes = np.flatnonzero(data == ord('"'))
    ends = np.flatnonzero(data == ord("\n"))
    return bool((np.searchsorted(quotes, ends) % 2 == 0).all())
