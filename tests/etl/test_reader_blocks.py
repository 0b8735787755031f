"""Separated values by blocks: the same rows as the csv module gives, whatever the file holds."""

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from etl.readers import open_source, read_table
from geoapp.errors import Refused

_value = st.text(alphabet='ab ,"\n\r金\t;', max_size=5)
_text = st.lists(
    st.sampled_from(["a", "b", ",", ",", '"', '""', "\n", "\n", "\r\n", "金", " ", "\r", "|"]), max_size=60
).map("".join)


def _expected(text):
    """What the csv module makes of it: (row number, values of the two columns, whether the row is of another width)."""
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader)
    for row_no, record in enumerate(reader, start=2):
        if any(record):
            is_bad = len(record) < 2 or any(extra.strip() for extra in record[2:])
            blanks = " \t\r\n\u3000\u00a0\ufeff"
            values = [value.strip(blanks) or None for value in [*record, "", ""][:2]]
            yield row_no, values, is_bad


@settings(max_examples=150, deadline=None)
@given(text=_text, block=st.sampled_from([7, 30, 1 << 20]))
@example(text='a"b"c,d\n', block=1 << 20)
@example(text='"a"b,c\n', block=1 << 20)
@example(text='a,"b"" ""c"\n', block=1 << 20)
@example(text='a ,"b\nc"\nd,e\n', block=7)
@example(text=' "a",b\n', block=1 << 20)
@example(text='"",""\n,\na,b\n', block=1 << 20)
def test_blocks_give_the_rows_of_the_csv_module(tmp_path_factory, text, block):
    path = tmp_path_factory.mktemp("b") / "a.csv"
    path.write_bytes(("x,y\n" + text).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("etl.readers.blocks._FIRST", 4)  # the header alone
        patch.setattr("etl.readers.blocks._BLOCK", block)
        table = read_table(path)
    found = [
        (int(row_no), [table.columns["x"][row], table.columns["y"][row]], row in table.damaged)
        for row, row_no in enumerate(table.row_no)
    ]
    assert found == list(_expected("x,y\n" + text))


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.tuples(_value, _value), max_size=30),
    encoding=st.sampled_from(["utf-8", "gb18030", "utf-16"]),
)
def test_what_a_program_wrote_is_read_back(tmp_path_factory, rows, encoding):
    path = tmp_path_factory.mktemp("b") / "a.csv"
    with path.open("w", encoding=encoding, newline="") as stream:
        csv.writer(stream).writerows([("x", "y"), *rows])
    table = read_table(path, encoding=encoding)
    kept = [(x.strip() or None, y.strip() or None) for x, y in rows if x or y]
    assert list(zip(table.columns["x"], table.columns["y"], strict=True)) == kept


def test_rows_are_numbered_across_plain_and_other_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("etl.readers.blocks._BLOCK", 64)
    path = tmp_path / "a.csv"
    lines = [f"{n},x" for n in range(2, 200)]
    lines[50] = "52"  # too short
    lines[90] = '92,"two\nlines"'
    lines[120] = ""
    lines[150] = "152,\udcff"
    path.write_bytes(("x,y\n" + "\n".join(lines) + "\n").encode("utf-8", errors="surrogateescape"))
    with open_source(path, encoding="utf-8") as source:
        tables = list(source.chunks(20))
    numbers = [int(n) for table in tables for n in table.row_no]
    assert numbers == [n for n in range(2, 200) if n != 122]
    assert [v for table in tables for v in table.columns["x"]] == [str(n) for n in numbers]
    damaged = {int(table.row_no[row]): code for table in tables for row, (code, _) in table.damaged.items()}
    assert damaged == {52: "row_shape", 152: "undecodable"}


def test_an_open_quotation_mark_is_found_in_any_block(tmp_path, monkeypatch):
    monkeypatch.setattr("etl.readers.blocks._BLOCK", 64)
    path = tmp_path / "a.csv"
    path.write_text("x,y\n" + "1,a\n" * 99 + '2,"open\n' + "3,b\n" * 500, encoding="utf-8")
    with pytest.raises(Refused, match="line 101"):
        read_table(path)
