"""Tiles of a large city over HTTP: answers of 304, uncached tiles against tipg and the bare SQL, heat over millions of events.

Run: .venv/bin/python -m benchmarks.tiles --url LIBPQ_URL [--tipg /path/of/venv/bin/python --rounds 5 --only etag,tiles,heat --json FILE]
URL is the owner's address of a database made by benchmarks.access_city (any size), of this program's revision. Prints lines,
writes JSON; milliseconds by the wall clock.

Each server is a process of its own on this machine (uvicorn, one worker), asked over kept-alive connections by plain sockets. Ours
is the whole application: gate, session, role of an account, policies; its copies of tiles are switched off, and tiles are
asked for in turn, so that each answer is made. tipg reads the same table and columns as the owner, gzip on as it comes, no
limit of features. The bare SQL is `SELECT tiles.x(z, x, y)` by the owner on one open connection for each client: no HTTP, no
role, no packing. Places are dense and sparse in turn, those of the city's middle at least.
"""

import argparse
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from geoapp.access.accounts import add_account
from geoapp.access.sessions import open_session
from geoapp.database.connection import connect

Tile = tuple[int, int, int]
ROOT = Path(__file__).resolve().parent.parent
ZOOMS = (10, 11, 12, 13, 14)
# What both read of a layer: table and columns.
LAYERS = {
    "cell": ("territory.grid_cell", "code,town_code"),
    "site": ("registry.site", "hazard_level,name_zh"),
}
# Process ids of the servers by port.
SERVERS: dict[int, int] = {}
OURS = """
import sys, uvicorn
from dashboards.app import create_app
from dashboards.serving import listening
from layers.tiles import TileCopies
import layers.upkeep
TileCopies.get = lambda self, key: None
layers.upkeep.SCOPES = 0  # nor are they made beforehand
uvicorn.run(create_app(as_web=sys.argv[1], listening_on="127.0.0.1"), host="127.0.0.1", port=int(sys.argv[2]),
    log_level="warning", **listening(""))
"""
TIPG = """
import sys, uvicorn
uvicorn.run("tipg.main:app", host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


class Asker:
    """One kept-alive connection to a server of this machine."""

    def __init__(self, port: int, headers: str = "") -> None:
        self.port = port
        self.headers = f"Host: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n{headers}"
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""
        self.used_at = time.monotonic()

    def get(self, path: str, more: str = "") -> tuple[int, dict[str, str], int]:
        """Status, headers in lower case, bytes of the body."""
        # Servers close what was not used for some seconds, while another had its turn.
        if time.monotonic() - self.used_at > 2:
            self.socket.close()
            self._connect()
        self.used_at = time.monotonic()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\n{self.headers}{more}\r\n".encode())
        while b"\r\n\r\n" not in self.held:
            self._more()
        head, _, self.held = self.held.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        found = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        return status, found, 0 if status in (204, 304) else self._body(found)

    def _body(self, headers: dict[str, str]) -> int:
        if "content-length" in headers:
            length = int(headers["content-length"])
            while len(self.held) < length:
                self._more()
            self.held = self.held[length:]
            return length
        size = 0
        while True:  # chunks
            while b"\r\n" not in self.held:
                self._more()
            line, _, self.held = self.held.partition(b"\r\n")
            length = int(line, 16)
            while len(self.held) < length + 2:
                self._more()
            self.held = self.held[length + 2 :]
            size += length
            if not length:
                return size

    def _more(self) -> None:
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the server closed the connection")
        self.held += part


@contextlib.contextmanager
def server(command: list[str], path: str, **environment: str) -> Iterator[int]:
    """A server process on a free port, once it answers on `path`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], cwd=ROOT, env=os.environ | environment)
    SERVERS[port] = process.pid
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                Asker(port).get(path)
                break
            if process.poll() is not None:
                raise ValueError(f"{command[0]} ended with {process.returncode}")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def tiles_of(owner: psycopg.Connection[dict[str, Any]], zoom: int, count: int) -> list[Tile]:
    """Tiles of the zoom that hold cells, the middle one first, then at random; fewer where there are no more."""
    rows = owner.execute(
        "SELECT DISTINCT territory.bin_column(ST_X(p)) >> (20 - %(z)s) AS x, territory.bin_row(ST_Y(p)) >> (20 - %(z)s) AS y"
        " FROM (SELECT ST_Centroid(c.geom_3857) AS p FROM territory.grid_cell AS c) AS c ORDER BY 1, 2",
        {"z": zoom},
    ).fetchall()
    found = [(zoom, r["x"], r["y"]) for r in rows]
    middle = found.pop(len(found) // 2)
    random.Random(zoom).shuffle(found)
    return [middle, *found[: count - 1]]


def timed(ask: Callable[[], Any]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1e3


def spread(times: Sequence[float]) -> dict[str, float]:
    """Median and the 95th of a hundred."""
    ordered = sorted(times)
    return {
        "median_ms": round(statistics.median(ordered), 3),
        "p95_ms": round(ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)], 3),
        "n": len(ordered),
    }


def many(clients: int, tiles: Sequence[Tile], make: Callable[[int], Callable[[Tile], Any]]) -> float:
    """Answers a second: `clients` threads share the tiles, each with an asker of its own."""
    waiting = list(tiles)
    lock = threading.Lock()
    ready = threading.Barrier(clients + 1)

    def work(number: int) -> None:
        ask = make(number)
        ready.wait()
        while True:
            with lock:
                if not waiting:
                    return
                tile = waiting.pop()
            ask(tile)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return len(tiles) / (time.perf_counter() - start)


def cpu_ms(pids: Sequence[int]) -> float:
    """Milliseconds that these processes, with all their threads, have been on a processor (Linux)."""
    spent = 0.0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):  # a thread that ended
                spent += int(task.read_text(encoding="ascii").split()[0]) / 1e6
    return spent


def pids_of(owner: psycopg.Connection[dict[str, Any]], port: int) -> list[int]:
    """The process that listens on a port of this machine, and the database's processes of the web process's login."""
    rows = owner.execute("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'geoapp\\_web%'").fetchall()
    return [SERVERS[port], *(row["pid"] for row in rows)]


def etags(
    owner: psycopg.Connection[dict[str, Any]],
    port: int,
    cookie: str,
    tiles: dict[int, list[Tile]],
    rounds: int,
) -> dict[str, Any]:
    """304: what an open map asks all day; the same path without a session (401) is what the server costs at least.

    cpu_ms: of the web process and the database's together, for one answer: what the wall clock comes to on a quiet machine.
    """
    asker, stranger = Asker(port, cookie), Asker(port)
    found: dict[str, Any] = {}
    for name, query in (("cell", ""), ("site", ""), ("event_heat", "?from=2026-01-01T00:00:00Z")):
        path = f"/tiles/{name}/{'/'.join(map(str, tiles[12][0]))}.mvt{query}"
        etag = asker.get(path)[1]["etag"]
        known = f"If-None-Match: {etag}\r\n"
        assert asker.get(path, known)[0] == 304
        times: dict[str, list[float]] = {"known": [], "stranger": []}
        for _ in range(200 * rounds):
            times["known"].append(timed(lambda p=path, k=known: asker.get(p, k)))
            times["stranger"].append(timed(lambda p=path, k=known: stranger.get(p, k)))
        found[name] = spread(times["known"][50:]) | {
            "stranger_ms": spread(times["stranger"][50:])["median_ms"]
        }
        pids = pids_of(owner, port)
        before = cpu_ms(pids), cpu_ms(pids[:1])
        for _ in range(200 * rounds):
            asker.get(path, known)
        found[name]["cpu_ms"] = round((cpu_ms(pids) - before[0]) / 200 / rounds, 3)
        found[name]["cpu_web_ms"] = round((cpu_ms(pids[:1]) - before[1]) / 200 / rounds, 3)
        print(f"304 {name}: {found[name]}", flush=True)
    return found


def http_way(port: int, headers: str, path: str) -> Callable[[int], Callable[[Tile], int]]:
    """Askers of a server for tiles, each with a connection of its own: bytes of the answer."""

    def make(_: int) -> Callable[[Tile], int]:
        asker = Asker(port, headers)
        return lambda tile: _whole(asker.get(path.format(*tile)))

    return make


def bare_way(url: str, layer: str) -> Callable[[int], Callable[[Tile], int]]:
    """Askers of the tile's SQL as the owner, each with a connection of its own: bytes of the tile."""
    query = f"SELECT tiles.{layer}(%s, %s, %s) AS tile".encode()

    def make(_: int) -> Callable[[Tile], int]:
        connection = connect(url, autocommit=True)
        return lambda tile: len(
            (connection.execute(query, tile, binary=True).fetchone() or {})["tile"] or b""
        )

    return make


def uncached(
    url: str, port: int, cookie: str, tipg: int | None, tiles: dict[int, list[Tile]], rounds: int
) -> list[dict[str, Any]]:
    """Ours, tipg and the bare SQL, in an order of its own each round."""
    result = []
    for layer, (table, columns) in LAYERS.items():
        ways = {
            "ours": http_way(port, cookie, f"/tiles/{layer}/{{}}/{{}}/{{}}.mvt"),
            "bare": bare_way(url, layer),
        }
        if tipg is not None:
            path = f"/collections/{table}/tiles/WebMercatorQuad/{{}}/{{}}/{{}}?geom-column=geom_3857&properties={columns}"
            ways["tipg"] = http_way(tipg, "", path)
        for zoom in ZOOMS:
            row = raced(ways, tiles[zoom], rounds) | {"layer": layer, "zoom": zoom}
            row["of_bare"] = round(row["ours"]["median_ms"] / row["bare"]["median_ms"], 2)
            row["of_bare_8"] = round(row["ours"]["per_s_8"] / row["bare"]["per_s_8"], 2)
            if tipg is not None:
                row["times_tipg"] = round(row["tipg"]["median_ms"] / row["ours"]["median_ms"], 2)
                row["times_tipg_8"] = round(row["ours"]["per_s_8"] / row["tipg"]["per_s_8"], 2)
            result.append(row)
            print(json.dumps(row), flush=True)
    return result


def raced(
    ways: dict[str, Callable[[int], Callable[[Tile], int]]], tiles: list[Tile], rounds: int
) -> dict[str, Any]:
    """The same tiles by each way in turn: one client's times, eight clients' answers a second, bytes of the first tile."""
    askers = {way: make(0) for way, make in ways.items()}
    row: dict[str, Any] = {"tiles": len(tiles)} | {
        f"{way}_bytes": ask(tiles[0]) for way, ask in askers.items()
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        order = list(ways)
        random.Random(number).shuffle(order)
        for way in order:
            times[way] += [timed(lambda a=askers[way], t=tile: a(t)) for tile in tiles]
            rates[way].append(many(8, tiles * max(1, 24 // len(tiles)), ways[way]))
    return row | {
        way: spread(times[way]) | {"per_s_8": round(statistics.median(rates[way]), 1)} for way in ways
    }


def _whole(answer: tuple[int, dict[str, str], int]) -> int:
    assert answer[0] in (200, 204), answer
    return answer[2]


def heat(url: str, port: int, cookie: str, tiles: dict[int, list[Tile]], rounds: int) -> dict[str, Any]:
    """Windows at random, from hours to all time, ends at any second; and how soon a new event is counted."""
    rng = random.Random(10)
    asker = Asker(port, cookie)
    with connect(url, autocommit=True) as owner:
        row = owner.execute(
            "SELECT min(first_seen_at) AS a, max(first_seen_at) AS b, count(*) AS n FROM watch.incident"
        ).fetchone()
        assert row is not None
        first, last = row["a"], row["b"]
        found: dict[str, Any] = {"events": row["n"], "zooms": {}}
        everything: list[float] = []
        for zoom in (8, 9, *ZOOMS):
            times, sql_times = [], []
            for _ in range(12 * rounds):
                a, b = sorted(first + (last - first) * rng.random() for _ in range(2))
                kind = rng.choice(("any", "any", "days", "hours", "all"))
                if kind == "all":
                    query, window = "", (None, None)
                else:
                    b = {
                        "any": b,
                        "days": a + timedelta(days=rng.randint(1, 60)),
                        "hours": a + timedelta(hours=rng.uniform(1, 48)),
                    }[kind]
                    window = (a.astimezone(UTC), b.astimezone(UTC))
                    query = f"?from={window[0]:%Y-%m-%dT%H:%M:%S}Z&to={window[1]:%Y-%m-%dT%H:%M:%S}Z"
                tile = rng.choice(tiles[zoom])
                path = f"/tiles/event_heat/{'/'.join(map(str, tile))}.mvt{query}"
                times.append(timed(lambda p=path: _whole(asker.get(p))))
                sql_times.append(
                    timed(
                        lambda t=tile, w=window: owner.execute(
                            "SELECT tiles.event_heat(%s, %s, %s, %s, %s)", (*t, *w)
                        ).fetchone()
                    )
                )
            everything += times
            found["zooms"][zoom] = spread(times) | {
                "sql_median_ms": spread(sql_times)["median_ms"],
                "worst_ms": round(max(times), 1),
            }
            print(f"heat z{zoom}: {found['zooms'][zoom]}", flush=True)
        found["all"] = spread(everything) | {"worst_ms": round(max(everything), 1)}
        print(f"heat, all: {found['all']}", flush=True)
        found["inserted_ms"] = spread(
            [_until_counted(owner, asker, tiles[14][0]) for _ in range(10 * rounds)]
        )
        print(f"insert to tile: {found['inserted_ms']}", flush=True)
    return found


def _until_counted(owner: psycopg.Connection[dict[str, Any]], asker: Asker, tile: Tile) -> float:
    """From before an event is written to after a tile that counts it has come, milliseconds."""
    # An hour of its own, in which nothing else happened.
    at = datetime(1999, 1, 1, tzinfo=UTC) + timedelta(hours=random.SystemRandom().randrange(200_000))
    z, x, y = tile
    path = f"/tiles/event_heat/{z}/{x}/{y}.mvt?from={at:%Y-%m-%dT%H:%M:%S}Z&to={at + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}Z"
    assert asker.get(path)[0] == 204
    start = time.perf_counter()
    row = owner.execute(
        """
        INSERT INTO watch.incident (class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score, model_hash, box,
            geom, placing_method, cell_code, town_code)
        SELECT 'fire', i.camera_id, 'open', %(at)s, %(at)s, %(at)s, 0.9, 'benchmark', i.box, i.geom, i.placing_method, i.cell_code, i.town_code
        FROM watch.incident AS i WHERE i.geom_3857 && ST_TileEnvelope(%(z)s, %(x)s, %(y)s) LIMIT 1
        RETURNING id
        """,
        {"at": at, "z": z, "x": x, "y": y},
    ).fetchone()
    while asker.get(path)[0] == 204:
        pass
    taken = (time.perf_counter() - start) * 1e3
    assert row is not None
    owner.execute("DELETE FROM watch.incident_camera WHERE incident_id = %s", (row["id"],))
    owner.execute("DELETE FROM watch.incident WHERE id = %s", (row["id"],))
    return taken


def cookie_of(owner: psycopg.Connection[dict[str, Any]]) -> str:
    """A header with the session of a duty officer of the whole district."""
    row = owner.execute("SELECT id FROM access.account WHERE login = 'bench_tiles'").fetchone()
    account = row["id"] if row else add_account(owner, "bench_tiles", "bench_tiles", ["duty_officer"])
    token = open_session(owner, account, method="password", at=datetime.now(UTC))
    return f"Cookie: geoapp_session={token}\r\n"


def main() -> None:
    """Starts the servers, asks, prints, writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--tipg", type=Path, help="a Python that has tipg and uvicorn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="etag,tiles,heat")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    from geoapp.access.web_role import web_url

    parts = given.only.split(",")
    with connect(given.url, autocommit=True) as owner, contextlib.ExitStack() as running:
        tiles = {zoom: tiles_of(owner, zoom, 12) for zoom in (8, 9, *ZOOMS)}
        cookie = cookie_of(owner)
        ours = running.enter_context(server([sys.executable, "-c", OURS, web_url(given.url)], "/healthz"))
        result: dict[str, Any] = {"at": f"{datetime.now(UTC):%F %T}Z", "load": os.getloadavg()[0]}
        if "etag" in parts:
            result["etag"] = etags(owner, ours, cookie, tiles, given.rounds)
        if "tiles" in parts:
            tipg = None
            if given.tipg is not None:
                tipg = running.enter_context(
                    server(
                        [str(given.tipg), "-c", TIPG], "/healthz", DATABASE_URL=given.url, TIPG_DB_SCHEMAS='["territory", "registry"]',
                        TIPG_DB_TABLES='["territory.grid_cell", "registry.site"]', TIPG_MAX_FEATURES_PER_TILE="10000000",
                        TIPG_TILE_BUFFER="64", TIPG_DB_MAX_CONN_SIZE="8",
                    )
                )  # fmt: skip
            result["tiles"] = uncached(given.url, ours, cookie, tipg, tiles, given.rounds)
        if "heat" in parts:
            result["heat"] = heat(given.url, ours, cookie, tiles, given.rounds)
    if given.json:
        given.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
