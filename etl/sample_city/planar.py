"""One planar drawing: seeds make Voronoi edges, the edges are bent, and every outline is a walk along them.

Because neighbours use the same bent edge, vertex by vertex, a union of cells and its parts agree to the last bit:
the cells are a valid coverage by construction, and so are communities, towns and the county above them.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Voronoi, cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
OUTSIDE = -1
GRID_M = 0.001


@dataclass(frozen=True)
class Plane:
    """Seeds (n, 2) in metres, edges as pairs of seeds (m, 2) with one bent line each (m,)."""

    seeds: Floats
    pairs: Ints
    lines: NDArray[np.object_]


def draw(seeds: Floats, twin: Ints, rng: np.random.Generator, *, pitch_m: float = 90.0) -> Plane:
    """Voronoi diagram of the seeds with bent edges, coordinates on a grid of 1 mm.

    seeds: (n, 2) metres, distinct. twin: (n,) another seed whose common edge must stay nearly straight (it runs
    along a river or the coast), or OUTSIDE. pitch_m: about one vertex of an edge per so many metres.
    Each bent edge stays within the two triangles between the edge and its seeds, so no two edges meet
    except at their ends. Unbounded edges are left out: seeds must lie well around what is wanted.
    """
    diagram = Voronoi(seeds)
    ends = np.array(diagram.ridge_vertices)
    bounded = (ends >= 0).all(axis=1)
    pairs = np.asarray(diagram.ridge_points, dtype=np.int64)[bounded]
    vertices = np.round(diagram.vertices / GRID_M) * GRID_M
    start, stop = vertices[ends[bounded][:, 0]], vertices[ends[bounded][:, 1]]
    # Vertices closer than the grid have become one: their edge has no length.
    real = (start != stop).any(axis=1)
    pairs, start, stop = pairs[real], start[real], stop[real]

    along = stop - start
    length = np.hypot(along[:, 0], along[:, 1])
    unit = along / length[:, None]
    normal = np.column_stack([-unit[:, 1], unit[:, 0]])
    to_seed = seeds[pairs[:, 0]] - start
    foot = np.clip((to_seed * unit).sum(axis=1) / length, -50, 50)
    apex = np.abs((to_seed * normal).sum(axis=1))

    amplitude = rng.uniform(0.03, 0.11, len(length)) * length
    straight = twin[pairs[:, 0]] == pairs[:, 1]
    amplitude[straight] = np.minimum(amplitude[straight] * 0.25, 12.0)
    phase, waves, lean = rng.uniform(0, 2 * np.pi, (3, len(length)))
    steps = np.clip(np.round(length / pitch_m), 1, 9).astype(int)

    coordinates: list[Floats] = []
    owners: list[Ints] = []
    for count in np.unique(steps):
        chosen = np.flatnonzero(steps == count)
        t = np.linspace(0, 1, count + 2)[None, :]
        shape = np.sin(np.pi * t) * np.sin(
            2 * np.pi * t * (1 + waves[chosen, None] / 6) + phase[chosen, None]
        )
        shape += 0.5 * np.sin(np.pi * t) * np.cos(lean[chosen, None])
        f = foot[chosen, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = np.where(f > 0, t / np.where(f > 0, f, 1), np.inf)
            fall = np.where(f < 1, (1 - t) / np.where(f < 1, 1 - f, 1), np.inf)
        room = 0.6 * apex[chosen, None] * np.minimum(rise, fall)
        offset = np.clip(amplitude[chosen, None] * shape, -room, room)
        points = (
            start[chosen, None, :]
            + t[..., None] * along[chosen, None, :]
            + offset[..., None] * normal[chosen, None, :]
        )
        points = np.round(points / GRID_M) * GRID_M
        points[:, 0], points[:, -1] = start[chosen], stop[chosen]
        coordinates.append(points.reshape(-1, 2))
        owners.append(np.repeat(chosen, count + 2))
    order = np.argsort(np.concatenate(owners), kind="stable")
    lines = shapely.linestrings(np.concatenate(coordinates)[order], indices=np.concatenate(owners)[order])
    return Plane(seeds, pairs, lines)


def border_lines(plane: Plane, labels: Ints) -> NDArray[np.object_]:
    """The edges (linestrings) between two different labels, `labels` being one per seed and OUTSIDE allowed."""
    a, b = labels[plane.pairs[:, 0]], labels[plane.pairs[:, 1]]
    return plane.lines[a != b]


def faces(plane: Plane, labels: Ints) -> tuple[Ints, NDArray[np.object_]]:
    """Label and polygon of every connected piece of ground of one label, OUTSIDE left out; order is by label."""
    pieces = shapely.get_parts(shapely.polygonize(border_lines(plane, labels)))
    inside = np.flatnonzero(labels != OUTSIDE)
    tree = shapely.STRtree(pieces)
    seed, piece = tree.query(shapely.points(plane.seeds[inside]), predicate="within")
    label_of = np.full(len(pieces), OUTSIDE)
    label_of[piece] = labels[inside[seed]]
    kept = np.flatnonzero(label_of != OUTSIDE)
    centre = shapely.get_coordinates(shapely.point_on_surface(pieces[kept]))
    kept = kept[np.lexsort((centre[:, 1], centre[:, 0], label_of[kept]))]
    return label_of[kept], pieces[kept]


def connect(plane: Plane, labels: Ints, within: Ints | None = None) -> Ints:
    """Labels made connected: a seed cut off from its label's largest piece takes a neighbour's label.

    `within`: a coarser label that must not change (communities stay in their town).
    """
    labels = labels.copy()
    coarse = np.zeros_like(labels) if within is None else within
    for _ in range(20):
        a, b = plane.pairs[:, 0], plane.pairs[:, 1]
        same = (labels[a] == labels[b]) & (labels[a] != OUTSIDE)
        n = len(labels)
        graph = coo_array((np.ones(same.sum()), (a[same], b[same])), shape=(n, n))
        _, part = connected_components(graph, directed=False)
        size = np.bincount(part)
        order = np.lexsort((-size[part], labels))
        first = np.r_[True, labels[order][1:] != labels[order][:-1]]
        main = dict(zip(labels[order][first].tolist(), part[order][first].tolist(), strict=True))
        stray = np.array(
            [lab != OUTSIDE and main[lab] != p for lab, p in zip(labels.tolist(), part.tolist(), strict=True)]
        )
        if not stray.any():
            break
        changed = False
        for x, y in np.vstack([plane.pairs, plane.pairs[:, ::-1]]).tolist():
            if stray[x] and not stray[y] and labels[y] != OUTSIDE and coarse[x] == coarse[y]:
                labels[x], stray[x], changed = labels[y], False, True
        if not changed:
            break
    return labels


def spread(
    count: int, fixed: Floats, candidates: Floats, rng: np.random.Generator, rounds: int = 4
) -> Floats:
    """`count` free seeds spread evenly over the candidates (n, 2), leaving room for the fixed seeds (Lloyd's rounds)."""
    if count == 0:
        return np.empty((0, 2))
    free = candidates[rng.choice(len(candidates), count, replace=False)]
    for _ in range(rounds):
        seeds = np.vstack([free, fixed])
        _, owner = cKDTree(seeds).query(candidates)
        sums = np.column_stack([np.bincount(owner, candidates[:, k], len(seeds)) for k in (0, 1)])
        number = np.bincount(owner, minlength=len(seeds))
        held = number[:count] > 0
        free[held] = sums[:count][held] / number[:count][held, None]
        # A seed that holds no ground starts again somewhere else.
        free[~held] = candidates[rng.choice(len(candidates), int((~held).sum()), replace=False)]
    return free


def k_means(points: Floats, count: int, rng: np.random.Generator, rounds: int = 8) -> Ints:
    """Group (n,) of each point, `count` groups, none empty (count <= n)."""
    centres = points[rng.choice(len(points), count, replace=False)]
    group = np.zeros(len(points), dtype=np.int64)
    for _ in range(rounds):
        _, group = cKDTree(centres).query(points)
        number = np.bincount(group, minlength=count)
        for empty in np.flatnonzero(number == 0):
            # The point farthest from the centre of the largest group becomes a group.
            largest = np.flatnonzero(group == np.argmax(np.bincount(group, minlength=count)))
            far = largest[np.argmax(((points[largest] - centres[group[largest]]) ** 2).sum(axis=1))]
            group[far] = empty
        number = np.bincount(group, minlength=count)
        centres = np.column_stack([np.bincount(group, points[:, k], count) / number for k in (0, 1)])
    return np.asarray(group, dtype=np.int64)
