"""The layers over HTTP: a FastAPI router over a pool of connections. No database answer, no picture: it says 503."""

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from fastapi import APIRouter, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from psycopg_pool import ConnectionPool, PoolTimeout

from geoapp.errors import Refused
from layers import answers
from layers.registry import LAYERS, Layer, layer, lens
from layers.tiles import TileCopies, layer_version, make_tile, tile_address

Pool = ConnectionPool[psycopg.Connection[dict[str, Any]]]

MVT = "application/vnd.mapbox-vector-tile"
# The browser asks every time and mostly hears 304: what it shows is never older than its last question.
REVALIDATE = "private, max-age=0, must-revalidate"
# Answers over the whole city are computed at most once in this many seconds for all browsers together.
ANSWER_AGE_S = 5.0
INCIDENTS_SINCE = timedelta(hours=24)

NO_DATABASE = (
    "数据库没有应答，地图数据暂不可用；请稍后再试，或运行 geoapp db up / "
    "The database does not answer, so there is no map data now; try again, or run geoapp db up."
)
BAD_VALUE = "地址里的时间或编码不能用 / A time or code in the address cannot be used: times from 0002 to 9998, codes without odd characters."
OLD_SCHEMA = "数据库结构与程序不符，请运行 geoapp db up / The database's schema is not this program's: run geoapp db up."


class HonestRoute(APIRoute):
    """Turns what can go wrong behind a map into one clear message with the right status."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler with its errors answered."""
        plain = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await plain(request)
            except Refused as refusal:
                return _message(404, str(refusal))
            except psycopg.DataError:
                return _message(400, BAD_VALUE)
            except (
                psycopg.errors.InvalidSchemaName,
                psycopg.errors.UndefinedTable,
                psycopg.errors.UndefinedFunction,
                psycopg.errors.UndefinedColumn,
            ):
                return _message(503, OLD_SCHEMA)
            except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
                return _message(503, NO_DATABASE)

        return handler


def _message(status: int, text: str) -> JSONResponse:
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "5"} if status == 503 else {})
    return JSONResponse({"error": text}, status_code=status, headers=headers)


class _RecentAnswers:
    """City-wide answers, each computed once in ANSWER_AGE_S seconds however many ask. Thread-safe."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, str, bytes]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, key: str, compute: Callable[[], dict[str, Any]]) -> tuple[str, bytes]:
        """(ETag, JSON bytes); the ETag is of the content without its as_of, so that a calm city answers 304."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            made = self._kept.get(key)
            if made is not None and time.monotonic() - made[0] < ANSWER_AGE_S:
                return made[1], made[2]
            etag, body = _serialised(compute())
            self._kept[key] = (time.monotonic(), etag, body)
            return etag, body


def _serialised(answer: dict[str, Any]) -> tuple[str, bytes]:
    content = jsonable_encoder(answer)
    timeless = {name: value for name, value in content.items() if name != "as_of"}
    etag = f'W/"{hashlib.sha256(json.dumps(timeless, sort_keys=True).encode()).hexdigest()[:20]}"'
    return etag, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _knows(request: Request, etag: str) -> bool:
    named = request.headers.get("if-none-match", "")
    return named.strip() == "*" or etag in [part.strip() for part in named.split(",")]


def _packed(
    request: Request, body: bytes, headers: dict[str, str], *, media_type: str, gzipped: bool
) -> Response:
    """A response in the coding that the browser takes; `gzipped` tells what `body` is."""
    headers = headers | {"Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = body if gzipped else gzip.compress(body, 5, mtime=0)
    elif gzipped:
        body = gzip.decompress(body)
    return Response(body, headers=headers, media_type=media_type)


def router(pool: Pool) -> APIRouter:
    """Routes of tiles, lenses, features and details over `pool` (dict rows). Endpoints run in the thread pool."""
    routes = APIRouter(route_class=HonestRoute, tags=["layers"])
    _add_tiles(routes, pool)
    _add_city_answers(routes, pool)
    _add_places(routes, pool)
    return routes


def _add_tiles(routes: APIRouter, pool: Pool) -> None:
    copies = TileCopies()

    @routes.get("/tiles/{name}/{z}/{x}/{y}.mvt")
    def tile(request: Request, name: str, z: str, x: str, y: str) -> Response:
        """A vector tile; 304 by version before any tile is made, 204 where nothing is drawn."""
        declared = _tiled(name)
        address = tile_address(z, x, y)
        if address is None:
            raise Refused(f"没有瓦片 {z}/{x}/{y} / no tile {z}/{x}/{y}: 0 <= x, y < 2^z, z <= 22.")
        with pool.connection() as connection:
            version = layer_version(connection, declared)
            headers = {"ETag": f'W/"{version}"', "Cache-Control": REVALIDATE}
            if _knows(request, headers["ETag"]):
                return Response(status_code=304, headers=headers)
            key = (name, version, *address)
            packed = copies.get(key)
            if packed is None:
                packed = copies.put(key, make_tile(connection, declared, *address))
        if not packed:
            return Response(status_code=204, headers=headers)
        return _packed(request, packed, headers, media_type=MVT, gzipped=True)

    @routes.get("/tiles/{name}.json")
    def tilejson(request: Request, name: str) -> dict[str, Any]:
        """TileJSON 3.0.0 of a layer."""
        declared = _tiled(name)
        with pool.connection() as connection:
            bounds = answers.extent(connection)
        root = str(request.base_url).rstrip("/")
        return {
            "tilejson": "3.0.0",
            "name": f"{declared.name_zh} / {declared.name_en}",
            "tiles": [f"{root}/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt"],
            "minzoom": declared.min_zoom,
            "maxzoom": declared.max_zoom,
            "bounds": bounds or [-180.0, -85.05, 180.0, 85.05],
            "vector_layers": [
                {
                    "id": name,
                    "fields": declared.fields,
                    "minzoom": declared.min_zoom,
                    "maxzoom": declared.max_zoom,
                }
            ],
        }

    @routes.get("/layers.json")
    def layer_list() -> dict[str, Any]:
        """All declarations, in drawing order."""
        return {"layers": [asdict(one) for one in LAYERS.values()]}

    @routes.get("/layers/{name}.json")
    def declaration(name: str) -> dict[str, Any]:
        """One declaration: names, legend, fields, lenses."""
        return asdict(layer(name))


def _add_city_answers(routes: APIRouter, pool: Pool) -> None:
    recent = _RecentAnswers()

    def answer(
        request: Request,
        name: str,
        as_of: datetime | None,
        ask: Callable[[Any, datetime | None], dict[str, Any]],
    ) -> Response:
        def compute() -> dict[str, Any]:
            with pool.connection() as connection:
                return ask(connection, _aware(as_of))

        # Only the present is asked for by everybody; a past moment is computed for the one who asks.
        etag, body = recent.get(name, compute) if as_of is None else _serialised(compute())
        headers = {"ETag": etag, "Cache-Control": REVALIDATE}
        if _knows(request, etag):
            return Response(status_code=304, headers=headers)
        return _packed(request, body, headers, media_type="application/json", gzipped=False)

    @routes.get("/lens/{name}.json")
    def lens_of_cells(request: Request, name: str, as_of: datetime | None = None) -> Response:
        """Class of every cell by cell_no."""
        declared = lens(name)
        return answer(
            request,
            f"lens/{name}",
            as_of,
            lambda connection, moment: answers.lens_classes(connection, declared, moment),
        )

    @routes.get("/headline.json")
    def figures(request: Request, as_of: datetime | None = None) -> Response:
        """The figures of the first screen."""
        return answer(request, "headline", as_of, answers.headline)

    @routes.get("/towns.json")
    def towns(request: Request, as_of: datetime | None = None) -> Response:
        """Totals by town."""
        return answer(request, "towns", as_of, answers.town_summaries)


def _add_places(routes: APIRouter, pool: Pool) -> None:
    @routes.get("/features/incident.geojson")
    def incidents(since: datetime | None = None) -> Response:
        """Live and recent incidents (EPSG:4326); since = the last 24 hours where not given."""
        after = _aware(since) or datetime.now(UTC) - INCIDENTS_SINCE
        with pool.connection() as connection:
            found = answers.incident_features(connection, after)
        return JSONResponse(
            jsonable_encoder(found), media_type="application/geo+json", headers={"Cache-Control": "no-store"}
        )

    @routes.get("/identify")
    def identify(lon: float = Query(ge=-180, le=180), lat: float = Query(ge=-85, le=85)) -> dict[str, Any]:
        """What stands at a point (EPSG:4326)."""
        with pool.connection() as connection:
            return answers.identify(connection, lon, lat)

    @routes.get("/cell/{code}.json")
    def cell(code: str, as_of: datetime | None = None) -> dict[str, Any]:
        """One cell: score with reasons, sites, cameras, who answers, open incidents, gaps."""
        with pool.connection() as connection:
            found = answers.cell_details(connection, code.replace("-", ""), _aware(as_of))
        if found is None:
            raise Refused(f"没有网格 {code} / no cell {code}.")
        return found


def _tiled(name: str) -> Layer:
    declared = layer(name)
    if declared.kind != "tiles":
        raise Refused(f"图层 {name} 没有瓦片 / layer {name!r} has no tiles: see /features/{name}.geojson.")
    return declared


def _aware(moment: datetime | None) -> datetime | None:
    """A time without a zone is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
