"""What stands against a proposal: cells that are there already, outlines that do not fit, a grid that is not valid."""

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.grid_proposal.communities import Community
from etl.grid_proposal.ground import Place, Stored
from geoapp.errors import Refused
from geoapp.territory.coverage import CoverageProblem, grid_problems

__all__ = ["faults", "refuse_faulty", "refuse_gridded", "refuse_misfits"]

_SAID = 12

Geometries = NDArray[np.object_]


def refuse_gridded(stored: Stored, communities: list[Community]) -> None:
    """Raises Refused where a community has cells already."""
    held: dict[str, int] = {}
    for code in stored.cells:
        held[code[:12]] = held.get(code[:12], 0) + 1
    both = [c for c in communities if c.code in held]
    if both:
        raise Refused(
            f"{len(both)} 个村居已有网格 / {len(both)} of the communities have cells already: "
            + ", ".join(f"{c.code} {c.name} ({held[c.code]})" for c in both[:_SAID])
            + (" …" if len(both) > _SAID else "")
            + "\n  A first grid is made only where there is none. Name other towns with --town."
        )


def refuse_misfits(communities: list[Community]) -> None:
    """Raises Refused where outlines share ground: no valid grid fits them."""
    outlines = np.array([c.outline for c in communities], dtype=object)
    found = grid_problems([c.code for c in communities], outlines, None)
    wrong = [problem for problem in found if problem.name in ("overlap", "invalid_cell")]
    if wrong:
        raise Refused(
            "村居边界互相重叠，划不出有效网格 / The outlines of the communities overlap, so no valid grid fits them:\n"
            + _listed(wrong)
            + "\n  Correct the outlines and load them again."
        )


def faults(
    stored: Stored,
    towns: list[Place],
    communities: list[Community],
    codes: list[str],
    cells: Geometries,
    changed: dict[str, shapely.Polygon],
) -> list[CoverageProblem]:
    """What breaks the house's rule: for every community, and for the towns with what is stored and declared there."""
    outlines = {c.code: c.outline for c in communities}
    problems = grid_problems(codes, cells, shapely.union_all(list(outlines.values())), communities=outlines)
    if not any(problem.breaks_coverage for problem in problems):
        asked = {town.code[:9] for town in towns}
        kept = {code: shape for code, shape in (stored.cells | changed).items() if code[:9] in asked}
        grounds = shapely.union_all([town.outline for town in towns])
        problems = grid_problems([*codes, *kept], [*cells, *kept.values()], grounds, list(stored.declared))
    # New cells are made beside declared ground; an old one that lies on it is no fault of theirs.
    return [p for p in problems if p.breaks_coverage and p.name != "declared_covered"]


def refuse_faulty(stored: Stored, communities: list[Community], found: list[CoverageProblem]) -> None:
    """Raises Refused with the faults, and the communities that have neither outline nor seat in these towns."""
    if not found:
        return
    made, towns = {c.code for c in communities}, {c.town for c in communities}
    missed = [place.code for place in stored.communities if place.town in towns and place.code not in made]
    also = f"\n  村居无边界无驻地 / communities without cells: {', '.join(missed[:_SAID])}" if missed else ""
    raise Refused(
        "划出的网格无效，什么都没有写 / The cells would not be a valid grid; nothing was written:\n"
        + _listed(found)
        + also
        + "\n  Where outlines do not fill the town, correct them, or declare the ground as in no cell (territory.no_cell_ground)."
    )


def _listed(problems: list[CoverageProblem]) -> str:
    lines = []
    for problem in problems[:_SAID]:
        x, y = problem.places[0] if problem.places else (float("nan"), float("nan"))
        lines.append(
            f"  {problem.zh} / {problem.en}: {problem.area_m2:,.1f} m² ({x:,.0f}, {y:,.0f}) {', '.join(problem.codes[:3])}"
        )
    more = len(problems) - _SAID
    return "\n".join(lines) + (f"\n  … {more} more" if more > 0 else "")
