"""Counts of events on the map: for any window of time and zoom, by bins of a tile (64 × 64), exact to the second.

The counts are analysis.event_bins; a tile is a point in the middle of each bin that has events, with n. Which incidents
count: those of analysis.event that no review found to be a false alarm, where and when they were first seen. All else of the
layer (features, legend, files, drawer) follows from its declaration, at one size of square; a bin of any tile is found by its id.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from geoapp.access.caller import Caller, Connection, Pool, acting, as_web, current_caller
from geoapp.errors import Refused
from layers import answers
from layers.asked import LONGEST_WINDOW, WrongValue
from layers.catalogue.colours import EVENT_KIND
from layers.honest_route import message
from layers.one_tile import OneTile, held_answer, made_answer
from layers.registry import LAYERS
from layers.tiles import AREA_LAYERS, TileCopies, tile_address, versions_of

MAX_ZOOM = 14
# Of a tile's width and height (analysis.event_bins).
BINS = 64
CLASSES = tuple(one.id for one in EVENT_KIND)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
NAME = "event_heat"


class WindowError(ValueError):
    """A window or class that cannot be asked for; the text says why, in Chinese and English."""


@dataclass(frozen=True, slots=True)
class Window:
    """Events first seen from `since` (inclusive) to before `until`, aware; None = no limit. only_class: None = all."""

    since: datetime | None = None
    until: datetime | None = None
    only_class: str | None = None

    @property
    def values(self) -> dict[str, Any]:
        """For a query's parameters."""
        return {"since": self.since, "until": self.until, "only_class": self.only_class}


def window_of(since: str, until: str, only_class: str, now: datetime) -> Window:
    """The window that three texts of an address name ("" = not given); raises WindowError.

    Times are ISO 8601 with a zone: a window that means another hour to each reader is refused.
    """
    start, end = _time("from", since), _time("to", until)
    if only_class and only_class not in CLASSES:
        raise WindowError(f"没有类别 {only_class[:40]} / no class {only_class[:40]!r}: {', '.join(CLASSES)}.")
    if start is not None and start > now:
        raise WindowError(
            "from 在未来，那里还没有事件 / from lies in the future: nothing has happened there yet."
        )
    if start is not None and end is not None and start >= end:
        raise WindowError("from 必须早于 to / from must be earlier than to.")
    return Window(start, end, only_class or None)


def _time(name: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        # A plus that nobody encoded arrives as a space.
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise WindowError(f"{name} 不是时间 / {name} is no time: 2026-11-22T00:00:00+08:00.") from None
    if found.tzinfo is None:
        raise WindowError(
            f"{name} 缺少时区 / {name} has no time zone: 2026-11-22T00:00:00+08:00, or Z at the end for UTC."
        )
    if not EARLIEST <= found <= LATEST:
        raise WindowError(f"{name} 超出 1970 至 2100 年 / {name} is outside 1970 to 2100.")
    return found.astimezone(UTC)


def _versions(connection: Connection, caller: Caller) -> str:
    """Changes whenever tiles of a window may differ for the caller."""
    areas = AREA_LAYERS if caller.scope != "district" else ()
    return versions_of(connection, [*LAYERS[NAME].versions, *areas])


def heat_tile(caller: Caller, address: tuple[int, int, int], window: Window, versions: str) -> OneTile:
    """The heat of a window for a caller, from territory.versions_of: of two scopes its version is never the same."""
    version = hashlib.sha256(repr((caller.scope_key, window, versions)).encode()).hexdigest()[:16]

    def make(connection: Connection) -> bytes:
        row = connection.execute(
            "SELECT tiles.event_heat(%(z)s, %(x)s, %(y)s, %(since)s, %(until)s, %(only_class)s) AS tile",
            dict(zip("zxy", address, strict=True)) | window.values,
            binary=True,
        ).fetchone()
        assert row is not None
        return bytes(row["tile"] or b"")

    return OneTile(caller, NAME, caller.scope_key, version, address, make)


def add_event_heat(routes: APIRouter, pool: Pool, copies: TileCopies) -> None:
    """Routes of the heat: tiles and their TileJSON with the scale. Before the routes of any layer by name."""
    since_ = Annotated[str, Query(alias="from", max_length=40)]
    until_ = Annotated[str, Query(alias="to", max_length=40)]
    class_ = Annotated[str, Query(alias="class", max_length=40)]

    @routes.get(f"/tiles/{NAME}/{{z}}/{{x}}/{{y}}.mvt")
    def heat(
        request: Request,
        z: str,
        x: str,
        y: str,
        since: since_ = "",
        until: until_ = "",
        only: class_ = "",
        as_of: str = "",
    ) -> Response:
        """A vector tile of counts; 304 by version, 204 where nothing happened. A past day is asked for as a window that ends then."""
        if as_of:
            raise WrongValue(
                f"图层 {NAME} 按时段 / layer {NAME!r} is asked for by from and to: leave as_of out."
            )
        caller = current_caller()
        address = tile_address(z, x, y)
        if address is None or address[0] > MAX_ZOOM:
            raise Refused(
                f"没有瓦片 {z}/{x}/{y} / no tile {z}/{x}/{y}: 0 <= x, y < 2^z, z <= {MAX_ZOOM}; events are placed no finer."
            )
        try:
            window = window_of(since, until, only, datetime.now(UTC))
        except WindowError as fault:
            return message(422, str(fault))
        with as_web(pool) as connection:
            wanted = heat_tile(caller, address, window, _versions(connection, caller))
        return held_answer(request.headers, copies, wanted) or made_answer(
            request.headers, pool, copies, wanted
        )

    @routes.get(f"/tiles/{NAME}.json")
    def scale(
        request: Request,
        zoom: Annotated[int, Query(ge=0, le=MAX_ZOOM)] = 10,
        since: since_ = "",
        until: until_ = "",
        only: class_ = "",
        counted: bool = False,
    ) -> Any:
        """TileJSON 3.0.0 of the window, with the scale at a zoom: from how many events of a bin on each colour is used. counted:
        also how many squares of that zoom each colour has in the caller's area, and the events of the window by class, of a window
        of 366 days at most."""
        try:
            window = window_of(since, until, only, datetime.now(UTC))
        except WindowError as fault:
            return message(422, str(fault))
        with acting(pool) as connection:
            bounds = answers.extent(connection)
            steps = connection.execute(
                "SELECT s.from_n FROM analysis.event_heat_scale(%(zoom)s, %(since)s, %(until)s, %(only_class)s) AS s ORDER BY s.step",
                {"zoom": zoom} | window.values,
            ).fetchall()
            sums = _counted(connection, zoom, window) if counted else {}
        declared = LAYERS[NAME]
        root, query = str(request.base_url).rstrip("/"), request.url.query
        return {
            "tilejson": "3.0.0",
            "name": f"{declared.name_zh} / {declared.name_en}",
            "tiles": [f"{root}/tiles/{NAME}/{{z}}/{{x}}/{{y}}.mvt{'?' + query if query else ''}"],
            "minzoom": declared.min_zoom,
            "maxzoom": declared.max_zoom,
            "bounds": bounds or [-180.0, -85.05, 180.0, 85.05],
            "vector_layers": [
                {
                    "id": NAME,
                    "fields": declared.fields,
                    "minzoom": declared.min_zoom,
                    "maxzoom": declared.max_zoom,
                }
            ],
            "scale": {"zoom": zoom, "bins": BINS, "from_n": [row["from_n"] for row in steps]} | sums,
        }


def _counted(connection: Connection, zoom: int, window: Window) -> dict[str, Any]:
    """Squares by step of the scale, from few events to many, and events by class, whatever class is drawn; nothing for a window
    that is longer than any other answer adds up."""
    if (window.until or datetime.now(UTC)) - (window.since or EARLIEST) > LONGEST_WINDOW:
        return {}
    rows = connection.execute(
        "SELECT c.* FROM analysis.event_heat_counted(%(zoom)s, %(since)s, %(until)s, %(only_class)s) AS c ORDER BY c.step",
        {"zoom": zoom} | window.values,
    ).fetchall()
    return {
        "squares": [row["squares"] for row in rows if row["step"] > 0],
        "events": {name: sum(row[name] for row in rows) for name in CLASSES},
    }
