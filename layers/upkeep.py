"""What the web process does beside answering: counts are folded, and tiles of the whole city are made before they are asked for.

One thread, woken every few seconds. Nothing depends on it but speed: unfolded counts are added up by whoever asks, a tile
that was not made before is made when it is asked for.
"""

import threading
from collections.abc import Iterator

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from geoapp.access.caller import Caller, Pool, acting
from geoapp.database.sql_files import read_sql
from layers import answers
from layers.registry import LAYERS, Layer
from layers.tiles import TileCopies, layer_version, make_tile, scope_of, tiles_within

EVERY_S = 10.0
# Changes of events wait for so many others, or so long.
FOLD_AT, FOLD_AFTER = 2000, "2 minutes"
# Layers whose tiles of a whole city take longest, and up to which zoom they are made beforehand: some dozens a scope.
SEEDED, SEEDED_ZOOM = ("base", "unit", "cell", "site"), 11
# Of so many different scopes, those that somebody used last.
SCOPES = 8

_AWAY = (psycopg.Error, PoolTimeout, OSError)
_log = structlog.get_logger("layers")


def keep_up(pool: Pool, copies: TileCopies, stop: threading.Event) -> None:
    """Until `stop` is set: every EVERY_S seconds `fold` and `seed`. A database that is away is tried again."""
    quiet: dict[tuple[str, str], str] = {}
    while not stop.wait(EVERY_S):
        try:
            fold(pool)
            quiet = seed(pool, copies, quiet, stop)
        except _AWAY as fault:
            _log.info("upkeep put off", reason=type(fault).__name__)


def fold(pool: Pool) -> int:
    """Folds what waits, where it is much or old, and counts sites anew where a load has left them; changes folded."""
    with pool.connection() as connection:
        row = connection.execute(
            "SELECT watch.fold_events(50000, %s, %s::interval) AS n, registry.rebuild_site_bin() AS counted",
            (FOLD_AT, FOLD_AFTER),
        ).fetchone()
    assert row is not None
    return int(row["n"])


def seed(
    pool: Pool, copies: TileCopies, seen: dict[tuple[str, str], str], stop: threading.Event
) -> dict[tuple[str, str], str]:
    """Makes the missing tiles up to SEEDED_ZOOM for each scope in use; returns the version of each scope and layer.

    seen: what the last round returned. While somebody edits, the version changes all the time: only one that was the same
    the last time is worth the work.
    """
    found: dict[tuple[str, str], str] = {}
    for caller in recent_callers(pool):
        for layer in _seeded(caller):
            with acting(pool, caller) as connection:
                version = layer_version(connection, layer, caller)
                scope = scope_of(layer, caller)
                found[(scope, layer.id)] = version
                if seen.get((scope, layer.id)) != version:
                    continue
                bounds = answers.extent(connection)
                for address in tiles_within(bounds, layer.min_zoom, SEEDED_ZOOM) if bounds else ():
                    key = (layer.id, scope, version, *address)
                    if copies.get(key) is None:
                        copies.put(key, make_tile(connection, layer, *address))
                    if stop.is_set():
                        return found
    return found


def recent_callers(pool: Pool) -> list[Caller]:
    """One caller of each scope in use, the latest first, SCOPES at most."""
    with pool.connection() as connection:
        rows = connection.execute(
            read_sql("layers/recent_callers").encode(), {"limit": 10 * SCOPES}
        ).fetchall()
    callers: dict[str, Caller] = {}
    for row in rows:
        one = Caller.from_row(row)
        callers.setdefault(one.scope_key, one)
    return list(callers.values())[:SCOPES]


def _seeded(caller: Caller) -> Iterator[Layer]:
    for name in SEEDED:
        if set(caller.roles).intersection(LAYERS[name].roles):
            yield LAYERS[name]


def started(pool: Pool, copies: TileCopies) -> threading.Event:
    """Starts the thread; the event ends it."""
    stop = threading.Event()
    threading.Thread(target=keep_up, args=(pool, copies, stop), name="upkeep", daemon=True).start()
    return stop
