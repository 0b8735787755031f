"""Vector tiles: their version, their bytes, and the copies kept in this process."""

import gzip
import hashlib
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from typing import Any

import psycopg
from psycopg import sql

from geoapp.access.caller import Caller
from geoapp.settings import SQL_ROOT
from layers.registry import Layer
from layers.rows_query import NOW, Span
from layers.tile_query import tile_query

MAX_ZOOM = 22
_NUMBER = re.compile(r"0|[1-9][0-9]{0,7}")

MVT = "application/vnd.mapbox-vector-tile"
# The browser asks every time and mostly hears 304: what it shows is never older than its last question.
REVALIDATE = "private, max-age=0, must-revalidate"

# What a tile's content follows from (territory.versions_of) and, for layers that depend on the time, the clock in steps.
_VERSION = """
SELECT
    territory.versions_of(%(layers)s) AS versions,
    CASE WHEN %(clock_s)s > 0 THEN floor(extract(epoch FROM now()) / %(clock_s)s)::bigint ELSE 0 END AS clock
"""


def tile_address(z: str, x: str, y: str) -> tuple[int, int, int] | None:
    """The tile that three texts name, or None where there is no such tile (0 <= x, y < 2^z, z <= 22)."""
    if not all(_NUMBER.fullmatch(part) for part in (z, x, y)):
        return None
    zoom, column, row = int(z), int(x), int(y)
    if zoom > MAX_ZOOM or column >= 2**zoom or row >= 2**zoom:
        return None
    return zoom, column, row


# What decides which rows a caller of a part of the district may see follows from these, whatever the layer.
AREA_LAYERS = ("unit", "cell", "site", "key_risk_area", "camera")


def layer_version(
    connection: psycopg.Connection[dict[str, Any]], layer: Layer, caller: Caller, span: Span = NOW
) -> str:
    """A short text that changes whenever tiles of the layer of a span may differ for the caller; no tile is made for it.

    Callers who may not see the same never have the same version, except of a layer that is the same for all.
    """
    names = set(layer.versions)
    if layer.scoped and caller.scope != "district":
        names.update(AREA_LAYERS)
    row = connection.execute(_VERSION, {"layers": sorted(names), "clock_s": layer.clock_s}).fetchone()
    assert row is not None
    return version_text(layer, caller, row["versions"], row["clock"], span)


def version_text(layer: Layer, caller: Caller, versions: str, clock: int, span: Span = NOW) -> str:
    """The version of a layer for a caller: from territory.versions_of and, where it depends on the time, the clock's step."""
    return hashlib.sha256(repr((scope_of(layer, caller), span.key, versions, clock)).encode()).hexdigest()[
        :16
    ]


def versions_of(connection: psycopg.Connection[dict[str, Any]], layers: list[str]) -> str:
    """A text that changes with the content of any of these layers, whoever may see it."""
    row = connection.execute("SELECT territory.versions_of(%s) AS versions", (sorted(layers),)).fetchone()
    assert row is not None
    return str(row["versions"])


def tiles_within(bounds: list[float], least_zoom: int, most_zoom: int) -> Iterator[tuple[int, int, int]]:
    """Tiles (z, x, y) that touch west, south, east, north (EPSG:4326), from far to near."""
    west, south, east, north = bounds
    for zoom in range(least_zoom, most_zoom + 1):
        last = 2**zoom - 1
        columns = [min(max(int((lon + 180) / 360 * 2**zoom), 0), last) for lon in (west, east)]
        rows = [
            min(max(int((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * 2**zoom), 0), last)
            for lat in (north, south)
        ]
        for column in range(columns[0], columns[1] + 1):
            for row in range(rows[0], rows[1] + 1):
                yield zoom, column, row


def scope_of(layer: Layer, caller: Caller) -> str:
    """The part of a cache key that keeps areas apart: the caller's scope_key, "" where one copy serves all."""
    return caller.scope_key if layer.scoped else ""


_OWN_FUNCTION = re.compile(r"CREATE FUNCTION tiles\.(\w+)\(z integer, x integer, y integer\) RETURNS bytea")


@cache
def own_functions() -> frozenset[str]:
    """Layers whose tiles have a function written by hand in sql/tiles, because it is faster than the composed query."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(SQL_ROOT.glob("tiles/*.sql")))
    return frozenset(name for text in texts for name in _OWN_FUNCTION.findall(text))


def make_tile(
    connection: psycopg.Connection[dict[str, Any]], layer: Layer, z: int, x: int, y: int, span: Span = NOW
) -> bytes:
    """The tile's bytes (MVT, layer name = layer id, extent 4096); empty where nothing is drawn there.

    Of the present by the layer's own function where it has one, else by the query that its declaration composes.
    """
    if not layer.min_zoom <= z <= MAX_ZOOM:
        return b""
    # Binary: else the server writes each byte as two.
    if span == NOW and layer.id in own_functions():
        own = sql.SQL("SELECT tiles.{}(%s, %s, %s) AS tile").format(sql.Identifier(layer.id))
        row = connection.execute(own, (z, x, y), binary=True).fetchone()
    else:
        row = connection.execute(tile_query(layer, z, x, y, _zone(connection), span), binary=True).fetchone()
    assert row is not None
    return bytes(row["tile"] or b"")


def _zone(connection: psycopg.Connection[dict[str, Any]]) -> int:
    """EPSG code of the city's zone; of a database without a city, which has no rows either, that of its columns."""
    row = connection.execute(
        "SELECT coalesce((SELECT c.metric_srid FROM territory.city AS c), Find_SRID('territory', 'unit', 'seat')) AS srid"
    ).fetchone()
    assert row is not None
    return int(row["srid"])


TileKey = tuple[str, str, str, int, int, int]
# What an entry costs beside its bytes: also empty tiles, of which there are many, fill the memory.
_ENTRY_BYTES = 400


class TileCopies:
    """Tiles of this process by (layer, scope, version, z, x, y), gzipped, the least used dropped first. Thread-safe."""

    def __init__(self, limit_bytes: int = 64_000_000) -> None:
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[TileKey, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: TileKey) -> bytes | None:
        """The gzipped tile, b"" for one known to be empty, None where there is no copy."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: TileKey, tile: bytes) -> bytes:
        """Keeps a tile (raw bytes in, gzipped bytes out)."""
        # Level 1: a tenth larger than level 5 and made in less than half the time, of which a large tile takes 20 ms.
        packed = gzip.compress(tile, 1, mtime=0) if tile else b""
        with self._lock:
            old = self._kept.pop(key, None)
            self._bytes += len(packed) - (-_ENTRY_BYTES if old is None else len(old))
            self._kept[key] = packed
            while self._bytes > self.limit_bytes and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped) + _ENTRY_BYTES
        return packed

    def clear(self) -> None:
        """Forgets every copy."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0
