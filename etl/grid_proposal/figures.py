"""How well a proposal is balanced, community by community, and how much of its borders runs along roads."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.grid_proposal.bisection import road_share
from etl.grid_proposal.communities import Community
from etl.grid_proposal.proposal import Proposal

__all__ = ["CommunityFigures", "as_json", "figures", "seams"]


@dataclass(frozen=True)
class CommunityFigures:
    """Areas in square metres; road_share: of the length of the borders inside the community, 0 to 1 (None: no borders)."""

    code: str
    name: str
    town: str
    made_from: str
    cells: int
    sites: int
    sites_min: int
    sites_median: float
    sites_max: int
    area_min_m2: float
    area_median_m2: float
    area_max_m2: float
    road_share: float | None


def seams(proposal: Proposal, index: int) -> shapely.Geometry:
    """Borders between the cells of one community (by its index in the proposal), metres."""
    mine = proposal.cells[proposal.community == index]
    lines = shapely.union_all(shapely.boundary(mine))
    return shapely.difference(lines, shapely.boundary(shapely.coverage_union_all(mine)))


def figures(proposal: Proposal) -> list[CommunityFigures]:
    """One line a community, in the proposal's order."""
    roads = shapely.STRtree(proposal.lines) if len(proposal.lines) else None
    return [_of(proposal, index, community, roads) for index, community in enumerate(proposal.communities)]


def _of(
    proposal: Proposal, index: int, community: Community, roads: shapely.STRtree | None
) -> CommunityFigures:
    mine = proposal.community == index
    sites, area = proposal.sites[mine], shapely.area(proposal.cells[mine])
    inner = seams(proposal, index) if mine.sum() > 1 else None
    share = None
    if inner is not None and inner.length > 0:
        share = 0.0 if roads is None else round(road_share(inner, roads), 3)
    fewest, usual, most = _spread(sites)
    smallest, common, largest = (round(value, 1) for value in _spread(area))
    return CommunityFigures(
        community.code, community.name, community.town, community.made_from, int(mine.sum()), int(sites.sum()),
        fewest, usual, most, smallest, common, largest, share,
    )  # fmt: skip


def _spread(values: NDArray[Any]) -> tuple[Any, float, Any]:
    return values.min().item(), float(np.median(values)), values.max().item()


def as_json(proposal: Proposal) -> dict[str, Any]:
    """The figures of all communities and of the whole, for --json."""
    sites, area = proposal.sites, shapely.area(proposal.cells)
    return {
        "communities": [asdict(line) for line in figures(proposal)],
        "cells": len(proposal.cells),
        "sites": int(sites.sum()),
        "sites_min_median_max": list(_spread(sites)),
        "area_m2_min_median_max": [round(value, 1) for value in _spread(area)],
        "neighbours_that_get_vertices": sorted(proposal.changed),
        "notices": proposal.notices,
    }
