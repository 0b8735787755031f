"""The tile that a signed-in browser asks for, from one question to the database: who asks, and in which version they have it.

Most of what an open map asks is for tiles: whoever may have one needs no route, and no second look at their rights.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from geoapp.access.caller import Caller, Connection
from geoapp.access.sessions import TOKEN_LENGTH, kept_open, token_hash
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers import event_heat
from layers.one_tile import OneTile
from layers.registry import LAYERS, layer
from layers.tiles import AREA_LAYERS, make_tile, scope_of, tile_address, version_text

PREFIX = "/tiles/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A tile by its address: layer id, (z, x, y), the address's query."""

    name: str
    address: tuple[int, int, int]
    query: str


def wanted_tile(path: str, query: str) -> Wanted | None:
    """The tile of an address, None where it is none or where the route must read more of the query."""
    parts = path.removeprefix(PREFIX).removesuffix(".mvt").split("/")
    if not path.startswith(PREFIX) or not path.endswith(".mvt") or len(parts) != 4:
        return None
    name, *place = parts
    address = tile_address(*place)
    if address is None:
        return None
    if name == event_heat.NAME:
        return Wanted(name, address, query) if address[0] <= event_heat.MAX_ZOOM else None
    # A query names a moment or a window, and some layers have one without being asked.
    declared = LAYERS.get(name)
    if query or declared is None or declared.kind != "tiles" or declared.since_field:
        return None
    return Wanted(name, address, "")


def tile_of_session(
    connection: Connection, wanted: Wanted, token: str, at: datetime, *, slides: bool
) -> OneTile | None:
    """The tile as whoever's session a cookie is would have it at `at`; None where the usual way must answer.

    `connection` is the web process's own, outside of transactions. The session is looked up each time: one that has ended,
    or whose account may see another area by now, is given nothing. slides: as geoapp.access.sessions.caller_of_session.
    """
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    declared = LAYERS[wanted.name]
    row = connection.execute(
        read_sql("access/session_tile").encode(),
        {
            "token_hash": token_hash(token),
            "at": at,
            "layers": sorted(declared.versions),
            "area_layers": list(AREA_LAYERS),
            "scoped": declared.scoped,
            "clock_s": declared.clock_s,
        },
    ).fetchone()
    if row is None:
        return None
    if slides:
        kept_open(connection, row, at)
    caller = Caller.from_row(row)
    try:
        return (
            _heat(wanted, caller, row, at) if wanted.name == event_heat.NAME else _tile(wanted, caller, row)
        )
    except (Refused, ValueError):
        return None


def _tile(wanted: Wanted, caller: Caller, row: dict[str, Any]) -> OneTile:
    declared = layer(wanted.name, caller.roles)
    version = version_text(declared, caller, row["versions"], row["clock"])
    return OneTile(
        caller, wanted.name, scope_of(declared, caller), version, wanted.address,
        lambda connection: make_tile(connection, declared, *wanted.address),
    )  # fmt: skip


def _heat(wanted: Wanted, caller: Caller, row: dict[str, Any], at: datetime) -> OneTile:
    asked = parse_qs(wanted.query, keep_blank_values=True, max_num_fields=10)
    if "as_of" in asked:
        raise ValueError("the route says that heat has windows")
    since, until, only = (asked.get(name, [""])[-1] for name in ("from", "to", "class"))
    window = event_heat.window_of(since, until, only, at)
    return event_heat.heat_tile(caller, wanted.address, window, row["versions"])
