"""The event surface on processes whose answer is known: even ground, a fixed hot spot, near repeats."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geoapp.errors import Refused
from layers.event_surface import (
    HORIZON_DAYS,
    PARTS,
    CellGrid,
    event_counts,
    event_surface,
    grid_over,
    inside,
    learned_weights,
    near_events,
    parts_at,
)

GRID = CellGrid(0.0, 0.0, 250.0, 24, 30)
ALL = np.ones(GRID.rows * GRID.columns, dtype=bool)
Floats = NDArray[np.float64]
Events = tuple[NDArray[np.int64], Floats]


def events_of(x: Floats, y: Floats, day: Floats) -> Events:
    order = np.argsort(day, kind="stable")
    return GRID.number(x[order], y[order]), day[order]


def spread(count: int, days: float, seed: int = 5) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 7500, count), rng.uniform(0, 6000, count), rng.uniform(0, days, count)


def weight_of(weights: Floats) -> dict[str, float]:
    return {part.id: float(w) for part, w in zip(PARTS, weights, strict=True)}


def test_shares_and_weights_sum_to_one_also_without_a_past() -> None:
    cell, day = events_of(*spread(400, 200))
    for at in (0.0, 1.0, 40.0, 200.0):
        share, weight = event_surface(GRID, cell, day, at, ALL)
        assert share.sum() == pytest.approx(1)
        assert weight.sum() == pytest.approx(1)
        assert (share > 0).all()
    flat, _ = event_surface(GRID, cell, day, 0.0, ALL)
    assert np.ptp(flat) == pytest.approx(0)


@pytest.mark.parametrize(("count", "least"), [(900, 0.15), (20_000, 0.3)])
def test_a_fixed_hot_spot_is_found(count: int, least: float) -> None:
    """A third of all events in one cell: first in order even among few events, and near its true share among many."""
    x, y, day = spread(count, 150)
    x[::3], y[::3] = 2500 + x[::3] / 30, 2500 + y[::3] / 24
    cell, day = events_of(x, y, day)
    share, _ = event_surface(GRID, cell, day, 150.0, ALL)
    assert share.argmax() == GRID.number(np.array([2600.0]), np.array([2600.0]))[0]
    assert least < share.max() < 0.35


def test_what_lies_ahead_changes_nothing() -> None:
    """Not one bit: the future is shuffled, moved, multiplied and left out."""
    x, y, day = spread(3000, 200)
    cell, day = events_of(x, y, day)
    wanted, weights = event_surface(GRID, cell, day, 150.0, ALL)
    ahead = day >= 150.0
    rng = np.random.default_rng(1)
    moved = cell.copy()
    moved[ahead] = rng.integers(0, len(ALL), ahead.sum())
    later = day.copy()
    later[ahead] = rng.permutation(later[ahead]) + 500
    for other_cell, other_day in (
        (moved, day),
        (cell, later),
        (cell[~ahead], day[~ahead]),
        (np.append(cell, cell[ahead]), np.append(day, day[ahead])),
    ):
        share, weight = event_surface(GRID, other_cell, other_day, 150.0, ALL)
        assert np.array_equal(share, wanted)
        assert np.array_equal(weight, weights)


def test_parts_kept_from_other_cuts_change_nothing() -> None:
    cell, day = events_of(*spread(2000, 200))
    known: dict[float, Floats] = {}
    for at in (120.0, 148.0, 176.0):
        kept, _ = event_surface(GRID, cell[day < at], day[day < at], at, ALL, known)
        assert np.array_equal(kept, event_surface(GRID, cell, day, at, ALL)[0])


def test_shrunk_keeps_to_the_cell_where_much_happened() -> None:
    """Gamma-Poisson by hand: 100 events in one cell of 720 stay there, one event alone goes mostly to its surroundings."""
    cell = np.append(np.full(100, 400), 100)
    found = dict(
        zip((p.id for p in PARTS), parts_at(GRID, cell, np.arange(101) / 10, 20.0, ALL), strict=True)
    )
    assert found["shrunk"][400] > 0.7
    smooth = found["kernel_250"]
    assert smooth[400] < 0.2
    alone, beside = found["shrunk"][100], found["shrunk"][101]
    assert beside < alone < 1 / 101


def near_repeats(days: int, seed: int = 3) -> Events:
    """Every event comes from one of the last ten days within 250 m, or from anywhere: trouble wanders."""
    rng = np.random.default_rng(seed)
    x, y, day = [], [], []
    for today in range(days):
        recent = [i for i, d in enumerate(day) if today - d <= 10]
        for _ in range(25):
            if recent and rng.random() < 0.85:
                parent = recent[rng.integers(len(recent))]
                x.append(x[parent] + rng.normal(0, 150))
                y.append(y[parent] + rng.normal(0, 150))
            else:
                x.append(rng.uniform(0, 7500))
                y.append(rng.uniform(0, 6000))
            day.append(today + rng.random())
    return events_of(np.array(x), np.array(y), np.array(day))


def hits(score: Floats, cell: NDArray[np.int64], day: Floats, at: float) -> float:
    """Share of the next 28 days' events in the tenth of the cells that `score` puts first."""
    happened = event_counts(GRID, cell[(day >= at) & (day < at + HORIZON_DAYS)])
    best = np.argsort(-score, kind="stable")[: len(score) // 10]
    return float(happened[best].sum() / happened.sum())


def test_where_trouble_wanders_the_surface_beats_the_count_and_learns_why() -> None:
    cell, day = near_repeats(220)
    cuts = np.arange(112.0, 192.0, 14.0)
    surface = [event_surface(GRID, cell, day, at, ALL) for at in cuts]
    counted = [event_counts(GRID, cell[day < at]) for at in cuts]
    gain = [
        hits(s, cell, day, at) - hits(c, cell, day, at)
        for (s, _), c, at in zip(surface, counted, cuts, strict=True)
    ]
    assert np.mean(gain) > 0.04
    assert min(gain) > 0
    learned, start = weight_of(surface[-1][1]), weight_of(learned_weights([], []))
    recent = ("recent", "recent_kernel", "near_repeat")
    assert sum(learned[p] for p in recent) > 1.4 * sum(start[p] for p in recent)
    assert learned["near_repeat"] > 2 * start["near_repeat"]


def likelihood(weight: Floats, parts: Floats, events: Floats) -> float:
    return float((events * np.log(weight @ parts)).sum())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300))
def test_learning_never_lowers_the_likelihood(seed: int, events: int) -> None:
    rng = np.random.default_rng(seed)
    parts = rng.dirichlet(np.full(50, 0.3), len(PARTS)) + 1e-9
    happened = rng.multinomial(events, rng.dirichlet(np.full(50, 0.3))).astype(float)
    learned = learned_weights([parts], [happened])
    assert learned.sum() == pytest.approx(1)
    assert (learned >= 0).all()
    assert likelihood(learned, parts, happened) >= likelihood(learned_weights([], []), parts, happened) - 1e-9


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([100.0, 250.0]),
)
def test_every_cell_finds_its_own_middle(
    west: float, south: float, rows: int, columns: int, size: float
) -> None:
    grid = CellGrid(west, south, size, rows, columns)
    assert np.array_equal(grid.number(*grid.centres()), np.arange(rows * columns))
    x, y = grid.centres()
    assert (grid.number(x + columns * size, y) == -1).all()
    assert (grid.number(np.array([np.nan, np.inf]), np.array([0.0, 0.0])) == -1).all()


def test_cells_lie_on_multiples_of_their_size_whatever_the_points() -> None:
    grid = grid_over(np.array([1001.0, 1900.0]), np.array([-10.0, 300.0]), margin=500)
    assert (grid.west, grid.south) == (500, -750)
    assert (grid.rows, grid.columns) == (7, 8)


def test_a_stray_position_is_refused_and_so_is_no_event() -> None:
    with pytest.raises(Refused, match="--boundary"):
        grid_over(np.array([0.0, 9e6]), np.array([0.0, 9e6]), margin=0)
    with pytest.raises(Refused, match="No events"):
        grid_over(np.array([]), np.array([]), margin=0)


def test_areas_are_what_they_say() -> None:
    cell = np.array([-1, 12 * 30 + 15])
    assert near_events(GRID, cell, 250.0).sum() == 5
    assert near_events(GRID, cell, 360.0).sum() == 9
    assert near_events(GRID, np.array([-1]), 500.0).sum() == 0
    assert inside(GRID, shapely.box(0, 0, 1000, 500)).sum() == 8
