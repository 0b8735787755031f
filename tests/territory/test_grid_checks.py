"""Faults planted in a sound grid of wavy cells are found by name, cells and m², each by itself; a sound grid has none."""

from collections import Counter

import numpy as np
import pytest
import shapely
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from shapely import affinity, box

from benchmarks.wavy_grid import plant, wavy_grid
from geoapp.territory import edge_faults
from geoapp.territory.coverage import WORDS, coverage_problems, grid_problems

CODES = [f"31011610300{1 + n // 6}0{n:03d}00" for n in range(9)]
CELLS = [box(x, y, x + 100, y + 100) for y in (200, 100, 0) for x in (0, 100, 200)]
PARENT = box(0, 0, 300, 300)
SIDE = 9


def said(problems):
    return sorted((p.name, p.codes, round(p.area_m2, 3)) for p in problems)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    kinds=st.lists(st.sampled_from(["overlap", "gap", "t_junction", "uncovered"]), max_size=6),
)
def test_planted_faults_are_found_with_their_cells_and_area_and_nothing_else(seed, kinds):
    rng = np.random.default_rng(seed)
    cells = wavy_grid(SIDE, rng)
    parent = shapely.coverage_union_all(cells)
    names = np.array([f"{n:018d}" for n in range(len(cells))], dtype=object)
    spots = rng.permutation([row * SIDE + column for row in (1, 4, 7) for column in (1, 4, 6)])
    try:
        faults = [plant(cells, at, kind) for at, kind in zip(spots.tolist(), kinds, strict=False)]
    except ValueError:
        reject()  # a bend where no overlap can be planted without a second fault
    left = np.array([cell is not None for cell in cells])
    found = grid_problems(names[left], cells[left], parent)
    planted = sorted((f.name, tuple(names[list(f.cells)].tolist()), f.area_m2) for f in faults)
    assert [f[:2] for f in said(found)] == [f[:2] for f in planted]
    assert [f[2] for f in said(found)] == pytest.approx([f[2] for f in planted], abs=0.002)
    assert all(len(p.places) == 1 for p in found)
    assert all(p.breaks_coverage for p in found)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000), kinds=st.lists(st.sampled_from(["overlap", "gap", "t_junction"]), max_size=9)
)
def test_edges_are_those_that_the_whole_grid_gives(seed, kinds):
    rng = np.random.default_rng(seed)
    cells = wavy_grid(SIDE, rng)
    for at, kind in zip(rng.permutation(SIDE * (SIDE - 1)).tolist(), kinds, strict=False):
        plant(cells, at + at // (SIDE - 1), kind)
    if seed % 3 == 0:
        cells[rng.integers(0, len(cells))] = box(0, 0, 500, 500)
    found = edge_faults.unmatched_edges(cells, 0.5)
    whole = shapely.coverage_invalid_edges(cells, gap_width=0.5)
    assert shapely.equals_exact(shapely.normalize(found), shapely.normalize(whole), 0.0).all()


def test_a_grid_that_lies_on_another_is_overlaps_although_each_is_sound():
    layer = [affinity.translate(cell, 30, 40) for cell in CELLS]
    names = [*CODES, *(f"9{code[1:]}" for code in CODES)]
    found = grid_problems(names, [*CELLS, *layer], box(0, 0, 330, 340))
    shared = sum(p.area_m2 for p in found if p.name == "overlap")
    assert shared == pytest.approx(270 * 260)


def test_a_cell_drawn_twice_and_a_cell_inside_another_are_overlaps():
    (twice,) = grid_problems([*CODES, "9" * 18], [*CELLS, CELLS[4]], PARENT)
    assert (twice.name, twice.codes, twice.area_m2) == ("overlap", (CODES[4], "9" * 18), 10_000)
    (inside,) = grid_problems([*CODES, "9" * 18], [*CELLS, box(120, 120, 150, 150)], PARENT)
    assert (inside.name, inside.codes, inside.area_m2) == ("overlap", (CODES[4], "9" * 18), 900)


def test_each_hole_is_a_problem_of_its_own_and_the_rule_joins_them():
    cells = [c for i, c in enumerate(CELLS) if i not in (0, 4)]
    codes = [c for i, c in enumerate(CODES) if i not in (0, 4)]
    found = grid_problems(codes, cells, PARENT)
    assert said(found) == [("uncovered", (), 10_000), ("uncovered", (), 10_000)]
    (joined,) = coverage_problems(codes, cells, PARENT)
    assert (joined.area_m2, len(joined.places)) == (20_000, 2)
    # Without an outline only the hole between cells can be known.
    (hole,) = grid_problems(codes, cells, None)
    assert hole.area_m2 == 10_000


def test_a_t_junction_says_where_and_whose_edge_lacks_the_vertex():
    cells = [*CELLS]
    cells[4] = shapely.Polygon([(100, 100), (200, 100), (200, 200), (150, 200), (100, 200)])
    (found,) = grid_problems(CODES, cells, PARENT)
    assert (found.name, found.area_m2, found.codes) == ("t_junction", 0.0, (CODES[1], CODES[4]))
    assert found.places == ((150.0, 200.0),)


def test_a_border_that_ends_on_a_neighbours_edge_names_all_three_cells():
    cells = [*CELLS[:3], box(0, 100, 130, 200), box(130, 100, 200, 200), *CELLS[5:]]
    found = grid_problems(CODES, cells, PARENT)
    assert {p.name for p in found} == {"t_junction"}
    above = {p.places[0]: p.codes for p in found if p.places[0][1] == 200}
    # The upper neighbour lacks the new corner; the widened cell lacks the old one, of the two above it.
    assert above == {(130, 200): (CODES[1], CODES[3], CODES[4]), (100, 200): (CODES[3], CODES[0], CODES[1])}


def test_parts_slivers_and_repeated_vertices_are_faults_of_one_cell():
    cells = [*CELLS]
    cells[8] = shapely.union(box(200, 0, 300, 100), box(400, 0, 410, 10))
    cells[0] = box(0, 203, 100, 300)
    cells.append(box(0, 200, 100, 203))
    cells[4] = shapely.Polygon([(100, 100), (200, 100), (200, 100), (200, 200), (100, 200)])
    found = grid_problems([*CODES, "9" * 18], cells, shapely.union(PARENT, box(400, 0, 410, 10)))
    # The strip's border also ends on the edge of the cell east of it.
    assert said(found) == [
        ("duplicate_vertex", (CODES[4],), 0.0),
        ("multi_part", (CODES[8],), 100.0),
        ("sliver", ("9" * 18,), 300.0),
        ("t_junction", (CODES[1], CODES[0], "9" * 18), 0.0),
    ]
    only_shape = {p.name for p in found if not p.breaks_coverage}
    assert only_shape == {"sliver", "duplicate_vertex"}


def test_cells_must_lie_in_the_community_that_their_code_names():
    outlines = {"310116103001": box(0, 100, 300, 300), "310116103002": box(0, 0, 300, 100)}
    assert grid_problems(CODES, CELLS, PARENT, communities=outlines) == []
    moved = {"310116103001": box(0, 100, 300, 300).difference(CELLS[4]), "310116103002": box(0, 0, 300, 100)}
    (found,) = grid_problems(CODES, CELLS, PARENT, communities=moved)
    assert (found.name, found.codes, found.area_m2) == ("outside_community", (CODES[4],), 10_000)


def test_every_fault_has_words_in_both_languages():
    assert all(zh and en and zh != en for zh, en in WORDS.values())
    assert Counter(zh for zh, _ in WORDS.values()).most_common(1)[0][1] == 1
