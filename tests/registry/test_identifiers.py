"""Identifiers against published vectors and against each other."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import uscc as gb32100

from geoapp.registry import identifiers as ids


def test_published_credit_codes() -> None:
    # China Mobile's and Tencent's published codes; the third is the common example with a wrong last character.
    assert ids.is_uscc("91110000600037341L")
    assert ids.is_uscc("9144030071526726XG")
    assert ids.uscc_problem("91350100M000100Y4Z") is not None
    assert ids.is_uscc("91350100M000100Y43")
    assert "17" in str(ids.uscc_problem("9135010M000100Y43"))


@settings(max_examples=60, deadline=None)
@given(
    number=st.integers(0, 31**6 - 1),
    position=st.integers(2, 17),
    other=st.sampled_from(ids.ALPHABET),
    kind=st.sampled_from("123"),
)
def test_generated_codes_are_valid_and_any_changed_character_is_found(
    number: int, position: int, other: str, kind: str
) -> None:
    (code,) = ids.generate_uscc("310116", np.array([number]), kind).tolist()
    assert gb32100.is_valid(code)
    assert ids.organisation_check(code[8:16]) == code[16]
    changed = code[:position] + other + code[position + 1 :]
    assert ids.is_uscc(changed) == (changed == code)


def test_generated_codes_are_distinct_for_distinct_numbers() -> None:
    codes = ids.generate_uscc("310116", np.arange(20_000) * 7919)
    assert len(set(codes.tolist())) == 20_000
    with pytest.raises(ValueError, match="within"):
        ids.generate_uscc("310116", np.array([31**6]))
    with pytest.raises(ValueError, match="6 digits"):
        ids.generate_uscc("3101", np.array([1]))


def test_organisation_check_by_gb_11714() -> None:
    # D2143569-X is the standard's own example.
    assert ids.organisation_check("D2143569") == "X"


def test_camera_ids() -> None:
    assert ids.camera_gb_id("310116", "42", 1) == "31011600421320000001"
    assert ids.camera_gb_id_problem("31011603421320000001", division="310116000000") is None
    assert "type 200" in str(ids.camera_gb_id_problem("31011600002000000001"))
    assert "belongs to" in str(ids.camera_gb_id_problem("31011600421320000001", division="231004"))
    assert ids.camera_gb_id_problem("3101160042132000000") == "is not 20 digits"
    with pytest.raises(ValueError, match="20 digits"):
        ids.camera_gb_id("310116", "42", 1_000_000)


def test_division_levels_and_parents() -> None:
    chain = ["310116103001", "310116103000", "310116000000", "310100000000", "310000000000"]
    assert [ids.division_level(c) for c in chain] == ["community", "town", "county", "city", "province"]
    assert [ids.division_parent(c) for c in chain] == [*chain[1:], None]
    with pytest.raises(ValueError, match="12 digits"):
        ids.division_level("310116")


@given(sequence=st.integers(1, 999), micro=st.integers(0, 99), kind=st.sampled_from("01"))
def test_cell_codes_read_back_from_the_form_that_people_see(sequence: int, micro: int, kind: str) -> None:
    code = ids.cell_code("310116103001", sequence, kind=kind, micro=micro)
    assert len(code) == 18
    assert ids.read_cell_code(ids.show_cell_code(code)) == ids.read_cell_code(f" {code} ") == code


def test_cell_code_as_the_house_writes_it() -> None:
    assert ids.show_cell_code(ids.cell_code("310116103001", 7, kind="1")) == "310116103001-1-007-00"
    for bad in ("310116103001-1-07-00", "310116103001-2-007-00", "31011610300110070", "x"):
        with pytest.raises(ValueError, match="not a cell code"):
            ids.read_cell_code(bad)
    with pytest.raises(ValueError, match="no cell code"):
        ids.cell_code("310116103001", 1000)


def _spoilt(how: tuple[int, int, str]) -> str:
    """A valid code with one character changed, or not."""
    number, position, other = how
    code = ids.generate_uscc("310116", np.array([number])).item()
    return code[:position] + other + code[position + 1 :]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.integers(0, 31**6 - 1).map(lambda n: ids.generate_uscc("310116", np.array([n])).item()),
            st.text(st.sampled_from(ids.ALPHABET + "IOSVZaz -—０中"), min_size=16, max_size=20),
            st.tuples(st.integers(0, 99), st.integers(0, 17), st.sampled_from(ids.ALPHABET + "Iz ")).map(
                _spoilt
            ),
        ),
        max_size=6,
    ),
    st.integers(0, 3),
)
def test_credit_codes_together_have_the_verdicts_that_each_has_alone(
    codes: list[str | None], start: int
) -> None:
    alone = [None if code is None else ids.uscc_problem(code) for code in codes]
    assert ids.uscc_problems(np.array([*codes, None], dtype=object)).tolist() == [*alone, None]
    # Also of a slice, whose texts begin somewhere within the array's bytes.
    part = pa.array(codes, pa.string())[start:]
    assert ids.uscc_problems(part).tolist() == alone[start:]
    assert ids.plain_usccs(part).tolist() == [
        c is not None and ids.is_uscc(c) and len(c) == 18 and c.isalnum() for c in codes[start:]
    ]


def test_what_is_wrong_with_a_cameras_id_is_said_part_by_part() -> None:
    parts = {
        "31011600421320000001": [],
        "3101160042132": ["digits"],
        "00011600421320000001": ["division"],
        "31001600421320000001": ["division"],  # a county without a city
        "31011600421180000001": ["type"],
        "31011600201320000001": ["industry"],
        "23100400421320000001": ["elsewhere"],
        "31000000421320000001": [],  # the city's own platform
        "31011699421320000001": [],  # a base unit of the county
        "00011600201110000001": ["division", "type", "industry"],
    }
    for code, expected in parts.items():
        faults = ids.camera_gb_id_faults(code, division="310116000000")
        assert [fault.part for fault in faults] == expected, code
        assert all(fault.zh and fault.en for fault in faults)
    assert "NVR" in ids.camera_gb_id_faults("31011600421180000001")[0].zh
    assert set(ids.CAMERA_TYPES) <= set(ids.DEVICE_TYPES)
