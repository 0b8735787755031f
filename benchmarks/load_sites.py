"""A million sites from a GeoPackage into the register, checked, against tools that check nothing.

    python -m benchmarks.load_sites --home FOLDER --rows 1000000 --rounds 3 --json FILE

A private PostGIS with fsync on under FOLDER. The city: 141 x 141 cells of about 200 m in 11 towns. In each round, in an
order drawn anew: ogr2ogr (PG_USE_COPY=YES), GeoDataFrame.to_postgis, our load without checks (read, convert, COPY, one
spatial index: what the peers do) and the whole `geoapp load` (checks, cells, towns, all ten indexes, references, audit).
All four read the same file, convert EPSG:4326 to EPSG:4549 and end with a spatial index. `--memory` prints the peak
resident memory of the whole load at one, two and five million rows.
"""

import argparse
import json
import os
import random
import select
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import shapely
import yaml
from psycopg.conninfo import conninfo_to_dict

from benchmarks.wavy_grid import wavy_grid
from etl.binary_copy import HEADER, TRAILER, Places, encode
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate
from geoapp.registry.identifiers import generate_uscc

SIDE, PITCH_M, X0, Y0, SRID = 141, 200.0, 600_000.0, 3_400_000.0, 4549
TOWNS = 11
WIDTH_M = SIDE * PITCH_M
COLUMNS = {
    "uscc": "uscc", "id": "id", "name": "name", "address": "address", "gbt4754": "gbt4754", "scale": "scale",
    "hazard_level": "level", "people": "people", "vulnerability": "vulnerability", "contact_name": "contact",
    "contact_phone": "phone", "active_from": "since",
}  # fmt: skip


def write_sites(path: Path, count: int) -> None:
    """A GeoPackage of `count` fictional sites (credit codes are generated), WGS84 degrees, twelve columns."""
    rng = np.random.default_rng(7)
    to_degrees = pyproj.Transformer.from_crs(SRID, 4326, always_xy=True)
    for start in range(0, count, 500_000):
        number = np.arange(start, min(start + 500_000, count))
        n = len(number)
        east, north = (c + rng.uniform(60, WIDTH_M - 60, n) for c in (X0, Y0))
        lon, lat = to_degrees.transform(east, north)
        fields = {
            "uscc": generate_uscc("310116", number).astype(object),
            "id": np.array([f"S{i:07d}" for i in number], dtype=object),
            "name": np.array([f"生成的化工厂{i}号" for i in number], dtype=object),
            "address": np.array([f"金山区第{i % 997}路{i % 89}号" for i in number], dtype=object),
            "gbt4754": rng.choice(["C26", "C13", "F52", "H62"], n).astype(object),
            "scale": rng.choice(["above", "below", "sole_trader"], n).astype(object),
            "level": rng.choice(["red", "orange", "yellow", "blue"], n).astype(object),
            "people": rng.integers(1, 500, n),
            "vulnerability": rng.choice(["normal", "mixed"], n).astype(object),
            "contact": rng.choice(["张某", "李某", "王某"], n).astype(object),
            "phone": np.array([f"138{i % 100_000_000:08d}" for i in number], dtype=object),
            "since": (np.datetime64("2001-01-01") + rng.integers(0, 8000, n)).astype(str).astype(object),
        }
        pyogrio.raw.write(
            path,
            shapely.to_wkb(shapely.points(lon, lat)),
            list(fields.values()),
            list(fields),
            layer="sites",
            geometry_type="Point",
            crs="EPSG:4326",
            append=start > 0,
        )


def write_city(folder: Path) -> None:
    """Towns as vertical strips, one community each, about 20,000 cells, and the manifest."""
    cells = wavy_grid(SIDE, np.random.default_rng(3), pitch_m=PITCH_M)
    cells = shapely.transform(cells, lambda xy: xy + np.array([X0, Y0]))
    column = np.tile(np.arange(SIDE), SIDE)
    strip = column * TOWNS // SIDE
    towns, codes, communities = [], [], []
    for town in range(TOWNS):
        code = f"3101161{town:02d}"
        for part, own in enumerate(np.array_split(np.flatnonzero(strip == town), 3), start=1):
            community = f"{code}{part:03d}"
            communities.append((community, f"第{town}-{part}村"))
            codes += [(int(i), f"{community}1{n // 100 + 1:03d}{n % 100:02d}") for n, i in enumerate(own)]
        towns.append((code + "000", f"第{town}镇", shapely.coverage_union_all(cells[strip == town])))
    _write(
        folder / "towns.gpkg",
        {"code": [t[0] for t in towns], "name": [t[1] for t in towns]},
        [t[2] for t in towns],
    )
    order = dict(codes)
    _write(folder / "cells.gpkg", {"code": [order[i] for i in range(len(cells))]}, list(cells))
    lines = ["code,name", *(f"{code},{name}" for code, name in communities)]
    (folder / "communities.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    city = {"name_zh": "测速区", "name_en": "Bench", "code": "310116", "metric_srid": SRID}
    unit = {"code": "code", "name": "name"}
    ground = {
        "city": city,
        "units": [{"file": "towns.gpkg", "columns": unit}, {"file": "communities.csv", "columns": unit}],
        "grid": {"file": "cells.gpkg", "columns": {"code": "code"}},
    }
    (folder / "ground.yaml").write_text(yaml.safe_dump(ground, allow_unicode=True), encoding="utf-8")


def _write(path: Path, fields: dict[str, list[str]], shapes: list[Any]) -> None:
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes, dtype=object)),
        [np.array(values, dtype=object) for values in fields.values()],
        list(fields),
        geometry_type="MultiPolygon" if path.stem == "towns" else "Polygon",
        crs=f"EPSG:{SRID}",
        promote_to_multi=path.stem == "towns",
    )


def sites_manifest(folder: Path, file: Path) -> Path:
    """A manifest of the sites file alone."""
    city = yaml.safe_load((folder / "ground.yaml").read_text(encoding="utf-8"))["city"]
    path = folder / f"{file.stem}.yaml"
    path.write_text(
        yaml.safe_dump(
            {"city": city, "sites": {"file": str(file), "frame": "wgs84", "columns": COLUMNS}},
            allow_unicode=True,
        ),
        encoding="utf-8",
    )
    return path


def by_ogr2ogr(url: str, file: Path) -> None:
    """The peer: COPY, reprojection, one spatial index, no check."""
    info = conninfo_to_dict(url)
    address = " ".join(f"{k}={info[k]}" for k in ("host", "port", "dbname", "user", "password"))
    subprocess.run(
        ["ogr2ogr", "-q", "-f", "PostgreSQL", f"PG:{address}", file, "sites", "-nln", "peer.ogr", "-overwrite",
         "-lco", "GEOMETRY_NAME=geom", "-t_srs", f"EPSG:{SRID}"],
        check=True, env=os.environ | {"PG_USE_COPY": "YES"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def by_to_postgis(url: str, file: Path) -> None:
    """The peer: read, reproject, to_postgis, then the index (it makes one itself for its geometry column)."""
    import geopandas as gpd
    import sqlalchemy

    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    frame = gpd.read_file(file, layer="sites", use_arrow=True).to_crs(SRID)
    frame.to_postgis("to_postgis", engine, schema="peer", if_exists="replace")
    engine.dispose()


def by_bare_load(url: str, file: Path) -> None:
    """Our way without checks: read, convert, binary COPY of the same twelve columns, one spatial index."""
    from concurrent.futures import ThreadPoolExecutor

    from etl.readers import open_source

    convert = pyproj.Transformer.from_crs(4326, SRID, always_xy=True)
    types = dict.fromkeys(COLUMNS.values(), "text") | {"people": "int4", "geom": "geometry"}
    with (
        connect(url) as connection,
        ThreadPoolExecutor(1) as pool,
        open_source(file, layer="sites") as source,
    ):
        connection.execute("DROP TABLE IF EXISTS peer.bare")
        columns = ", ".join(f'"{name}" {types[name]}' for name in COLUMNS.values())
        connection.execute(
            f"CREATE TABLE peer.bare (id_ bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {columns}, geom geometry(Point, {SRID}))"
        )
        names = ", ".join(f'"{name}"' for name in [*COLUMNS.values(), "geom"])
        with connection.cursor().copy(f"COPY peer.bare ({names}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(HEADER)
            pending = None
            for table in source.chunks():
                x, y = table.points()
                east, north = convert.transform(x, y)
                values = {name: table.text(name) for name in COLUMNS.values()}
                values["people"] = table.numbers("people").astype(np.int32)
                body = encode(values | {"geom": Places(east, north)}, types, srid=SRID)
                if pending is not None:
                    pending.result()
                pending = pool.submit(copy.write, body.to_pybytes())
            if pending is not None:
                pending.result()
            copy.write(TRAILER)
        connection.execute("CREATE INDEX ON peer.bare USING gist (geom)")


def by_geoapp(url: str, file: Path) -> dict[str, Any]:
    """`geoapp load`, as a process of its own: seconds of the whole command and its peak memory, MB."""
    started = time.perf_counter()
    manifest = file.with_suffix(".yaml").name
    command = [sys.executable, "-m", "geoapp.cli", "load", str(file.parent / manifest), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"GEOAPP_DATABASE_URL": url})
    assert process.stdout is not None
    peak_mb = 0
    while not select.select([process.stdout], [], [], 0.05)[0]:
        peak_mb = max(peak_mb, _peak_mb(process.pid))
    said = process.stdout.read()
    status = process.wait()
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"geoapp load ended with {status}")
    (section,) = json.loads(said)["sections"]
    return {
        "seconds": round(seconds, 2),
        "peak_mb": peak_mb,
        "rows": section["rows_in"],
        "new": section["new"],
    }


def _peak_mb(pid: int) -> int:
    """Peak resident memory of a running process. Not ru_maxrss: that of a child begins with its parent's."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


def forget_sites(url: str) -> None:
    """The register of sites empty again, as it was before the load."""
    with connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE registry.site CASCADE")
        connection.execute("CHECKPOINT")


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--memory", action="store_true", help="peak memory at 1, 2 and 5 million rows instead"
    )
    parser.add_argument("--only", nargs="*", choices=["ogr2ogr", "to_postgis", "bare", "geoapp"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if "ogr2ogr" in (options.only or ["ogr2ogr"]) and shutil.which("ogr2ogr") is None:
        sys.exit("ogr2ogr is missing: apt-get install gdal-bin, or leave it out with --only")
    options.home.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        options.home.chmod(0o755)
    cluster = PrivateCluster(options.home)
    cluster.up()
    try:
        figures = _measure(cluster.url(), options)
    finally:
        cluster.down()
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def _measure(url: str, options: argparse.Namespace) -> dict[str, Any]:
    migrate(url, srid=SRID)
    folder = options.home / "files"
    if not (folder / "ground.yaml").exists():
        folder.mkdir(exist_ok=True)
        write_city(folder)
    with connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS peer")
        held = connection.execute("SELECT count(*) AS n FROM territory.grid_cell").fetchone()
    if not held or not held["n"]:
        subprocess.run(
            [sys.executable, "-m", "geoapp.cli", "load", str(folder / "ground.yaml")],
            check=True, env=os.environ | {"GEOAPP_DATABASE_URL": url}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    if options.memory:
        return {str(n): _whole(url, folder, n) for n in (1_000_000, 2_000_000, 5_000_000)}
    file = _sites(folder, options.rows)
    ways = {"ogr2ogr": by_ogr2ogr, "to_postgis": by_to_postgis, "bare": by_bare_load, "geoapp": by_geoapp}
    if options.only:
        ways = {name: ways[name] for name in options.only}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    peak = 0
    for _ in range(options.rounds):
        for name in random.sample(list(ways), len(ways)):
            forget_sites(url)
            started = time.perf_counter()
            said = ways[name](url, file)
            seconds[name].append(time.perf_counter() - started)
            if isinstance(said, dict):
                assert said["new"] == options.rows, said
                peak = max(peak, said["peak_mb"])
            print(name, f"{seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "rows": options.rows,
        "seconds": {name: [round(t, 2) for t in times] for name, times in seconds.items()},
        "median_s": {name: round(t, 2) for name, t in median.items()},
        "rows_per_s": {name: round(options.rows / t) for name, t in median.items()},
        "ratios_of_rounds": _ratios(seconds),
        "peak_mb_of_geoapp": peak,
    }


def _ratios(seconds: dict[str, list[float]]) -> dict[str, float]:
    """How many times faster ours is, median over the rounds of the ratio within a round."""
    out = {}
    for ours in ("bare", "geoapp"):
        for peer in ("ogr2ogr", "to_postgis"):
            if ours in seconds and peer in seconds:
                pairs = zip(seconds[peer], seconds[ours], strict=True)
                out[f"{ours} against {peer}"] = round(statistics.median(p / o for p, o in pairs), 2)
    return out


def _sites(folder: Path, rows: int) -> Path:
    file = folder / f"sites_{rows}.gpkg"
    if not file.exists():
        write_sites(file, rows)
    sites_manifest(folder, file)
    return file


def _whole(url: str, folder: Path, rows: int) -> dict[str, Any]:
    file = _sites(folder, rows)
    forget_sites(url)
    said = by_geoapp(url, file)
    print(rows, said, file=sys.stderr, flush=True)
    return said


if __name__ == "__main__":
    main()
