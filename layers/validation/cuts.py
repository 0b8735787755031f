"""Rolling-origin scores of the event surface: at each cut only the past is known, the 28 days after it are the test."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from geoapp.errors import Refused
from layers.event_surface import (
    CELL_M,
    HORIZON_DAYS,
    LEARNING_WINDOWS,
    CellGrid,
    event_counts,
    event_surface,
    grid_over,
    inside,
    near_events,
)
from layers.validation.dated_points import DatedPoints

__all__ = [
    "AREAS",
    "SHARES",
    "Cut",
    "Score",
    "cut_days",
    "ground_interval",
    "hit_rates",
    "interval",
    "kernel_density",
    "methods_of",
    "scored_cuts",
    "taken",
]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHARES = (0.01, 0.05, 0.10, 0.20)
AREAS = ("near", "hull", "boundary")
NEAR_M = 500.0
TILE_M = 2000.0
LEAST_TILES = 20
GROUND_DRAWS = 200
MOST_DRAWN_CELLS = 100_000
FIRST_HISTORY_DAYS = 56.0
ENOUGH_CUTS = 12
SHORT_STEP_DAYS = 7.0
MOST_CUTS = 400
# Kernel density is the peer: its points are binned to squares of this size, a tenth of the smallest usual bandwidth.
FINE = 5


@dataclass(frozen=True, slots=True)
class Score:
    """Hit rate by share of the area, of one method at one cut."""

    method: str
    hit_rate: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut: day `at`, events of the 28 days after it, those outside the area (missed by all), and the scores.

    `drawn_gain`: the surface's gain over the plain count in the top 10 % on ground drawn anew; empty where not asked for.
    """

    area: str
    at: float
    cells: int
    events_before: int
    events: int
    outside: int
    scores: tuple[Score, ...]
    weights: Floats
    drawn_gain: Floats


def hit_rates(
    score: Floats, hits: Floats, total: float, shares: tuple[float, ...], ground: Floats | None = None
) -> Floats:
    """Share of `total` events that lie in the best-scored part of the ground, for each share of the ground.

    `score`, `hits`: by cell; `ground`: area of each cell, equal if not given. Cells of one score are taken together, as
    far as they fit: the mean over every order in which ties could be broken. NaN where `total` is 0.
    """
    if total <= 0:
        return np.full(len(shares), np.nan)
    return np.array([taken(score, share, ground) @ hits for share in shares]) / total


def taken(score: Floats, share: float, ground: Floats | None = None) -> Floats:
    """How much of each cell, 0 to 1, belongs to the best-scored `share` of the ground; cells of one score alike."""
    area = np.ones(len(score)) if ground is None else ground
    order = np.argsort(-score, kind="stable")
    ranked, ordered = score[order], area[order]
    first = np.append(True, ranked[1:] != ranked[:-1])
    group = np.cumsum(first) - 1
    in_group = np.bincount(group, weights=ordered)
    before = np.cumsum(in_group) - in_group
    part = np.clip((share * area.sum() - before) / in_group, 0, 1)
    found = np.empty(len(score))
    found[order] = part[group]
    return found


def cut_days(
    first: float,
    last: float,
    step_days: float | None = None,
    from_day: float | None = None,
    history_days: float | None = None,
) -> tuple[Floats, float]:
    """Days of the cuts, at midnight, and the step between them.

    `first`, `last`: of the events. The last horizon ends with the last day. The first cut has 56 days and a quarter of
    the span before it, or `history_days`, and is not before `from_day`. Without `step_days`, horizons do not overlap
    (28 days) if that gives 12 cuts, else there is a cut a week. Raises Refused where no cut fits.
    """
    start, end = np.floor(first), np.floor(last) + 1
    wanted = (
        FIRST_HISTORY_DAYS if from_day is not None else max(FIRST_HISTORY_DAYS, np.ceil((end - start) / 4))
    )
    needed = wanted if history_days is None else history_days
    earliest = max(start + needed, -np.inf if from_day is None else from_day)
    latest = end - HORIZON_DAYS
    if latest < earliest:
        raise Refused(
            f"事件只跨 {end - start:.0f} 天：起点之前要 {needed:.0f} 天，之后要 {HORIZON_DAYS:.0f} 天 / the events span "
            f"{end - start:.0f} days: a cut needs {needed:.0f} days before it and {HORIZON_DAYS:.0f} after."
        )
    apart = HORIZON_DAYS if (latest - earliest) // HORIZON_DAYS + 1 >= ENOUGH_CUTS else SHORT_STEP_DAYS
    step = float(step_days or apart)
    count = int((latest - earliest) // step) + 1
    if count > MOST_CUTS:
        raise Refused(
            f"共 {count} 个起点，过多；日期有误？ / {count} cuts are too many; is a date wrong? "
            "Narrow with --since and --until, or name a longer --step."
        )
    return latest - step * np.arange(count)[::-1], step


def kernel_density(grid: CellGrid, x: Floats, y: Floats, bandwidth_m: float) -> Floats:
    """Events expected in each cell by a Gaussian kernel of `bandwidth_m` metres around every point (binned to 50 m)."""
    fine = CellGrid(grid.west, grid.south, grid.size / FINE, grid.rows * FINE, grid.columns * FINE)
    counted = event_counts(fine, fine.number(x, y)).astype(np.float32).reshape(fine.rows, fine.columns)
    spread = gaussian_filter(counted, bandwidth_m / fine.size, mode="constant", truncate=4)
    return spread.reshape(grid.rows, FINE, grid.columns, FINE).sum(axis=(1, 3)).ravel().astype(np.float64)


def methods_of(bandwidths_m: tuple[float, ...]) -> tuple[str, ...]:
    """Names of what is compared, in the order of every cut's scores."""
    return ("surface", "count", *(f"kde_{b:g}" for b in bandwidths_m), "random", "best_possible")


def _areas(
    grid: CellGrid, points: DatedPoints, known: Mask, outline: shapely.Geometry | None
) -> dict[str, Mask]:
    """The study areas, from what lay before the first cut, or from the outline that was given."""
    if outline is not None:
        return {"boundary": inside(grid, outline)}
    cell = grid.number(points.x[known], points.y[known])
    hull = shapely.convex_hull(shapely.multipoints(np.column_stack([points.x[known], points.y[known]])))
    near = near_events(grid, cell, NEAR_M)
    return {"near": near, "hull": inside(grid, hull) | (event_counts(grid, cell) > 0)}


def scored_cuts(
    points: DatedPoints,
    days: Floats,
    *,
    bandwidths_m: tuple[float, ...],
    outline: shapely.Geometry | None = None,
    size: float = CELL_M,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Cut]:
    """Scores of every method at every cut, in each study area: `near` and `hull`, or `boundary` where `outline` is given.

    The areas and the cells are laid out from events before the first cut only; events of a horizon that fall outside
    them count as missed, for every method. `seed` is of the ground drawn anew, for the first area only.
    """
    known = points.day < days[0]
    if outline is None:
        grid = grid_over(points.x[known], points.y[known], 2 * NEAR_M, size)
    else:
        west, south, east, north = outline.bounds
        grid = grid_over(np.array([west, east]), np.array([south, north]), size, size)
    cell = grid.number(points.x, points.y)
    in_study = cell >= 0
    areas = _areas(grid, points, known, outline)
    for name, area in areas.items():
        if not area.any():
            raise Refused(
                f"研究范围内没有网格 / the study area ({name}) holds no cell: is the boundary in the right place?"
            )
    # Nothing outside an area is learned from: in a boundary, only its own events are events of the study.
    studied = {name: (cell >= 0) & area[np.maximum(cell, 0)] for name, area in areas.items()}
    often = {name: _drawn_ground(grid, area, seed, name == next(iter(areas))) for name, area in areas.items()}
    parts: dict[str, dict[float, Floats]] = {name: {} for name in areas}
    found: list[Cut] = []
    for done, at in enumerate(days):
        progress(done, len(days))
        before, ahead = points.day < at, (points.day >= at) & (points.day < at + HORIZON_DAYS)
        placed = before & (in_study if outline is None else studied["boundary"])
        kernels = [kernel_density(grid, points.x[placed], points.y[placed], b) for b in bandwidths_m]
        for name, area in areas.items():
            mine = studied[name]
            happened = event_counts(grid, cell[ahead & mine])[area]
            total = float((ahead & mine if outline is not None else ahead).sum())
            past = before & mine
            surface, weights = event_surface(grid, cell[past], points.day[past], float(at), area, parts[name])
            count = event_counts(grid, cell[past])[area]
            rated = [surface, count, *(k[area] for k in kernels), np.zeros(len(surface)), happened]
            drawn = _drawn_hits(surface, happened, often[name]) - _drawn_hits(count, happened, often[name])
            with np.errstate(invalid="ignore", divide="ignore"):
                drawn_gain = drawn / (often[name] @ happened * (total / happened.sum()))
            found.append(
                Cut(
                    area=name,
                    at=float(at),
                    cells=int(area.sum()),
                    events_before=int(past.sum()),
                    events=int(total),
                    outside=int(total - happened.sum()),
                    scores=tuple(
                        Score(method, tuple(hit_rates(score, happened, total, SHARES)))
                        for method, score in zip(methods_of(bandwidths_m), rated, strict=True)
                    ),
                    weights=weights,
                    drawn_gain=drawn_gain,
                )
            )
            # What no later cut asks for: years of cuts over a large area would fill the memory.
            kept = at - LEARNING_WINDOWS * HORIZON_DAYS
            parts[name] = {moment: some for moment, some in parts[name].items() if moment >= kept}
    return found


def _drawn_ground(grid: CellGrid, area: Mask, seed: int, wanted: bool) -> NDArray[np.float32]:
    """How often each cell stands in the area when its squares of 2 km are drawn with replacement: draws × cells.

    No draws where they are not wanted, for fewer than 20 squares, and for an area too large to be drawn in memory.
    """
    x, y = grid.centres()
    column, row = (np.floor(v[area] / TILE_M).astype(np.int64) for v in (x, y))
    squares, of_cell = np.unique(row * 100_000 + column, return_inverse=True)
    if not wanted or len(squares) < LEAST_TILES or len(of_cell) > MOST_DRAWN_CELLS:
        return np.empty((0, len(of_cell)), dtype=np.float32)
    even = np.full(len(squares), 1 / len(squares))
    times = np.random.default_rng(seed).multinomial(len(squares), even, GROUND_DRAWS).astype(np.float32)
    return times[:, of_cell]


def _drawn_hits(score: Floats, hits: Floats, often: NDArray[np.float32]) -> Floats:
    """Events in the best-scored 10 % of each drawn ground. The best are chosen anew: places compete as in the whole."""
    # Cells of one score in an order that has nothing to do with where they lie.
    order = np.lexsort((np.random.default_rng(len(score)).random(len(score)), -score))
    weight = often[:, order]
    filled = np.cumsum(weight, axis=1)
    held = np.clip(np.float32(0.10) * filled[:, -1:] - (filled - weight), 0, weight)
    return (held @ hits[order].astype(np.float32)).astype(np.float64)


def ground_interval(cuts: list[Cut]) -> tuple[float, float] | None:
    """95 % interval of the surface's gain over the plain count in the top 10 %, over grounds drawn anew.

    It says whether the gain rests on a few places, also where the cuts are too few to be drawn. None for an area of
    fewer than 20 squares of 2 km or more than 100,000 cells, or where it was not asked for.
    """
    drawn = np.array([cut.drawn_gain for cut in cuts])
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if not drawn.size:
        return None
    low, high = np.quantile(drawn.mean(axis=0), (0.025, 0.975))
    return float(low), float(high)


def interval(values: Floats, block: int, seed: int, draws: int = 2000) -> tuple[float, float] | None:
    """95 % interval of the mean over the cuts, by circular block bootstrap; None for fewer than five blocks.

    `block`: cuts that share days of their horizons and so are drawn together.
    """
    values = values[np.isfinite(values)]
    if len(values) < 5 * block:
        return None
    rng = np.random.default_rng(seed)
    blocks = -(-len(values) // block)
    starts = rng.integers(0, len(values), (draws, blocks))
    drawn = (starts[:, :, None] + np.arange(block)) % len(values)
    means = values[drawn.reshape(draws, -1)[:, : len(values)]].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
