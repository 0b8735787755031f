"""The communities of a town: their outlines as stored, or made from their seats, or the town as one."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.grid_proposal.atoms import atoms_between, contiguous, inner_seam, merged, polygons_in, seam_between
from etl.grid_proposal.ground import Place, Stored
from etl.grid_proposal.planar import drawn_together

__all__ = ["Community", "communities_of", "whole_town"]

WHOLE_ATOM = 0.8
"""An atom between roads goes whole to the seat that is nearest for this share of its points."""
_LATTICE = 60

Geometries = NDArray[np.object_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Community:
    """Ground to be cut into cells. made_from: "outline", "seat" or "town"."""

    code: str
    name: str
    town: str
    outline: shapely.Geometry
    made_from: str


def communities_of(stored: Stored, town: Place, lines: Geometries) -> tuple[list[Community], list[str]]:
    """Communities of a town with their ground, and what a person should know of those that got none.

    Where all have outlines, those are it. Ground of the town that no outline holds is shared out among the communities
    that have a seat there. Declared ground (in no cell) belongs to none.
    """
    mine = [place for place in stored.communities if place.town == town.code]
    drawn = [place for place in mine if place.outline is not None]
    found = [
        Community(p.code, p.name, town.code, _without(p.outline, stored.declared), "outline") for p in drawn
    ]
    seated = [place for place in mine if place.outline is None and place.seat is not None]
    notices = [
        f"{p.code} {p.name}: 没有边界也没有驻地，未划网格 / neither outline nor seat, so no cells are made for it"
        for p in mine
        if p.outline is None and p.seat is None
    ]
    if not seated:
        return found, notices
    rest = town.outline
    if drawn:
        rest = shapely.difference(rest, shapely.union_all([place.outline for place in drawn]))
    rest = _without(rest, stored.declared)
    usable, said = _usable_seats(seated, rest)
    shares = (
        _shared_out(rest, np.array([shapely.get_coordinates(p.seat)[0] for p in usable]), lines)
        if usable
        else []
    )
    found += [
        Community(place.code, place.name, town.code, ground, "seat")
        for place, ground in zip(usable, shares, strict=True)
        if ground is not None
    ]
    said += [
        f"{place.code} {place.name}: 驻地周围没有剩余的地 / no ground is left around its seat"
        for place, ground in zip(usable, shares, strict=True)
        if ground is None
    ]
    return sorted(found, key=lambda c: c.code), notices + said


def whole_town(stored: Stored, town: Place) -> Community:
    """A town as one community. Its code is the town's nine digits and 498 (街道, urban) or 598 (rural): what the
    statistical division codes use for the virtual community of a unit that has none of its own."""
    code = town.code[:9] + ("498" if town.name.endswith("街道") else "598")
    return Community(
        code, f"{town.name}（未分村居）", town.code, _without(town.outline, stored.declared), "town"
    )


def _without(outline: shapely.Geometry, declared: Geometries) -> shapely.Geometry:
    """An outline without the declared ground that lies in it."""
    near = declared[shapely.intersects(declared, outline)] if len(declared) else declared
    near = [shape for shape in near if shapely.intersection(shape, outline).area > 1.0]
    return shapely.difference(outline, shapely.union_all(near)) if near else outline


def _usable_seats(seated: list[Place], ground: shapely.Geometry) -> tuple[list[Place], list[str]]:
    usable: list[Place] = []
    taken: dict[tuple[float, float], Place] = {}
    said = []
    for place in seated:
        assert place.seat is not None
        spot = (round(place.seat.x, 1), round(place.seat.y, 1))
        away = shapely.distance(place.seat, ground)
        if away > 0:
            said.append(
                f"{place.code} {place.name}: 驻地在镇外（或已划的地里），相距 {away:,.0f} m，未划网格 / its seat lies {away:,.0f} m "
                "outside the town's free ground, so no cells are made for it: correct the seat or give an outline"
            )
        elif spot in taken:
            said.append(
                f"{place.code} {place.name}: 驻地与 {taken[spot].name} 相同，未划网格 / its seat is that of {taken[spot].code}, "
                "so no cells are made for it: correct one of the two"
            )
        else:
            taken[spot] = place
            usable.append(place)
    return usable, said


def _shared_out(ground: shapely.Geometry, seats: Floats, lines: Geometries) -> list[shapely.Geometry | None]:
    """The part of the ground nearest to each seat, moved to roads where atoms between them lie mostly at one seat."""
    atoms: list[Geometries] = []
    owner: list[NDArray[np.int64]] = []
    voronoi = _voronoi(seats, ground)
    for part in polygons_in(ground):
        made, nearest = _by_nearest_seat(part, seats, voronoi, lines)
        atoms.append(made)
        owner.append(_gathered(made, nearest, seats))
    every, of_all = np.concatenate(atoms), np.concatenate(owner)
    held = np.unique(of_all)
    shares = np.array([merged(every[of_all == seat]) for seat in held], dtype=object)
    seams: list[shapely.Geometry] = []
    for share in shares.tolist():
        near = [seam for seam in seams if shapely.dwithin(seam, share, 0.01)]
        seams.append(inner_seam(share, [ground.boundary, *near]))
    exact = drawn_together(
        shares, np.zeros(len(shares), dtype=np.int64), np.array([ground], dtype=object), seams
    )
    found: list[shapely.Geometry | None] = [None] * len(seats)
    for seat, share in zip(held.tolist(), exact.tolist(), strict=True):
        found[seat] = share
    return found


def _voronoi(seats: Floats, ground: shapely.Geometry) -> shapely.Geometry:
    """Lines between the areas of nearest seats; empty for one seat."""
    if len(seats) < 2:
        return shapely.from_wkt("LINESTRING EMPTY")
    wide = ground.envelope.buffer(
        10.0 + max(ground.bounds[2] - ground.bounds[0], ground.bounds[3] - ground.bounds[1])
    )
    return shapely.voronoi_polygons(shapely.multipoints(seats), extend_to=wide, only_edges=True)


def _by_nearest_seat(
    part: shapely.Polygon, seats: Floats, voronoi: shapely.Geometry, lines: Geometries
) -> tuple[Geometries, NDArray[np.int64]]:
    """Atoms between roads and the lines half-way between seats, and the seat that each goes to."""
    tree = shapely.STRtree(shapely.points(seats))
    inside = list(shapely.intersection(lines[shapely.intersects(lines, part)], part)) if len(lines) else []
    blocks = atoms_between(part, inside)
    atoms = atoms_between(part, [*inside, shapely.intersection(voronoi, part)])
    middles = shapely.point_on_surface(atoms)
    owner = _nearest(tree, shapely.get_coordinates(middles))
    block_of = shapely.STRtree(blocks).query_nearest(middles, all_matches=False)[1]
    for index, block in enumerate(blocks.tolist()):
        near = _nearest(tree, _points_in(block))
        share = np.bincount(near, minlength=len(seats)) / len(near)
        if share.max() >= WHOLE_ATOM and not _holds_other(block, seats, share):
            owner[block_of == index] = int(np.argmax(share))
    return atoms, owner


def _nearest(tree: shapely.STRtree, xy: Floats) -> NDArray[np.int64]:
    return np.asarray(tree.query_nearest(shapely.points(xy), all_matches=False)[1])


def _holds_other(atom: shapely.Polygon, seats: Floats, share: Floats) -> bool:
    """Whether a seat other than the one with the greatest share stands in the atom."""
    held = np.flatnonzero(shapely.intersects_xy(atom, seats[:, 0], seats[:, 1]))
    return bool((held != int(np.argmax(share))).any())


def _points_in(atom: shapely.Polygon) -> Floats:
    west, south, east, north = atom.bounds
    x, y = np.meshgrid(np.linspace(west, east, _LATTICE), np.linspace(south, north, _LATTICE))
    inside = shapely.contains_xy(atom, x.ravel(), y.ravel())
    found = np.column_stack([x.ravel()[inside], y.ravel()[inside]])
    return found if len(found) else shapely.get_coordinates(shapely.point_on_surface(atom))


def _gathered(atoms: Geometries, owner: NDArray[np.int64], seats: Floats) -> NDArray[np.int64]:
    """Fragments that are cut off from their seat's ground go to the neighbour with the longest common border."""
    owner = owner.copy()
    for _ in range(3):
        loose = _loose(atoms, owner, seats)
        moved = False
        for index in loose:
            others = np.flatnonzero(owner != owner[index])
            touching = others[shapely.dwithin(atoms[others], atoms[index], 0.01)]
            common = {
                int(k): sum(
                    seam_between(atoms[index], atoms[i]).length for i in touching[owner[touching] == k]
                )
                for k in np.unique(owner[touching])
            }
            if common and max(common.values()) > 0:
                owner[index] = max(sorted(common), key=lambda k: common[k])
                moved = True
        if not moved:
            break
    return owner


def _loose(atoms: Geometries, owner: NDArray[np.int64], seats: Floats) -> list[int]:
    """Atoms not connected to the piece with their seat (or the largest piece), while others share their border."""
    loose: list[int] = []
    for seat in np.unique(owner).tolist():
        mine = np.flatnonzero(owner == seat)
        group = contiguous(atoms[mine])
        if group.max() == 0:
            continue
        away = shapely.distance(atoms[mine], shapely.Point(seats[seat]))
        home = (
            group[int(np.argmin(away))]
            if away.min() == 0
            else int(np.argmax(np.bincount(group, shapely.area(atoms[mine]))))
        )
        loose += mine[group != home].tolist()
    return loose
