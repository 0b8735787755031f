"""Value checks: columns of objects and Arrow columns give the same, and what the row-by-row rules said before."""

import re
import unicodedata
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import checks
from etl.checks.values import as_objects
from etl.reasons import Findings
from geoapp.registry.identifiers import generate_uscc, uscc_problem

CODES = generate_uscc("310116", np.arange(5)).tolist()


def column(values, kind):
    return (
        np.array([*values, None], dtype=object)[:-1] if kind == "objects" else pa.array(values, pa.string())
    )


def both(check, values, *given, **options):
    """What a check makes of a column of either kind, and its findings: the same."""
    found = {}
    for kind in ("objects", "arrow"):
        findings = Findings(len(values))
        out = check(column(values, kind), findings, *given, **options)
        assert isinstance(out, pa.Array) == (kind == "arrow")
        assert len(out) == len(values)
        found[kind] = (
            list(as_objects(out)),
            dict(findings.reasons),
            dict(findings.repairs),
            dict(findings.warnings),
        )
    # An Arrow column of no values has no type to tell None from NaN by.
    assert found["objects"] == found["arrow"]
    out, reasons, repairs, warnings = found["objects"]
    return out, {r: [f.code for f in fs] for r, fs in reasons.items()}, repairs, warnings


numbers_as_typed = st.one_of(
    st.none(),
    st.integers(-5, 2_000_000).map(str),
    st.floats(-10, 500).map(repr),
    st.sampled_from(
        [
            "3.",
            ".5",
            "12 ",
            "３５",
            "1e3",
            "1e999",
            "nan",
            "inf",
            "-",
            "十",
            "45°",
            "1_000",
            "0x1F",
            "+7",
            "1,5",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(numbers_as_typed, max_size=12), st.booleans())
def test_numbers_are_those_of_python(values, whole):
    out, codes, _, _ = both(checks.numbers, values, "n", low=0, high=1000, whole=whole)
    for row, text in enumerate(values):
        expected, code = None, None
        if text is not None:
            try:
                number = float(unicodedata.normalize("NFKC", text).strip().rstrip("°"))
            except ValueError:
                number = float("nan")
            if not np.isfinite(number) or (whole and number != int(number)):
                code = "not_a_number"
            elif not 0 <= number <= 1000:
                code = "out_of_range"
            else:
                expected = int(number) if whole else number
        assert codes.get(row) == (None if code is None else [code])
        assert out[row] == expected
        assert type(out[row]) is type(expected)


def test_words_flags_and_blanks():
    out, codes, _, _ = both(checks.allowed, ["红", "RED", None, "紫"], "level", {"红": "red", "red": "red"})
    assert out == ["red", "red", None, None]
    assert codes == {3: ["not_allowed"]}
    out, codes, _, _ = both(checks.flags, ["是", "NO", None, "也许", "Ｙ"], "public", default=True)
    assert out == [True, False, True, True, True]
    assert codes == {3: ["not_allowed"]}
    _, codes, _, _ = both(checks.required, ["a", None], "name", "name_missing")
    assert codes == {1: ["name_missing"]}


def test_a_blank_is_none_and_nothing_else():
    odd = np.array([None, "", 0, float("nan"), [], date(2020, 1, 1)], dtype=object)
    assert checks.blank(odd).tolist() == [True, False, False, False, False, False]
    assert not checks.blank(np.arange(3)).any()
    assert checks.blank(pa.array(["a", None])[1:]).tolist() == [True]


characters = st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabxyz ０１Ａ-—中")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.sampled_from(CODES),
            st.text(characters, min_size=17, max_size=19),
            st.tuples(st.sampled_from(CODES), st.integers(0, 17), characters).map(
                lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
            ),
            st.sampled_from(CODES).map(str.lower),
        ),
        max_size=8,
    )
)
def test_credit_codes_are_judged_one_by_one_and_together_alike(values):
    out, codes, repairs, _ = both(checks.usccs, values, "uscc")
    for row, text in enumerate(values):
        if text is None:
            assert out[row] is None
            continue
        tidy = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", text)).upper()
        right = uscc_problem(tidy) is None
        assert (row in codes) == (not right)
        assert out[row] == (tidy if right else None)
        assert (row in repairs) == (right and tidy != text)


def test_credit_codes_are_put_in_capitals_and_half_width():
    out, codes, repairs, _ = both(
        checks.usccs, [CODES[1].lower(), CODES[1][:8] + "-" + CODES[1][8:], CODES[1]], "uscc"
    )
    assert out == [CODES[1]] * 3
    assert not codes
    assert [[r.code for r in repairs[row]] for row in sorted(repairs)] == [["uscc_tidied"]] * 2


def test_the_reason_against_a_credit_code_is_in_both_languages():
    findings = Findings(3)
    wrong = CODES[0][:-1] + ("0" if CODES[0][-1] != "0" else "1")
    checks.usccs(np.array([CODES[0][:-1], wrong, "IO" + CODES[0][2:]], dtype=object), findings, "uscc")
    said = [findings.reasons[row][0] for row in range(3)]
    assert "17 位" in said[0].zh
    assert "17 characters" in said[0].en
    assert "校验码" in said[1].zh
    assert "checksum" in said[1].en.lower()
    assert "字符" in said[2].zh


def test_dates_in_the_forms_that_lists_use():
    values = [
        "2026-11-22",
        "2026/1/2",
        "2026.11.22",
        "20261122",
        "2026年11月2日",
        "2026-11-22 09:30",
        "２０２６-01-02",
        None,
    ]
    out, codes, _, _ = both(checks.dates, values, "d")
    assert out[:7] == [
        date(2026, 11, 22), date(2026, 1, 2), date(2026, 11, 22), date(2026, 11, 22), date(2026, 11, 2), date(2026, 11, 22),
        date(2026, 1, 2),
    ]  # fmt: skip
    assert out[7] is None
    assert not codes
    # Without signs between them, seven digits may be two days.
    out, codes, _, _ = both(checks.dates, ["2026-02-30", "2026111", "明天", "2025-13-01", "0000-01-01"], "d")
    assert codes == {row: ["not_a_date"] for row in range(5)}


def test_a_spreadsheets_day_number_among_dates_is_repaired_and_alone_is_no_date():
    out, codes, repairs, _ = both(checks.dates, ["2023-03-14", "45000", "2023/3/16", "45000.5"], "d")
    assert out == [date(2023, 3, 14), date(2023, 3, 15), date(2023, 3, 16), date(2023, 3, 15)]
    assert not codes
    assert [r.code for row in repairs.values() for r in row] == ["date_from_serial"] * 2
    _, codes, _, _ = both(checks.dates, ["45000", "45001", "2023-03-14"], "d")
    assert codes == {0: ["not_a_date"], 1: ["not_a_date"]}
    _, codes, _, _ = both(checks.dates, ["2023-03-14", "2023-03-14", "99999", "450"], "d")
    assert codes == {2: ["not_a_date"], 3: ["not_a_date"]}


def test_unlikely_days_are_stored_with_a_warning():
    out, codes, _, warnings = both(
        checks.dates,
        ["1938-01-01", "2024-01-01", "2062-01-01", None],
        "d",
        not_before=date(1949, 10, 1),
        not_after=date(2026, 1, 1),
    )
    assert out[0] == date(1938, 1, 1)
    assert not codes
    assert {row: [w.code for w in found] for row, found in warnings.items()} == {
        0: ["date_early"],
        2: ["date_late"],
    }
    assert "1949-10-01" in warnings[0][0].zh


def test_spans_that_end_before_they_start():
    findings = Findings(4)
    start = pa.array([date(2024, 1, 1), date(2024, 1, 1), None, date(2024, 1, 1)], pa.date32())
    end = pa.array([date(2023, 1, 1), date(2024, 1, 1), date(2020, 1, 1), None], pa.date32())
    checks.ordered(start, end, findings, "to")
    assert {r: f[0].code for r, f in findings.reasons.items()} == {0: "ends_before_it_starts"}
    moments = np.array([datetime(2024, 1, 1, tzinfo=UTC), None], dtype=object)
    findings = Findings(2)
    checks.ordered(moments, moments, findings, "to", or_equal=True)
    assert list(findings.reasons) == [0]


def test_division_codes():
    values = [
        "310116103001",
        "310116",
        "310116103",
        "３１０１１６",
        "31011",
        "000000000000",
        None,
        "310228000000",
    ]
    out, codes, repairs, _ = both(checks.divisions, values, "code", retired={"310228000000"})
    assert out[:4] == ["310116103001", "310116000000", "310116103000", "310116000000"]
    assert codes == {4: ["unit_code_invalid"], 5: ["unit_code_invalid"], 7: ["unit_retired"]}
    assert sorted(repairs) == [1, 2, 3]
    _, codes, _, _ = both(
        checks.divisions, values[:3], "code", known={"310116000000", "310116103000"}, level="town"
    )
    assert codes == {0: ["unknown_unit", "unit_level_wrong"], 1: ["unit_level_wrong"]}


@pytest.mark.parametrize(
    ("code", "reason", "warning"),
    [
        ("31011600421320000001", None, None),
        ("31000000421320000001", None, None),  # the city's own platform
        ("3101160042132000000", "camera_id_invalid", None),
        ("3101160042132000000X", "camera_id_invalid", None),
        ("99011600421320000001", "camera_id_invalid", None),
        ("31001600421320000001", "camera_id_invalid", None),
        ("31011600421110000001", "camera_id_not_camera", None),
        ("31011600421990000001", "camera_id_not_camera", None),
        ("31011600201320000001", None, "camera_id_industry"),
        ("23100400421320000001", None, "camera_id_elsewhere"),
    ],
)
def test_cameras_national_numbers(code, reason, warning):
    out, codes, _, warnings = both(checks.camera_ids, [code, None], "gb_id", division="310116")
    assert codes == ({} if reason is None else {0: [reason]})
    assert {row: [w.code for w in found] for row, found in warnings.items()} == (
        {} if warning is None else {0: [warning]}
    )
    assert out[1] is None


def test_a_cameras_number_in_full_width_digits_is_repaired():
    good = "31011600421320000001"
    wide = good.translate({ord("0") + n: ord("０") + n for n in range(10)})
    out, codes, repairs, _ = both(checks.camera_ids, [wide, good[:8] + " " + good[8:], good], "gb_id")
    assert out == [good] * 3
    assert not codes
    assert [[r.code for r in repairs[row]] for row in sorted(repairs)] == [["camera_id_tidied"]] * 2


def test_a_recorders_number_says_what_it_is():
    findings = Findings(1)
    checks.camera_ids(np.array(["31011600421110000001"], dtype=object), findings, "gb_id")
    assert "DVR" in findings.reasons[0][0].zh
    assert "DVR" in findings.reasons[0][0].en


def test_moments_of_a_column_of_either_kind_are_the_same():
    values = ["2026-11-22 09:30", "2026/1/2 8:05", "2026-11-22T09:30:00Z", None, "昨天"]
    made = [
        checks.times(column(values, kind), Findings(5), "t", "Asia/Shanghai").tolist()
        for kind in ("objects", "arrow")
    ]
    assert made[0] == made[1]
    assert made[0][0] == datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
    assert made[0][2] == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    assert made[0][3:] == [None, None]
