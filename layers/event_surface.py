"""The event surface: where the next events are to be expected, from the dated points of the past alone.

    share_c(t) = Σ_j  w_j · K_jc(t)          K_jc(t) ∝ Σ_{t_i < t} a_j(t − t_i) · g_bj(c − c_i),   Σ_c K_jc = 1

Each part j spreads the past events over the cells with a Gaussian of standard deviation b_j (0 = the event's own cell)
and a weight a_j that halves every h_j days (none = every event counts alike). b_j = 0 without decay is the plain
count, b_j > 0 without decay a kernel density, h_j = 14 days with b_j = 250 m a near-repeat kernel (Bowers, Johnson,
Pease 2004; Mohler et al. 2011). One part is a kernel of its own width for every cell, the empirical Bayes rate
m (a + n) / (a + m): n events in the cell, m expected from its surroundings, a = 0.5 the shape of the gamma prior
(Clayton, Kaldor 1987). Where much happened it keeps to the cell, where little did it spreads.

The weights w_j, which sum to 1, are learned anew for every t from the windows that end at t: each of the last two
windows of 28 days is foretold from what lay before it, and ten steps of expectation-maximisation (Dempster, Laird,
Rubin 1977) from the starting weights raise the likelihood of what happened (densities combined by their held-out
likelihood: Smyth, Wolpert 1999). Few steps on purpose: the weights stay near the start where there is little to learn
from. What else was tried, and what each part brings: docs/validation.md.

All functions are pure. Positions are metres of one metric frame, x = easting; times are days (any zero, one clock
for all); cells are numbered row by row from the south-west.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from geoapp.errors import Refused

__all__ = [
    "CELL_M",
    "HORIZON_DAYS",
    "LEARNING_WINDOWS",
    "PARTS",
    "CellGrid",
    "Part",
    "event_counts",
    "event_surface",
    "grid_over",
    "inside",
    "learned_weights",
    "near_events",
    "parts_at",
]

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]
Mask = NDArray[np.bool_]

CELL_M = 250.0
HORIZON_DAYS = 28.0
# Half-lives and bandwidths are whole numbers that cover the scales of the literature; only the starting weights were
# chosen, on the early cuts of one city (docs/validation.md).
GAMMA_SHAPE = 0.5
LEARNING_WINDOWS = 2
LEARNING_STEPS = 10
# 62,500 km² of cells of 250 m: no city is larger, and a stray coordinate must not ask for all the memory.
MOST_CELLS = 1_000_000


class Part(NamedTuple):
    """One part of the surface: bandwidth in metres (0 = own cell), half-life in days (None = no decay), first weight.

    `shrunk`: the cell's own count, drawn towards what its surroundings within the bandwidth make of it.
    """

    id: str
    bandwidth_m: float
    half_life_days: float | None
    weight: float
    shrunk: bool = False


PARTS = (
    Part("count", 0.0, None, 0.36),
    Part("recent", 0.0, 56.0, 0.16),
    Part("shrunk", 500.0, None, 0.20, shrunk=True),
    Part("kernel_250", 250.0, None, 0.16),
    Part("kernel_1000", 1000.0, None, 0.03),
    Part("recent_kernel", 250.0, 56.0, 0.04),
    Part("near_repeat", 250.0, 14.0, 0.04),
    Part("flat", 0.0, None, 0.01),
)


@dataclass(frozen=True, slots=True)
class CellGrid:
    """Square cells of `size` metres; (west, south) is the corner, metres; row 0 is the southernmost."""

    west: float
    south: float
    size: float
    rows: int
    columns: int

    def number(self, x: Floats, y: Floats) -> Cells:
        """The cell of each point, −1 outside the grid or without a position."""
        with np.errstate(invalid="ignore"):
            column, row = np.floor((x - self.west) / self.size), np.floor((y - self.south) / self.size)
            held = (column >= 0) & (column < self.columns) & (row >= 0) & (row < self.rows)
        return np.where(held, np.where(held, row, 0) * self.columns + np.where(held, column, 0), -1).astype(
            np.int64
        )

    def centres(self) -> tuple[Floats, Floats]:
        """x and y of the middle of every cell."""
        row, column = np.divmod(np.arange(self.rows * self.columns), self.columns)
        return self.west + (column + 0.5) * self.size, self.south + (row + 0.5) * self.size


def grid_over(x: Floats, y: Floats, margin: float, size: float = CELL_M) -> CellGrid:
    """Cells whose edges are multiples of `size`, over all points and `margin` metres around.

    Raises Refused where there is no point, or where the points lie so far apart that one of them must be wrong.
    """
    if not len(x):
        raise Refused("没有事件，无法划分网格 / No events to lay cells over.")
    west, south = (np.floor((v.min() - margin) / size) for v in (x, y))
    columns = int(np.floor((x.max() + margin) / size) - west) + 1
    rows = int(np.floor((y.max() + margin) / size) - south) + 1
    if rows * columns > MOST_CELLS:
        raise Refused(
            f"事件散布在 {columns * size / 1000:.0f} × {rows * size / 1000:.0f} 公里，疑有错误坐标 / The events lie over "
            f"{columns * size / 1000:.0f} by {rows * size / 1000:.0f} km: some position must be wrong. Name the study area with --boundary."
        )
    return CellGrid(float(west * size), float(south * size), size, rows, columns)


def near_events(grid: CellGrid, cell: Cells, within_m: float) -> Mask:
    """Cells whose centre lies within `within_m` of the centre of a cell that had an event."""
    had = np.zeros(grid.rows * grid.columns, dtype=bool)
    had[cell[cell >= 0]] = True
    if not had.any():
        return had
    away = distance_transform_edt(~had.reshape(grid.rows, grid.columns)) * grid.size
    return np.asarray(away <= within_m).ravel()


def inside(grid: CellGrid, outline: shapely.Geometry) -> Mask:
    """Cells whose centre lies in `outline` (metres of the grid's frame)."""
    return np.asarray(shapely.contains_xy(outline, *grid.centres()), dtype=bool)


def event_counts(grid: CellGrid, cell: Cells, weight: Floats | None = None) -> Floats:
    """Events in each cell, or the sum of their weights; points outside the grid are left out."""
    held = cell >= 0
    counted = np.bincount(
        cell[held], weights=None if weight is None else weight[held], minlength=grid.rows * grid.columns
    )
    return counted.astype(np.float64)


def parts_at(grid: CellGrid, cell: Cells, day: Floats, at: float, area: Mask) -> Floats:
    """Every part of the surface at time `at`: shape (parts, cells of `area`), each row sums to 1.

    Only events before `at` are read. A part that no event speaks for is flat.
    """
    past = day < at
    cell, day = cell[past], day[past]
    rows = []
    for part in PARTS:
        weight = None if part.half_life_days is None else np.exp2((day - at) / part.half_life_days)
        spread = event_counts(grid, cell, weight)
        own = spread
        if part.bandwidth_m:
            spread = gaussian_filter(
                spread.reshape(grid.rows, grid.columns), part.bandwidth_m / grid.size, mode="constant"
            ).ravel()
        if part.shrunk:
            spread = spread * (GAMMA_SHAPE + own) / (GAMMA_SHAPE + spread)
        if part.id == "flat" or not spread[area].sum() > 0:
            spread = np.ones(grid.rows * grid.columns)
        rows.append(spread[area] / spread[area].sum())
    return np.array(rows)


def learned_weights(foretold: list[Floats], happened: list[Floats]) -> Floats:
    """Weights of the parts, summing to 1, from what they foretold (parts × cells) and what then happened (events by cell).

    The starting weights where nothing happened or nothing was foretold.
    """
    weight = np.array([part.weight for part in PARTS])
    weight /= weight.sum()
    if not foretold or not sum(h.sum() for h in happened) > 0:
        return weight
    parts, events = np.concatenate(foretold, axis=1), np.concatenate(happened)
    parts, events = parts[:, events > 0], events[events > 0]
    for _ in range(LEARNING_STEPS):
        weight = weight * (parts @ (events / (weight @ parts))) / events.sum()
    return weight


def event_surface(
    grid: CellGrid,
    cell: Cells,
    day: Floats,
    at: float,
    area: Mask,
    known: dict[float, Floats] | None = None,
) -> tuple[Floats, Floats]:
    """Share of the events of the coming 28 days to be expected in each cell of `area`, and the weights of the PARTS.

    Both sum to 1. Events at or after `at` are not read. `known` keeps the parts of times already asked for with the
    same events and area, so that a row of cuts does not compute them twice.
    """
    kept = {} if known is None else known

    def parts(moment: float) -> Floats:
        if moment not in kept:
            kept[moment] = parts_at(grid, cell, day, moment, area)
        return kept[moment]

    foretold, happened = [], []
    first = day.min() if len(day) else at
    for window in range(1, LEARNING_WINDOWS + 1):
        start = at - window * HORIZON_DAYS
        # A window is worth learning from when at least as much history lies before it.
        if start - first < HORIZON_DAYS:
            break
        then = (day >= start) & (day < start + HORIZON_DAYS)
        foretold.append(parts(start))
        happened.append(event_counts(grid, cell[then])[area])
    weight = learned_weights(foretold, happened)
    return weight @ parts(at), weight
