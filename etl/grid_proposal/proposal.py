"""A proposal: the towns' ground cut into cells, drawn as one coverage, checked by the house's rule and numbered."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.grid_proposal.atoms import atoms_between, holders, polygons_in
from etl.grid_proposal.bisection import Piece, cut_into
from etl.grid_proposal.communities import Community, communities_of, whole_town
from etl.grid_proposal.ground import Place, Stored, fitted_together
from etl.grid_proposal.loads import Wish, cell_counts, sampled
from etl.grid_proposal.numbering import MOST_CELLS, numbered
from etl.grid_proposal.outlines import hairs_closed
from etl.grid_proposal.planar import drawn_together
from etl.grid_proposal.verdict import faults, refuse_faulty, refuse_gridded, refuse_misfits
from geoapp.errors import Refused

__all__ = ["Proposal", "propose"]

_SAID = 12
_TURNS, _TURN, _ROADLESS = 8, 0.17, 4
"""How often, and by how much (radians), the directions of cuts are turned where seams end badly; from the 4th turn on
without roads, because it may be a road that leads there."""
_OF_GROUND = ("uncovered", "outside", "outside_community")

Geometries = NDArray[np.object_]
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Proposal:
    """Cells (n,) in metres of the city's zone with their codes; `changed` are stored neighbours that get vertices."""

    communities: list[Community]
    codes: list[str]
    cells: Geometries
    community: NDArray[np.int64]
    sites: NDArray[np.int64]
    lines: Geometries
    notices: list[str] = field(default_factory=list)
    changed: dict[str, shapely.Polygon] = field(default_factory=dict)


def propose(
    stored: Stored,
    towns: list[Place],
    *,
    wish: Wish | None = None,
    roads: Geometries | None = None,
    whole_towns: bool = False,
    tell: Tell = lambda step, share: None,
) -> Proposal:
    """Cells for all communities of these towns.

    roads: more lines to follow, metres. whole_towns: a town without communities that have an outline or a seat becomes
    one community. tell: told a step and the share done. Raises Refused where a town has nothing to go by, where a
    community has cells already, where the outlines do not fit together, or where the result is not a valid grid.
    """
    wish = wish or Wish()
    lines = stored.lines if roads is None else np.concatenate([stored.lines, roads])
    lines = (
        lines[shapely.intersects(lines, shapely.union_all([t.outline for t in towns]))]
        if len(lines)
        else lines
    )
    tell("村居 communities", 0.0)
    towns, shared = fitted_together(stored, towns)
    communities, notices = _grounds(stored, towns, lines, whole_towns)
    communities, closed = _without_hairs(communities)
    notices = [*shared, *closed, *notices]
    refuse_gridded(stored, communities)
    refuse_misfits(communities)

    beside = _neighbours(stored, communities)
    cut: dict[int, _Cells] = {}
    turns = dict.fromkeys(range(len(communities)), 0)
    while True:
        todo = [index for index in turns if index not in cut]
        for done, index in enumerate(todo):
            tell(f"分割 cutting {communities[index].name}", 0.1 + 0.6 * done / len(todo))
            used = {code for code in {*stored.cells, *stored.retired} if code[:12] == communities[index].code}
            most = MOST_CELLS - len(used)
            along = lines if turns[index] < _ROADLESS else lines[:0]
            cut[index] = _cells_of(communities[index], stored.sites, along, wish, most, turns[index])
        tell("拼合 drawing", 0.7)
        codes, cells, community_of, changed = _drawn(stored, communities, cut, beside)
        tell("核对 checking", 0.9)
        found = faults(stored, towns, communities, codes, cells, changed)
        # A seam that ends in a narrow bay of an outline leaves two cells that nearly touch: it is led elsewhere.
        of_seams = {
            code[:12] for problem in found if problem.name not in _OF_GROUND for code in problem.codes
        }
        again = [i for i, c in enumerate(communities) if c.code in of_seams and turns[i] < _TURNS]
        if not again:
            break
        for index in again:
            turns[index] += 1
            del cut[index]
    refuse_faulty(stored, communities, found)
    counted = _sites_in(cells, stored.sites)
    return Proposal(communities, codes, cells, community_of, counted, lines, notices, changed)


def _drawn(
    stored: Stored,
    communities: list[Community],
    cut: dict[int, "_Cells"],
    beside: dict[str, shapely.Polygon],
) -> tuple[list[str], Geometries, NDArray[np.int64], dict[str, shapely.Polygon]]:
    """Codes, cells and the community of each, by code; and the stored neighbours that got vertices."""
    pieces = [piece for index in range(len(communities)) for piece in cut[index].pieces]
    seams = [seam for index in range(len(communities)) for seam in cut[index].seams]
    owner = [index for index in range(len(communities)) for _ in cut[index].pieces]
    grounds = np.array([c.outline for c in communities] + list(beside.values()), dtype=object)
    every = np.array(pieces + list(beside.values()), dtype=object)
    of = np.array(owner + list(range(len(communities), len(grounds))))
    drawn = drawn_together(every, of, grounds, seams)
    # A cell whose seam was lost in the drawing has no ground left; its neighbour has it.
    there = np.flatnonzero(~shapely.is_empty(drawn[: len(pieces)]))
    cells, community_of = drawn[there], of[there]

    codes = [""] * len(cells)
    middles = shapely.get_coordinates(shapely.centroid(cells))
    for index, community in enumerate(communities):
        mine = np.flatnonzero(community_of == index)
        given = numbered(community.code, middles[mine], {*stored.cells, *stored.retired})
        for cell, code in zip(mine.tolist(), given, strict=True):
            codes[cell] = code
    order = np.argsort(np.array(codes))
    changed = {
        code: shape
        for (code, before), shape in zip(beside.items(), drawn[len(pieces) :].tolist(), strict=True)
        if len(shapely.get_coordinates(shape)) != len(shapely.get_coordinates(before))
    }
    return [codes[i] for i in order], cells[order], community_of[order], changed


def _grounds(
    stored: Stored, towns: list[Place], lines: Geometries, whole_towns: bool
) -> tuple[list[Community], list[str]]:
    communities: list[Community] = []
    notices: list[str] = []
    bare: list[Place] = []
    for town in towns:
        found, said = communities_of(stored, town, lines)
        if not found and whole_towns:
            found = [whole_town(stored, town)]
            said = [
                f"{town.code} {town.name}: 作为一个村居，代码 {found[0].code} / the whole town is one community, code {found[0].code}"
            ]
        if not found:
            bare.append(town)
        communities += found
        notices += said
    if bare:
        raise Refused(
            f"这些镇没有任何村居的边界或驻地：{'、'.join(t.name for t in bare)} / No community of these towns has an outline or a "
            f"seat inside the town: {', '.join(t.code for t in bare)}.\n"
            "  Load communities in the manifest's `units` section: polygons, or lon and lat of their seats (村委会、居委会驻地).\n"
            "  Or --whole-town: such a town becomes one community with the code of a virtual one (its 9 digits and 498 or 598).\n"
            "  Or name other towns with --town." + "".join(f"\n  {line}" for line in notices[:_SAID])
        )
    return communities, notices


def _without_hairs(communities: list[Community]) -> tuple[list[Community], list[str]]:
    outlines, hairs = hairs_closed([c.outline for c in communities])
    said = [
        f"{communities[i].code} {communities[i].name}: 边界之间的细缝 {area:,.1f} m² 归它 / a hair between outlines goes to it"
        for i, area in hairs
        if area >= 0.1
    ]
    return [replace(c, outline=outline) for c, outline in zip(communities, outlines, strict=True)], said


@dataclass(frozen=True)
class _Cells:
    """Pieces of a community's ground, and the lines between them."""

    pieces: list[shapely.Geometry]
    seams: list[shapely.Geometry]


def _cells_of(
    community: Community,
    sites: NDArray[np.float64],
    lines: Geometries,
    wish: Wish,
    most: int,
    turn: int,
) -> _Cells:
    parts = polygons_in(community.outline)
    inside = [sites[shapely.contains_xy(part, sites[:, 0], sites[:, 1])] for part in parts]
    counts = cell_counts(shapely.area(parts), np.array([len(s) for s in inside]), wish, most)
    cells: list[shapely.Geometry] = []
    seams: list[shapely.Geometry] = []
    for part, mine, count in zip(parts.tolist(), inside, counts.tolist(), strict=True):
        if count == 1:
            cells.append(part)
            continue
        near = lines[shapely.intersects(lines, part)] if len(lines) else lines
        atoms = atoms_between(part, list(shapely.intersection(near, part)))
        xy, load = sampled(part, mine, count, wish)
        atom = holders(atoms, xy)
        tree = shapely.STRtree(near) if len(near) else None
        pieces, cuts = cut_into(Piece(part, atoms, xy, load, atom), count, tree, turn=turn * _TURN)
        cells += [piece.ground for piece in pieces]
        seams += cuts
    return _Cells(cells, seams)


def _neighbours(stored: Stored, communities: list[Community]) -> dict[str, shapely.Polygon]:
    """Stored cells that border on the new ones: they are drawn with them and may get vertices on the common border."""
    if not stored.cells:
        return {}
    codes = list(stored.cells)
    tree = shapely.STRtree(list(stored.cells.values()))
    near = tree.query([c.outline for c in communities], predicate="dwithin", distance=0.01)[1]
    return {codes[i]: stored.cells[codes[i]] for i in sorted(set(near.tolist()))}


def _sites_in(cells: Geometries, sites: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of sites in each cell; one on a border counts in the first."""
    if not len(sites):
        return np.zeros(len(cells), dtype=np.int64)
    site, cell = shapely.STRtree(cells).query(shapely.points(sites), predicate="intersects")
    order = np.lexsort((cell, site))
    _, first = np.unique(site[order], return_index=True)
    return np.bincount(cell[order][first], minlength=len(cells))
