"""Ground cut in two, and again, until each piece is one cell: straight across, or along roads where they are near.

Load is what is balanced: every sample point of the ground carries a part of its area and every site a part of the
sites (see `loads.py`). A cut through a piece of k cells gives ground for k // 2 of them on one side and for the rest on
the other, each side one connected polygon. Of all directions the cut is taken that leaves compact pieces, in balance,
and runs along roads for long. Nothing is random: the same ground gives the same cells.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.grid_proposal.atoms import contiguous, holders, inner_seam, merged, split_by_line

__all__ = ["Piece", "cut_into", "road_share"]

DIRECTIONS = 8
TRIED = 3
SNAP_LOADS = (0.0, 0.35, np.inf)
"""An atom between roads goes whole to one side where the line would part less than this of a cell's load from it: each of
these is tried, from a straight line to one that runs along roads throughout."""
NARROW_M = 12.0
"""No piece may have a mean width (twice the area over the perimeter) below this, metres."""
_ROAD_GAIN, _IMBALANCE_COST, _NOTHING = 0.8, 1.6, 1e-9

Geometries = NDArray[np.object_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Piece:
    """Connected ground, and the atoms it is made of; points (n, 2) in metres with their load (n,) and the atom that each
    lies in (n,)."""

    ground: shapely.Polygon
    atoms: Geometries
    xy: Floats
    load: Floats
    atom: Ints


@dataclass(frozen=True)
class _Sides:
    """Atoms after a split, which of them lie behind the line, and the ground and the load of both sides."""

    atoms: Geometries
    behind: NDArray[np.bool_]
    grounds: tuple[shapely.Polygon, shapely.Polygon]
    loads: tuple[float, float]


@dataclass(frozen=True)
class _Cut:
    cost: float
    sides: _Sides
    shares: tuple[int, int]
    seam: shapely.Geometry


def cut_into(
    piece: Piece, count: int, roads: shapely.STRtree | None, *, turn: float = 0.0
) -> tuple[list[Piece], list[shapely.Geometry]]:
    """`count` connected pieces of about equal load, and the lines that they were cut along; fewer where no cut leaves
    sound pieces.

    roads: lines that are worth following (metres), or None. turn: all directions that are tried, turned by this angle (radians).
    """
    done: list[Piece] = []
    seams: list[shapely.Geometry] = []
    waiting = [(piece, count)]
    while waiting:
        whole, cells = waiting.pop()
        cut = _best_cut(whole, cells, roads, turn) if cells > 1 else None
        if cut is None:
            done.append(whole)
        else:
            waiting += list(zip(_parts(whole, cut.sides), cut.shares, strict=True))
            seams.append(cut.seam)
    return done, seams


def _best_cut(piece: Piece, cells: int, roads: shapely.STRtree | None, turn: float) -> _Cut | None:
    ground = piece.ground
    unit = piece.load.sum() / cells
    lines = _candidate_lines(piece, cells, ground, turn)
    cuts: list[_Cut] = []
    seen: set[tuple[bytes, ...]] = set()
    for chosen in (lines[:TRIED], lines[TRIED:]):
        for normal, offset in chosen:
            for snap in SNAP_LOADS if len(piece.atoms) > 1 else SNAP_LOADS[:1]:
                split, behind = _decided(piece, normal, offset, snap * unit)
                key = (split.tobytes(), behind.tobytes(), normal.tobytes() if split.any() else b"")
                if key in seen:
                    continue
                seen.add(key)
                sides = _sides(piece, normal, offset, split, behind)
                cut = None if sides is None else _judged(ground, sides, cells, unit, roads)
                if cut is not None:
                    cuts.append(cut)
        if cuts:
            break
    return min(cuts, key=lambda cut: cut.cost) if cuts else None


def _candidate_lines(
    piece: Piece, cells: int, ground: shapely.Geometry, turn: float
) -> list[tuple[Floats, float]]:
    """Straight lines that part the load as wanted: (unit normal, offset), shortest cut first."""
    middle = np.average(piece.xy, axis=0, weights=piece.load)
    spread = np.cov((piece.xy - middle).T, aweights=piece.load) if len(piece.xy) > 2 else np.eye(2)
    main = np.linalg.eigh(spread)[1][:, 1]
    base = np.arctan2(main[1], main[0]) + turn
    reach = float(np.hypot(*np.subtract(ground.bounds[2:], ground.bounds[:2])))
    found = []
    for step in range(DIRECTIONS):
        angle = base + np.pi * step / DIRECTIONS
        normal = np.array([np.cos(angle), np.sin(angle)])
        for behind in sorted({cells // 2, cells - cells // 2}):
            offset = _offset(piece.xy @ normal, piece.load, behind / cells)
            line = _line(normal, offset, middle, reach)
            length = float(shapely.length(shapely.intersection(line, ground)))
            found.append((length, normal, offset))
    found.sort(key=lambda item: item[0])
    return [(normal, offset) for length, normal, offset in found if length > 0]


def _offset(position: Floats, load: Floats, share: float) -> float:
    """Where along a direction this share of the load lies behind: between two points."""
    order = np.argsort(position, kind="stable")
    sums = np.cumsum(load[order])
    at = int(np.clip(np.searchsorted(sums, share * sums[-1]), 0, len(order) - 2))
    ahead = np.flatnonzero(position[order][at + 1 :] > position[order][at] + 1e-6)
    following = at + 1 + int(ahead[0]) if len(ahead) else at
    return float((position[order][at] + position[order][following]) / 2)


def _line(normal: Floats, offset: float, near: Floats, reach: float) -> shapely.LineString:
    foot = near + (offset - near @ normal) * normal
    along = np.array([-normal[1], normal[0]]) * reach * 1.5
    return shapely.LineString([foot - along, foot + along])


def _decided(
    piece: Piece, normal: Floats, offset: float, whole_below: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which atoms a line is to split, and on which side of it the others lie (True: behind it)."""
    count = len(piece.atoms)
    back = piece.xy @ normal < offset
    load = np.bincount(piece.atom, piece.load, count)
    load_behind = np.bincount(piece.atom[back], piece.load[back], count)
    xy, atom = shapely.get_coordinates(piece.atoms, return_index=True)
    starts = np.flatnonzero(np.diff(atom, prepend=-1))
    nearest = np.minimum.reduceat(xy @ normal, starts)
    farthest = np.maximum.reduceat(xy @ normal, starts)
    lesser = np.minimum(load_behind, load - load_behind)
    split = (nearest < offset) & (farthest > offset) & (lesser > max(whole_below, _NOTHING))
    behind = np.where(load > 0, load_behind > load / 2, (nearest + farthest) / 2 < offset)
    return split, behind


def _sides(
    piece: Piece, normal: Floats, offset: float, split: NDArray[np.bool_], behind: NDArray[np.bool_]
) -> _Sides | None:
    """The two sides of a line, as whole and split atoms; None where one of them is not connected."""
    made, side = piece.atoms, behind
    at_back = behind[piece.atom]
    if split.any():
        bounds = np.array(piece.ground.bounds)
        reach = float(np.hypot(*(bounds[2:] - bounds[:2])))
        line = _line(normal, offset, (bounds[:2] + bounds[2:]) / 2, reach)
        made, of = split_by_line(piece.atoms, split, line)
        inner = shapely.get_coordinates(shapely.point_on_surface(made)) @ normal < offset
        side = np.where(split[of], inner, behind[of])
        at_back = np.where(split[piece.atom], piece.xy @ normal < offset, at_back)
    if side.all() or not side.any():
        return None
    grounds = _grounds(made, side)
    if any(shape.geom_type != "Polygon" for shape in grounds):
        member = holders(made, piece.xy)
        side = _mended(made, side, np.bincount(member, piece.load, len(made)).astype(float))
        if side.all() or not side.any():
            return None
        grounds, at_back = _grounds(made, side), side[member]
        if any(shape.geom_type != "Polygon" for shape in grounds):
            return None
    return _Sides(made, side, grounds, (piece.load[at_back].sum(), piece.load[~at_back].sum()))


def _grounds(atoms: Geometries, side: NDArray[np.bool_]) -> tuple[shapely.Geometry, shapely.Geometry]:
    return merged(atoms[side]), merged(atoms[~side])


def _parts(piece: Piece, sides: _Sides) -> tuple[Piece, Piece]:
    member = holders(sides.atoms, piece.xy)
    back, front = (
        _part(piece, ground, sides.atoms, member, chosen)
        for ground, chosen in zip(sides.grounds, (sides.behind, ~sides.behind), strict=True)
    )
    return back, front


def _mended(atoms: Geometries, side: NDArray[np.bool_], load: Floats) -> NDArray[np.bool_]:
    """Fragments that a side has beside its main piece go to the other side."""
    turned = side.copy()
    for value in (True, False):
        mine = np.flatnonzero(side == value)
        if not len(mine):
            continue
        group = contiguous(atoms[mine])
        weight = np.bincount(group, load[mine] + 1e-12 * shapely.area(atoms[mine]))
        turned[mine[group != int(np.argmax(weight))]] = not value
    return turned


def _part(
    piece: Piece, ground: shapely.Polygon, atoms: Geometries, member: Ints, chosen: NDArray[np.bool_]
) -> Piece:
    number = np.cumsum(chosen) - 1
    mine = chosen[member]
    return Piece(ground, atoms[chosen], piece.xy[mine], piece.load[mine], number[member[mine]])


def _judged(
    ground: shapely.Polygon, sides: _Sides, cells: int, unit: float, roads: shapely.STRtree | None
) -> _Cut | None:
    """The cut with its cost; None where a side is narrow or has a hole that the ground does not have."""
    shapes = sides.grounds
    if sum(len(shape.interiors) for shape in shapes) > len(ground.interiors):
        return None
    if any(2 * shape.area / shape.length < NARROW_M for shape in shapes):
        return None
    first = int(np.clip(round(sides.loads[0] / unit), 1, cells - 1))
    shares = (first, cells - first)
    bulk = float(np.mean([shape.length**2 / (16 * shape.area) for shape in shapes]))
    off = max(abs(load / unit - share) / share for load, share in zip(sides.loads, shares, strict=True))
    seam = inner_seam(shapes[0], [ground.boundary])
    along = 0.0 if roads is None else road_share(seam, roads)
    return _Cut(bulk + _IMBALANCE_COST * float(off) - _ROAD_GAIN * along, sides, shares, seam)


def road_share(seam: shapely.Geometry, roads: shapely.STRtree, near_m: float = 1.0) -> float:
    """Share of a seam's length (0 to 1) whose segments have their middle within `near_m` metres of a road."""
    lines = shapely.get_parts(seam)
    lines = lines[shapely.get_type_id(lines) == 1]
    xy, line = shapely.get_coordinates(lines, return_index=True)
    if len(xy) < 2:
        return 0.0
    joined = line[1:] == line[:-1]
    start, stop = xy[:-1][joined], xy[1:][joined]
    length = np.hypot(*(stop - start).T)
    near = roads.query(shapely.points((start + stop) / 2), predicate="dwithin", distance=near_m)[0]
    on = np.zeros(len(length), dtype=bool)
    on[near] = True
    return float(length[on].sum() / length.sum()) if length.sum() else 0.0
