"""Identifiers against published vectors and against each other."""

import numpy as np
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
