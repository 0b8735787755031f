"""What the grid test finds, and that it finds it: a missing cell, a sliver, an overlap, undeclared ground."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import affinity, box

from geoapp.territory.coverage import coverage_problems

CODES = [f"3101161030010{n:03d}00" for n in range(1, 10)]
CELLS = [box(x, y, x + 100, y + 100) for y in (200, 100, 0) for x in (0, 100, 200)]
PARENT = box(0, 0, 300, 300)


def named(problems: list, name: str) -> list:
    return [p for p in problems if p.name == name]


def test_a_sound_grid_has_no_problem() -> None:
    assert coverage_problems(CODES, CELLS, PARENT) == []


@settings(max_examples=15, deadline=None)
@given(missing=st.integers(0, 8))
def test_a_missing_cell_is_uncovered_ground_although_the_coverage_is_valid(missing: int) -> None:
    cells = [c for i, c in enumerate(CELLS) if i != missing]
    assert shapely.coverage_is_valid(np.array(cells), gap_width=0.5)
    (problem,) = coverage_problems([c for i, c in enumerate(CODES) if i != missing], cells, PARENT)
    assert (problem.name, problem.area_m2) == ("uncovered", pytest.approx(10_000))
    # Declared, the same ground is no problem.
    assert coverage_problems(CODES[:8], cells, PARENT, [CELLS[missing]]) == []


@settings(max_examples=15, deadline=None)
@given(index=st.integers(0, 8), by=st.floats(1, 50))
def test_a_cell_that_moves_east_overlaps_and_leaves_a_gap(index: int, by: float) -> None:
    cells = list(CELLS)
    cells[index] = affinity.translate(cells[index], xoff=by)
    problems = coverage_problems(CODES, cells, PARENT)
    assert sum(p.area_m2 for p in named(problems, "uncovered")) == pytest.approx(100 * by)
    found = {frozenset(p.codes): p.area_m2 for p in named(problems, "overlap")}
    if index % 3 == 2:
        assert sum(p.area_m2 for p in named(problems, "outside")) == pytest.approx(100 * by)
        assert named(problems, "outside")[0].codes == (CODES[index],)
    else:
        assert found[frozenset((CODES[index], CODES[index + 1]))] == pytest.approx(100 * by)


def test_a_gap_too_small_for_the_area_rule_is_seen_as_a_mismatch() -> None:
    cells = [*CELLS]
    # 4 mm wide, 100 m long: 0.4 m2.
    cells[4] = box(100.004, 100, 200, 200)
    problems = coverage_problems(CODES, cells, PARENT)
    assert {p.name for p in problems} == {"edge_mismatch"}
    assert {c for p in problems for c in p.codes} >= {CODES[3], CODES[4]}


def test_an_unmatched_vertex_is_a_mismatch() -> None:
    cells = [*CELLS]
    bent = shapely.Polygon([(100, 100), (200, 100), (200, 200), (150, 200.001), (100, 200)])
    cells[4] = bent
    assert "edge_mismatch" in {p.name for p in coverage_problems(CODES, cells, PARENT)}


def test_declared_ground_that_a_cell_covers_is_named_with_the_cell() -> None:
    (problem,) = coverage_problems(CODES, CELLS, PARENT, [box(10, 10, 20, 20)])
    assert (problem.name, problem.area_m2, problem.codes) == (
        "declared_covered",
        pytest.approx(100),
        (CODES[6],),
    )


def test_a_cell_that_crosses_itself_is_named_and_does_not_hide_another_fault() -> None:
    cells = [*CELLS]
    cells[0] = shapely.Polygon([(0, 200), (100, 300), (100, 200), (0, 300)])
    cells[8] = box(200, 0, 290, 100)
    problems = coverage_problems(CODES, cells, PARENT)
    assert named(problems, "invalid_cell")[0].codes == (CODES[0],)
    # Half of the crossed cell is missing, and the strip of the last one.
    assert named(problems, "uncovered")[0].area_m2 == pytest.approx(5_000 + 1_000)


def test_no_cells_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 cells"):
        coverage_problems([], [], PARENT)
