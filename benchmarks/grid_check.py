"""The grid check on 100,000 wavy cells with planted faults, against a plain way of doing it with shapely, in the same run.

Run: .venv/bin/python -m benchmarks.grid_check [--side 316 --faults 400 --rounds 5 --peer-rounds 1 --json FILE]
Prints JSON. `ours_s` is the median of the rounds of geoapp.territory.coverage.grid_problems; every planted fault must be
found with its cells and its area (to 0.01 m²) and nothing else, or the run fails. The peer is what one writes without the
coverage functions: every pair of neighbours from an STRtree is intersected for overlaps, all cells are dissolved by
union_all, and the parent minus that is the ground not covered. It finds overlaps and holes, but no T-junction.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.wavy_grid import Fault, plant, wavy_grid
from geoapp.territory.coverage import CoverageProblem, grid_problems

KINDS = ("overlap", "gap", "t_junction", "uncovered")
Geometries = NDArray[np.object_]


def main() -> None:
    """Reads the options, runs, prints JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=316)
    parser.add_argument("--faults", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    result = run(asked.side, asked.faults, asked.rounds, asked.peer_rounds)
    text = json.dumps(result, indent=1)
    print(text)
    if asked.json:
        asked.json.write_text(text, encoding="utf-8")


def run(side: int, fault_count: int, rounds: int, peer_rounds: int) -> dict[str, Any]:
    """Times both ways on one grid of side x side cells and gives the figures."""
    rng = np.random.default_rng(4)
    cells = wavy_grid(side, rng)
    parent = shapely.coverage_union_all(cells)
    names = np.array([f"{n:018d}" for n in range(len(cells))], dtype=object)
    spots = [row * side + column for row in range(1, side - 1, 3) for column in range(1, side - 2, 3)]
    chosen = rng.permutation(spots)[:fault_count].tolist()
    faults = [plant(cells, at, KINDS[i % len(KINDS)]) for i, at in enumerate(chosen)]
    left = np.array([cell is not None for cell in cells])

    ours: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        found = grid_problems(names[left], cells[left], parent)
        ours.append(time.perf_counter() - started)
        _compare(found, faults, names)
    peer = []
    for _ in range(peer_rounds):
        started = time.perf_counter()
        overlap_m2, bare_m2 = _plain(cells[left], parent)
        peer.append(time.perf_counter() - started)
        for kinds, area in ((("overlap",), overlap_m2), (("gap", "uncovered"), bare_m2)):
            planted = sum(f.area_m2 for f in faults if f.name in kinds)
            assert abs(planted - area) < 0.01 * max(len(faults), 1), (kinds, planted, area)
    result = {
        "cells": int(left.sum()),
        "vertices": int(shapely.get_num_coordinates(cells[left]).sum()),
        "faults": {kind: sum(f.name == kind for f in faults) for kind in KINDS},
        "ours_s": round(statistics.median(ours), 2),
        "ours_worst_s": round(max(ours), 2),
    }
    if peer:
        result |= {"peer_s": round(statistics.median(peer), 2)}
        result |= {"peer_over_ours": round(statistics.median(peer) / statistics.median(ours), 1)}
    return result


def _compare(found: list[CoverageProblem], faults: list[Fault], names: Geometries) -> None:
    """Fails unless exactly the planted faults were found, with their cells and areas."""
    planted = sorted((f.name, tuple(names[list(f.cells)].tolist()), f.area_m2) for f in faults)
    seen = sorted((p.name, p.codes, p.area_m2) for p in found)
    assert len(planted) == len(seen), (len(planted), len(seen))
    for wanted, got in zip(planted, seen, strict=True):
        assert wanted[:2] == got[:2], (wanted, got)
        assert abs(wanted[2] - got[2]) < 0.01, (wanted, got)


def _plain(cells: Geometries, parent: shapely.Geometry) -> tuple[float, float]:
    """Area of all overlaps and of all ground not covered, m², without the coverage functions."""
    left, right = shapely.STRtree(cells).query(cells, predicate="intersects")
    once = left < right
    shared = shapely.area(shapely.intersection(cells[left[once]], cells[right[once]]))
    bare = parent.difference(shapely.union_all(cells))
    return float(shared.sum()), float(bare.area)


if __name__ == "__main__":
    main()
