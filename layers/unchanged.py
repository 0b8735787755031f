"""Whether a browser's copy of a tile is still good: one question to the database, before anything else is done for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from geoapp.access.caller import Caller, Connection
from geoapp.access.sessions import TOKEN_LENGTH, kept_open, token_hash
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers import event_heat
from layers.registry import LAYERS, layer
from layers.tiles import AREA_LAYERS, tile_address, version_text

PREFIX = "/tiles/"


@dataclass(frozen=True, slots=True)
class Held:
    """The tile that a browser says it holds: layer id, zoom, the address's query."""

    name: str
    zoom: int
    query: str


def held_tile(path: str, query: str) -> Held | None:
    """The tile of an address, None where it is none or where the route must read more of the query."""
    parts = path.removeprefix(PREFIX).removesuffix(".mvt").split("/")
    if not path.startswith(PREFIX) or not path.endswith(".mvt") or len(parts) != 4:
        return None
    name, *place = parts
    address = tile_address(*place)
    if address is None:
        return None
    if name == event_heat.NAME:
        return Held(name, address[0], query) if address[0] <= event_heat.MAX_ZOOM else None
    # A query names a moment or a window, and some layers have one without being asked.
    declared = LAYERS.get(name)
    if query or declared is None or declared.kind != "tiles" or declared.since_field:
        return None
    return Held(name, address[0], "")


def etag_for_session(
    connection: Connection, held: Held, token: str, at: datetime, *, slides: bool
) -> tuple[Caller, str] | None:
    """Whose session a cookie is and the ETag that the tile has for them at `at`; None where the usual way must answer.

    `connection` is the web process's own, outside of transactions. The session is looked up each time: one that has ended,
    or whose account may see another area by now, is told nothing. slides: as geoapp.access.sessions.caller_of_session.
    """
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    declared = LAYERS[held.name]
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
    version = _version(held, caller, row, at)
    return None if version is None else (caller, f'W/"{version}"')


def _version(held: Held, caller: Caller, row: dict[str, Any], at: datetime) -> str | None:
    if held.name != event_heat.NAME:
        try:
            return version_text(layer(held.name, caller.roles), caller, row["versions"], row["clock"])
        except Refused:
            return None
    try:
        asked = parse_qs(held.query, keep_blank_values=True, max_num_fields=10)
        since, until, only = (asked.get(name, [""])[-1] for name in ("from", "to", "class"))
        window = event_heat.window_of(since, until, only, at)
    except ValueError:
        return None
    return event_heat.version_text(window, caller, row["versions"])
