"""What row-level security costs: the same questions asked by the owner and by accounts, in the same run, on a large city.

Run: .venv/bin/python -m benchmarks.access --home FOLDER [--sites 1000000 --incidents 10000000 … --rounds 15 --json FILE]
FOLDER keeps the city (about 14 GB, 5 minutes for the rows and more for the indexes) for later runs of the same day. Prints Markdown, writes JSON.

Each round asks every question once of everybody, in an order of its own, so that a busy moment of the machine falls on all
of them. Two pairs are reported:
  whole  the account against the owner's same statement: what the screen cost before there were accounts
  own    an account of an area against the owner's statement with the area written into its WHERE: the same answer
A time is that of the whole transaction, as a request does it: a connection of the pool, SET LOCAL ROLE, the statement with
all its rows, commit. All accounts share one connection, so every statement meets a role that changed since the last one.
Ratios are of the CPU time of the server's process, because other work on the machine stretches the wall clock by chance;
parallel workers are off for everybody, so that one process does it all.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import random
import secrets
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks.access_city import SRID, Size, caller_of, city_at
from geoapp.access.caller import Caller, Connection, Pool, acting
from geoapp.access.passwords import hash_password
from geoapp.access.sessions import caller_of_session, open_session
from geoapp.access.sign_in import SignedIn, sign_in
from geoapp.access.web_role import web_url
from geoapp.database.connection import connect, open_pool
from geoapp.database.sql_files import read_sql

GOAL = 1.3
ALONE = "-c max_parallel_workers_per_gather=0"
# The middle of a community, where four of ten sites stand: dense at every zoom. Metres of the city's zone.
DENSE = (610000 + 5 * 1750 + 875, 3400000 + 5 * 1750 + 875)
SLOW_MS = 1500  # asked less often, so that the run ends

BOX = """
SELECT e.id, e.incident_no, e.class, e.state, e.review, e.first_seen_at, e.last_seen_at, e.camera_name_zh, e.site_name_zh, e.town_zh
FROM analysis.event AS e
WHERE e.geom_3857 && ST_MakeEnvelope({box}, 3857){recent}{area}
ORDER BY e.last_seen_at DESC LIMIT 80
"""
AGGREGATES = {
    "events by class and day, 30 days": """
        SELECT e.class, date_trunc('day', e.first_seen_at, 'Asia/Shanghai') AS day, count(*) AS n
        FROM analysis.event AS e WHERE e.last_seen_at > now() - interval '30 days'{area} GROUP BY 1, 2
    """,
    "sites by grade": "SELECT s.hazard_level, count(*) AS n FROM registry.site AS s WHERE true{area} GROUP BY 1",
    "incidents by town, all time": "SELECT i.town_code, count(*) AS n FROM watch.incident AS i WHERE true{area} GROUP BY 1",
}


@dataclasses.dataclass(frozen=True)
class Question:
    """`text` holds {area}: nothing, or the area's condition on the table that is named `alias` in it."""

    name: str
    text: str
    table: str
    alias: str
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What one asking took, milliseconds, and the number of rows (bytes of a tile)."""

    cpu_ms: float
    wall_ms: float
    size: int


@dataclasses.dataclass(frozen=True)
class Who:
    """An account, and its area as conditions that an owner would write by hand: table to text with {a} for the alias."""

    name: str
    caller: Caller
    conditions: dict[str, str]


def tile_of(x: float, y: float, zoom: int) -> tuple[int, int, int]:
    """The XYZ tile that holds a point of EPSG:3857, metres."""
    side = 2 * math.pi * 6378137 / 2**zoom
    half = math.pi * 6378137
    return zoom, int((x + half) / side), int((half - y) / side)


def questions(owner: Connection) -> list[Question]:
    """All that is asked; makes the tile functions that take an area in the scratch schema `bench`."""
    row = owner.execute(
        "SELECT ST_X(p) AS x, ST_Y(p) AS y FROM ST_Transform(ST_SetSRID(ST_MakePoint(%s, %s), %s::integer), 3857) AS p",
        (*DENSE, SRID),
    ).fetchone()
    cell = owner.execute(
        "SELECT g.code FROM territory.grid_cell AS g WHERE ST_Covers(g.geom, ST_SetSRID(ST_MakePoint(%s + 1, %s + 1), %s::integer))",
        (*DENSE, SRID),
    ).fetchone()
    assert row is not None
    assert cell is not None
    x, y = row["x"], row["y"]
    asked = []
    for zoom in (10, 12, 14, 16):
        asked.append(Question(f"tiles.site z{zoom}", tile_text(tile_of(x, y, zoom), "site"), "site", "s"))
    for zoom in (10, 12, 14):
        asked.append(Question(f"tiles.cell z{zoom}", tile_text(tile_of(x, y, zoom), "cell"), "cell", "c"))
    for name, half, recent in (
        ("incidents in a box of 2 km, 30 days", 1160, " AND e.last_seen_at > now() - interval '30 days'"),
        ("incidents in a box of 500 m, all time", 290, ""),
    ):
        box = ", ".join(f"{v:.1f}" for v in (x - half, y - half, x + half, y + half))
        asked.append(Question(name, BOX.replace("{box}", box).replace("{recent}", recent), "incident", "e"))
    newest = read_sql("screens/incident_list")
    condition = "e.state <> 'closed' OR e.last_seen_at > now() - interval '1 day'"
    assert condition in newest
    asked += [
        Question("list: newest 80 leads", newest.replace(condition, f"({condition}){{area}}"), "incident", "e"),
        Question(
            "list: sites of one cell",
            "SELECT s.id, s.name_zh, s.hazard_level, s.contact_phone FROM registry.site AS s"
            " WHERE s.cell_code = %(cell)s{area} ORDER BY s.name_zh LIMIT 200",
            "site", "s", {"cell": cell["code"]},
        ),
        Question(
            "list: sites of one cell with checks and duty",
            "SELECT s.* FROM analysis.site AS s WHERE s.cell_code = %(cell)s{area}", "event_site", "s", {"cell": cell["code"]},
        ),
        Question(
            "search: sites by name",
            "SELECT s.id, s.name_zh FROM registry.site AS s WHERE s.name_zh ILIKE %(like)s{area} ORDER BY s.name_zh LIMIT 12",
            "site", "s", {"like": "%化工00%"},
        ),
    ]  # fmt: skip
    for name, text in AGGREGATES.items():
        alias = text.split(" AS ")[-1][0] if "event" not in name else "e"
        asked.append(Question(name, text, "site" if "sites" in name else "incident", alias))
    return asked


def tile_text(tile: tuple[int, int, int], layer: str) -> str:
    """A statement for one tile; {tile} is the function: tiles.<layer>, or the one with an area."""
    return f"SELECT {{tile}}({', '.join(map(str, tile))}) AS tile -- {layer}"


def tile_function(owner: Connection, layer: str, who: Who) -> str:
    """tiles.<layer> with the area's condition written into it, in the schema `bench`: its name."""
    row = owner.execute(
        "SELECT pg_get_functiondef(('tiles.' || %s || '(integer, integer, integer)')::regprocedure) AS text",
        (layer,),
    ).fetchone()
    assert row is not None
    alias, box = {
        "site": ("s", "s.geom_3857 && ST_TileEnvelope(z, x, y)"),
        "cell": ("c", "c.geom_3857 && tiles.search_box(z, x, y)"),
    }[layer]
    name = f"bench.{layer}_{who.caller.login}"
    text: str = row["text"].replace(f"tiles.{layer}(", f"{name}(", 1)
    condition = who.conditions[layer].replace("{a}", alias)
    assert text.count(box) == 1
    owner.execute(text.replace(box, f"{box} AND {condition}").encode())
    return name


def statement(owner: Connection, question: Question, who: Who | None) -> str:
    """The question as SQL: as an account and the owner ask it (who = None), or with the area of `who` written in."""
    layer = question.text.partition(" -- ")[2]
    if layer:
        function = f"tiles.{layer}" if who is None else tile_function(owner, layer, who)
        return question.text.partition(" -- ")[0].replace("{tile}", function)
    condition = "" if who is None else " AND " + who.conditions[question.table].replace("{a}", question.alias)
    return question.text.replace("{area}", condition)


def accounts(owner: Connection) -> list[Who]:
    """One account of each scope, whose area holds the dense place."""
    place = owner.execute(
        "SELECT g.community_code, g.town_code, g.code FROM territory.grid_cell AS g"
        " WHERE ST_Covers(g.geom, ST_SetSRID(ST_MakePoint(%s + 1, %s + 1), %s::integer))",
        (*DENSE, SRID),
    ).fetchone()
    assert place is not None
    town, community = place["town_code"], place["community_code"]
    sites = [
        r["id"]
        for r in owner.execute(
            "SELECT s.id FROM registry.site AS s WHERE s.cell_code = %s ORDER BY s.id LIMIT 3",
            (place["code"],),
        )
    ]
    ids = ", ".join(map(str, sites))
    towns = [town, f"{int(town) + 1000:012d}", f"{int(town) + 2000:012d}"]
    listed = ", ".join(f"'{code}'" for code in towns)
    cells = f"SELECT s.cell_code FROM registry.site AS s WHERE s.id IN ({ids})"
    by_town = dict.fromkeys(("site", "cell", "incident", "event_site"), f"{{a}}.town_code = '{town}'")
    by_towns = dict.fromkeys(("site", "cell", "incident", "event_site"), f"{{a}}.town_code IN ({listed})")
    in_community = f"left({{a}}.cell_code, 12) = '{community}'"
    by_community = dict.fromkeys(("site", "incident", "event_site"), in_community) | {
        "cell": f"{{a}}.community_code = '{community}'"
    }
    by_site = {
        "site": f"{{a}}.id IN ({ids})",
        "event_site": f"{{a}}.id IN ({ids})",
        "incident": f"{{a}}.site_id IN ({ids})",
        "cell": f"{{a}}.code IN ({cells})",
    }
    whole = dict.fromkeys(by_town, "true")
    return [
        Who("district", caller_of(owner, "bench_district", "committee", [], []), whole),
        Who("town", caller_of(owner, "bench_town", "duty_officer", [town], []), by_town),
        Who("three towns", caller_of(owner, "bench_towns", "duty_officer", towns, []), by_towns),
        Who("community", caller_of(owner, "bench_community", "inspector", [community], []), by_community),
        Who("enterprise", caller_of(owner, "bench_enterprise", "enterprise", [], sites), by_site),
    ]


def timed(pool: Pool, caller: Caller | None, text: str, parameters: dict[str, Any]) -> Asked:
    """One transaction that reads all rows. CPU time is that of the server's process (Linux, same machine, no workers)."""
    with pool.connection() as connection:
        spent = Path(f"/proc/{connection.info.backend_pid}/schedstat")
    before = cpu_ms(spent)
    start = time.perf_counter()
    with contextlib.ExitStack() as held:
        connection = held.enter_context(pool.connection() if caller is None else acting(pool, caller))
        rows = connection.execute(text.encode(), parameters or None).fetchall()
    wall = (time.perf_counter() - start) * 1e3
    size = len(rows[0]["tile"]) if rows and "tile" in rows[0] else len(rows)
    return Asked(cpu_ms(spent) - before, wall, size)


def cpu_ms(spent: Path) -> float:
    """Milliseconds on a processor so far. The kernel books the last slice when the process goes to sleep: wait for that."""
    time.sleep(0.001)
    return int(spent.read_text(encoding="ascii").split()[0]) / 1e6


def measured(
    owner_pool: Pool,
    pool: Pool,
    owner: Connection,
    rounds: int,
    only: str,
) -> list[dict[str, Any]]:
    """One row for each question and account: medians, ratios with their quartiles, sizes of the answers."""
    everybody = accounts(owner)
    rows = []
    for question in questions(owner):
        if only and only not in question.name:
            continue
        whole = statement(owner, question, None)
        asks: dict[str, Callable[[], Asked]] = {
            "owner": lambda t=whole, p=question.parameters: timed(owner_pool, None, t, p),
        }
        for who in everybody:
            asks[who.name] = lambda c=who.caller, t=whole, p=question.parameters: timed(pool, c, t, p)
            if who.caller.scope != "district":
                narrow = statement(owner, question, who)
                asks[f"owner of {who.name}"] = lambda t=narrow, p=question.parameters: timed(
                    owner_pool, None, t, p
                )
        warm = {key: ask() for key, ask in asks.items()}
        slow = max(one.wall_ms for one in warm.values()) > SLOW_MS
        times: dict[str, list[float]] = {key: [] for key in asks}
        walls: dict[str, list[float]] = {key: [] for key in asks}
        order = list(asks)
        for _ in range(3 if slow else rounds):
            random.shuffle(order)
            for key in order:
                one = asks[key]()
                times[key].append(one.cpu_ms)
                walls[key].append(one.wall_ms)
        for who in everybody:
            row = {
                "what": question.name,
                "account": who.name,
                "owner_ms": statistics.median(times["owner"]),
                "scoped_ms": statistics.median(times[who.name]),
                "owner_wall_ms": statistics.median(walls["owner"]),
                "scoped_wall_ms": statistics.median(walls[who.name]),
                "whole": ratio(times[who.name], times["owner"]),
                "answer": warm[who.name].size,
                "owner_answer": warm["owner"].size,
            }
            own = f"owner of {who.name}"
            if own in times:
                row["own_ms"] = statistics.median(times[own])
                row["own_wall_ms"] = statistics.median(walls[own])
                row["own"] = ratio(times[who.name], times[own])
                if warm[own].size != warm[who.name].size:
                    row["differs"] = warm[own].size
            rows.append(row)
            print(line(row), flush=True)
    return rows


def ratio(scoped: list[float], unscoped: list[float]) -> dict[str, float]:
    """Ratio of the medians, and the quartiles of the ratios of each round."""
    each = sorted(a / b for a, b in zip(scoped, unscoped, strict=True))
    low, _, high = statistics.quantiles(each, n=4)
    return {"of_medians": statistics.median(scoped) / statistics.median(unscoped), "low": low, "high": high}


def line(row: dict[str, Any]) -> str:
    """One row of the table. The fair pair is `own` for an account of an area, `whole` for one of the district."""
    pair = row.get("own", row["whole"])
    mark = "" if pair["of_medians"] <= GOAL else " **over**"
    differs = f" (!{row['differs']} by the condition)" if "differs" in row else ""
    return (
        f"| {row['what']} | {row['account']} | {row['owner_ms']:.1f} | {row.get('own_ms', row['owner_ms']):.1f} "
        f"| {row['scoped_ms']:.1f} | {pair['of_medians']:.2f} ({pair['low']:.2f} to {pair['high']:.2f}){mark} "
        f"| {row['whole']['of_medians']:.2f} | {row['scoped_wall_ms']:.1f} | {row['answer']}{differs} |"
    )


def median_of(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Median and worst of `repeats` runs after three that warm up, milliseconds."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1e3)
    return {"median_ms": statistics.median(taken), "worst_ms": max(taken)}


def checks(url: str, owner: Connection) -> dict[str, dict[str, float]]:
    """On the web process's own pool: a sign-in; and a page's access check, the cookie's caller and taking its role."""
    who = accounts(owner)[1].caller
    token = open_session(owner, who.account_id, method="password", at=datetime.now(UTC))
    password = secrets.token_urlsafe(18)
    owner.execute(
        "UPDATE access.account SET password_hash = %s, password_set_at = now() WHERE id = %s",
        (hash_password(password), who.account_id),
    )
    with open_pool(web_url(url), size=2) as pool:

        def enter() -> None:
            with pool.connection() as connection:
                found = sign_in(
                    connection, who.login, password, ip="127.0.0.1", user_agent="benchmark", device=None, at=datetime.now(UTC)
                )  # fmt: skip
            assert isinstance(found, SignedIn)

        def look_up() -> None:
            with pool.connection() as connection:
                assert caller_of_session(connection, token, datetime.now(UTC)) is not None

        def take_role() -> None:
            with acting(pool, who):
                pass

        def take_none() -> None:
            with pool.connection() as connection, connection.transaction():
                pass

        def both() -> None:
            look_up()
            take_role()

        return {
            "sign-in with a password": median_of(enter, 20),
            "cookie to caller": median_of(look_up, 200),
            "acting(): a transaction under the role": median_of(take_role, 200),
            "the same transaction without a role": median_of(take_none, 200),
            "a page's check: both": median_of(both, 200),
        }


def writes(owner: Connection) -> dict[str, dict[str, float]]:
    """Inserts by the owner, rolled back: with and without the triggers of access."""
    found: dict[str, dict[str, float]] = {}
    incident = """
        INSERT INTO watch.incident (class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score, model_hash, box,
            geom, placing_method, cell_code, town_code)
        SELECT 'fire', i.camera_id, 'open', now(), now(), now(), 0.9, 'benchmark', i.box, i.geom, i.placing_method, i.cell_code, i.town_code
        FROM watch.incident AS i WHERE i.incident_no = 1
    """
    review = "UPDATE watch.incident SET review = 'confirmed', review_reason = %s WHERE incident_no = 2"
    sites = """
        INSERT INTO registry.site (name_zh, address, geom, cell_code, town_code)
        SELECT s.name_zh, s.address, s.geom, s.cell_code, s.town_code FROM registry.site AS s WHERE s.id <= 1000
    """
    moved = "UPDATE registry.site SET people = coalesce(people, 0) + 1 WHERE id <= 1000"
    camera = """
        INSERT INTO registry.camera (gb_id, name_zh, geom, sector, town_code)
        SELECT '99' || lpad(k.id::text, 18, '0'), k.name_zh, k.geom, k.sector, k.town_code FROM registry.camera AS k WHERE k.id <= 100
    """
    for name, text, parameters, table, triggers in (
        ("one incident", incident, None, "watch.incident", ("audit_change", "incident_review")),
        ("one review of an incident", review, ("量测",), "watch.incident", ("audit_change", "incident_review")),
        ("1,000 sites inserted", sites, None, "registry.site", ("audit_change",)),
        ("1,000 sites updated", moved, None, "registry.site", ("audit_change",)),
        (
            "100 cameras inserted", camera, None, "registry.camera", ("audit_change", "camera_reach_follows"),
        ),
    ):  # fmt: skip

        def once(text: str = text, parameters: Any = parameters) -> float:
            start = time.perf_counter()
            owner.execute(text.encode(), parameters)
            return (time.perf_counter() - start) * 1e3

        times: dict[str, list[float]] = {"with": [], "in a batch": [], "without": []}
        for at in range(24):
            for way, kept in times.items():
                with contextlib.suppress(RolledBack), owner.transaction():
                    if way == "without":
                        for trigger in triggers:
                            owner.execute(
                                sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(
                                    sql.SQL(table), sql.Identifier(trigger)
                                )
                            )
                    if way == "in a batch":
                        owner.execute("SELECT set_config('geoapp.batch', 'benchmark', true)")
                    taken = once()
                    if at >= 4:
                        kept.append(taken)
                    raise RolledBack
        found[name] = {f"{way}_ms": statistics.median(values) for way, values in times.items()}
    return found


class RolledBack(Exception):  # noqa: N818
    """Ends a transaction without keeping it."""


def main() -> None:
    """Builds or takes the city, measures, prints, leaves the server stopped and the rows where they are."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="", help="questions whose name holds this")
    for field in dataclasses.fields(Size):
        parser.add_argument(f"--{field.name}", type=int, default=getattr(Size, field.name))
    asked = vars(parser.parse_args())
    home, rounds, out, only = (asked.pop(k) for k in ("home", "rounds", "json", "only"))
    size = Size(**asked)
    cluster = city_at(home.resolve(), size)
    try:
        url = cluster.url()
        random.seed(1)
        print(
            "| what | account | owner, whole: CPU ms | owner, own area | scoped | ratio, own | ratio, whole | scoped, wall ms | rows or bytes |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        with (
            connect(url, autocommit=True) as owner,
            open_pool(make_conninfo(url, options=ALONE), size=1) as owner_pool,
            open_pool(make_conninfo(web_url(url), options=ALONE), size=1) as pool,
        ):
            result: dict[str, Any] = {"size": dataclasses.asdict(size), "at": f"{datetime.now(UTC):%F %T}Z"}
            result["questions"] = measured(owner_pool, pool, owner, rounds, only)
            if not only:
                result["checks"] = checks(url, owner)
                result["writes"] = writes(owner)
                for part in ("checks", "writes"):
                    print(f"\n{part}")
                    for name, figures in result[part].items():
                        print(f"  {name}: " + ", ".join(f"{k} {v:.2f}" for k, v in figures.items()))
        if out:
            out.write_text(json.dumps(result, ensure_ascii=False, indent=1), encoding="utf-8")
    finally:
        cluster.down()


if __name__ == "__main__":
    main()
