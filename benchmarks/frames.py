"""Coordinate frames: a million points each way, the exactness of the way back, and the value checks of a million rows.

    python -m benchmarks.frames [--rows 1000000] [--rounds 7] [--json FILE]

Points lie all over China (75..134 E, 4..53 N). Times are medians of the rounds, in milliseconds of processor time (other work on the machine counts less); the error is
the largest distance between a point and its return, in millimetres. Columns are those of a list of sites, all valid.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from etl import checks
from etl.frames import (
    bd09_to_wgs84,
    gcj02_to_wgs84,
    parse_frame,
    points_to_metric,
    wgs84_to_bd09,
    wgs84_to_gcj02,
)
from etl.reasons import Findings
from geoapp.registry.identifiers import generate_uscc

Floats = NDArray[np.float64]


def _milliseconds(work: Callable[[], Any], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(1000 * (time.process_time() - started))
    return round(statistics.median(times), 1)


def _millimetres(lon: Floats, lat: Floats, back: tuple[Floats, Floats]) -> float:
    east = (lon - back[0]) * 111_320.0 * np.cos(np.radians(lat))
    return round(1000 * float(np.hypot(east, (lat - back[1]) * 111_320.0).max()), 4)


def of_frames(rows: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of each way, and the error of the way there and back."""
    rng = np.random.default_rng(1)
    lon, lat = rng.uniform(75, 134, rows), rng.uniform(4, 53, rows)
    gcj, bd = wgs84_to_gcj02(lon, lat), wgs84_to_bd09(lon, lat)
    near = rng.uniform(120.9, 121.5, rows), rng.uniform(30.6, 31.0, rows)
    ways: dict[str, Callable[[], Any]] = {
        "wgs84_to_gcj02": lambda: wgs84_to_gcj02(lon, lat),
        "gcj02_to_wgs84": lambda: gcj02_to_wgs84(*gcj),
        "wgs84_to_bd09": lambda: wgs84_to_bd09(lon, lat),
        "bd09_to_wgs84": lambda: bd09_to_wgs84(*bd),
        "bd09_to_epsg4549": lambda: points_to_metric(*near, parse_frame("bd09"), 4549),
    }
    return {name: _milliseconds(way, rounds) for name, way in ways.items()} | {
        "gcj02_error_mm": _millimetres(lon, lat, gcj02_to_wgs84(*gcj)),
        "bd09_error_mm": _millimetres(lon, lat, bd09_to_wgs84(*bd)),
    }


def of_checks(rows: int, rounds: int) -> dict[str, float]:
    """Milliseconds of each check of a whole column, on Arrow arrays as the readers give them."""
    rng = np.random.default_rng(2)
    columns = {
        "usccs": generate_uscc("310116", np.arange(rows)).astype(object),
        "numbers": rng.integers(1, 500, rows).astype(str).astype(object),
        "allowed": rng.choice(["red", "orange", "yellow", "blue"], rows).astype(object),
        "flags": rng.choice(["是", "否"], rows).astype(object),
        "dates": (np.datetime64("2001-01-01") + rng.integers(0, 8000, rows)).astype(str).astype(object),
    }
    text = {name: pa.array(column, pa.string()) for name, column in columns.items()}
    findings = Findings(rows)
    levels = {word: word for word in ("red", "orange", "yellow", "blue")}
    work: dict[str, Callable[[], Any]] = {
        "usccs": lambda: checks.usccs(text["usccs"], findings, "x"),
        "numbers": lambda: checks.numbers(text["numbers"], findings, "x", low=0, high=1e6, whole=True),
        "allowed": lambda: checks.allowed(text["allowed"], findings, "x", levels),
        "flags": lambda: checks.flags(text["flags"], findings, "x", default=False),
        "dates": lambda: checks.dates(text["dates"], findings, "x"),
        "required": lambda: checks.required(text["usccs"], findings, "x"),
    }
    found = {name: _milliseconds(check, rounds) for name, check in work.items()}
    assert findings.accepted.all(), "the columns are valid, so that no row may be set aside"
    return found


def main() -> None:
    """Measures, prints, and writes JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    found = {
        "rows": asked.rows,
        "frames_ms": of_frames(asked.rows, asked.rounds),
        "checks_ms": of_checks(asked.rows, asked.rounds),
    }
    print(json.dumps(found, indent=2))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
