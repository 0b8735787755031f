"""One tile as one caller has it: by which name its copy is kept, how it is made, and the answer to a browser."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import Response

from geoapp.access.caller import Caller, Connection, Pool, acting
from layers.recent_answers import knows, packed
from layers.tiles import MVT, REVALIDATE, TileCopies, TileKey


@dataclass(frozen=True, slots=True)
class Tiles:
    """What tiles are made from and kept in: connections that take a caller's role, and the copies of this process."""

    pool: Pool
    copies: TileCopies


@dataclass(frozen=True, slots=True)
class OneTile:
    """A tile of a layer at an address (z, x, y), in the version that a caller would be given now.

    scope: what keeps the copies of callers apart, "" where all are given the same. make: the tile's MVT, asked of a connection
    that acts for the caller.
    """

    caller: Caller
    name: str
    scope: str
    version: str
    address: tuple[int, int, int]
    make: Callable[[Connection], bytes]

    @property
    def key(self) -> TileKey:
        """What a copy is kept under."""
        return (self.name, self.scope, self.version, *self.address)

    @property
    def headers(self) -> dict[str, str]:
        """What every answer about the tile says: its version, and that it must be asked for again."""
        return {"ETag": f'W/"{self.version}"', "Cache-Control": REVALIDATE}


def held_answer(asked: Mapping[str, str], copies: TileCopies, tile: OneTile) -> Response | None:
    """304 where the browser holds the tile, or the copy of this process; None where the tile must be made. asked: headers."""
    if knows(asked, tile.headers["ETag"]):
        return Response(status_code=304, headers=tile.headers)
    made = copies.get(tile.key)
    return None if made is None else _whole(asked, made, tile)


def made_answer(asked: Mapping[str, str], pool: Pool, copies: TileCopies, tile: OneTile) -> Response:
    """The tile made, kept and packed; 204 where nothing is drawn. Raises what the database refuses the caller."""
    with acting(pool, tile.caller) as connection:
        made = tile.make(connection)
    return _whole(asked, copies.put(tile.key, made), tile)


def _whole(asked: Mapping[str, str], made: bytes, tile: OneTile) -> Response:
    if not made:
        return Response(status_code=204, headers=tile.headers)
    return packed(asked, made, tile.headers, media_type=MVT, gzipped=True)
