"""Whether a browser's copy of a tile is still good: one question to the database, before anything else is done for it."""

from datetime import UTC, datetime
from urllib.parse import parse_qs

from geoapp.access.caller import Caller, Connection
from geoapp.errors import Refused
from layers import event_heat
from layers.registry import layer
from layers.tiles import layer_version, tile_address

PREFIX = "/tiles/"


def etag_of(connection: Connection, path: str, query: str, caller: Caller) -> str | None:
    """The ETag that the tile of an address has now for the caller; None where the route must answer: no tile, not theirs.

    `connection` is the web process's own: versions are nobody's rows. What may not be seen has no ETag here.
    """
    parts = path.removeprefix(PREFIX).removesuffix(".mvt").split("/")
    if not path.startswith(PREFIX) or not path.endswith(".mvt") or len(parts) != 4:
        return None
    name, *place = parts
    address = tile_address(*place)
    if address is None:
        return None
    if name == event_heat.NAME:
        return _heat_etag(connection, address[0], query, caller)
    if query:
        return None  # a moment or a window, which the route reads
    try:
        declared = layer(name, caller.roles)
    except Refused:
        return None
    if declared.kind != "tiles" or declared.since_field:
        return None
    return f'W/"{layer_version(connection, declared, caller)}"'


def _heat_etag(connection: Connection, zoom: int, query: str, caller: Caller) -> str | None:
    if zoom > event_heat.MAX_ZOOM:
        return None
    try:
        asked = parse_qs(query, keep_blank_values=True, max_num_fields=10)
        texts = (asked.get(name, [""])[-1] for name in ("from", "to", "class"))
        window = event_heat.window_of(*texts, now=datetime.now(UTC))
    except ValueError:
        return None
    return f'W/"{event_heat.heat_version(connection, window, caller)}"'
