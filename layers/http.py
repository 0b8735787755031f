"""The layers over HTTP: a FastAPI router over a pool of connections, under the caller's database role.

No caller, no row: 401. No database answer, no picture: 503.
"""

import gzip
import hashlib
import json
import os
import secrets
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import psycopg
from fastapi import APIRouter, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from prometheus_client import Counter
from psycopg_pool import PoolTimeout
from starlette.concurrency import run_in_threadpool

from geoapp.access.caller import (
    NO_RIGHT,
    Caller,
    Forbidden,
    NotSignedIn,
    Pool,
    acting,
    caller_or_none,
    current_caller,
)
from geoapp.access.per_minute import PerMinute
from geoapp.access.refusals import REFUSALS, record_refusal
from geoapp.access.throttle import plain_ip
from geoapp.errors import Refused
from layers import answers
from layers.export import driver_of, exported_layer, layer_frame, write_frame
from layers.registry import Layer, layer, layers_for, lens
from layers.tiles import TileCopies, layer_version, make_tile, scope_of, tile_address

MVT = "application/vnd.mapbox-vector-tile"
# The browser asks every time and mostly hears 304: what it shows is never older than its last question.
REVALIDATE = "private, max-age=0, must-revalidate"
# What is answered follows from who asks: no cache may give it to anybody else.
VARY = "Accept-Encoding, Cookie, Authorization"
# Answers over the whole city are computed at most once in this many seconds for all who may see the same.
ANSWER_AGE_S = 5.0
ANSWERS_LIMIT_BYTES = 64_000_000
INCIDENTS_SINCE = timedelta(hours=24)
# More rows than this, or any column about a person, leave the house only with a reason.
ROWS_WITHOUT_REASON = 1000
REASON_MIN, REASON_MAX = 4, 500
REASON_WANTED = (
    "导出个人信息或超过 1000 行须写明用途（reason，至少 4 个字）/ To take out personal data or more than 1,000 rows, say what for"
    " (reason, at least 4 characters)."
)

NO_DATABASE = (
    "数据库没有应答，地图数据暂不可用；请稍后再试，或运行 geoapp db up / "
    "The database does not answer, so there is no map data now; try again, or run geoapp db up."
)
BAD_VALUE = "地址里的时间或编码不能用 / A time or code in the address cannot be used: times from 0002 to 9998, codes without odd characters."
TOO_MANY_RECORDS = (
    "一分钟内查看或导出过多，请稍后再试 / Too many looks or exports within a minute: try again in a minute."
)
OLD_SCHEMA = "数据库结构与程序不符，请运行 geoapp db up / The database's schema is not this program's: run geoapp db up."
TOO_MANY_MISSES = "一分钟内查找了太多不存在的编号，请稍后再试 / Too many things asked for that are not there: try again in a minute."

# Where the last part of the address is a thing's id, which somebody may guess.
ID_PATHS = ("/evidence/", "/incidents/", "/cell/", "/hazards/", "/changesets/", "/sites/")
MISSES_A_MINUTE = 30
NOT_FOUND = Counter("geoapp_not_found", "Ids asked for that are not there for whoever asked", registry=None)
_misses = PerMinute(MISSES_A_MINUTE)


def honest_route(pool: Pool) -> type[APIRoute]:
    """A route class that turns what can go wrong into one clear message with the right status.

    401 nobody has signed in, 403 the role does not do this (on record), 404 Refused, 422 values that do not fit, 429 more looks or
    exports within a minute than the audit takes, 503 no database. `pool` takes the record. Every answer varies with who asks and is kept by no shared cache.
    """

    class HonestRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            plain = super().get_route_handler()

            async def handler(request: Request) -> Response:
                wait = _wait_of_guesser(request)
                answer = too_often(TOO_MANY_MISSES, wait) if wait else await _answered(plain, request, pool)
                if wait:
                    await run_in_threadpool(record_refused, pool, request, "guessing")
                answer.headers["Vary"] = VARY
                answer.headers.setdefault("Cache-Control", "private, no-store")
                return answer

            return handler

    return HonestRoute


# What can go wrong, the first that fits; None = the fault says it itself.
_FAULTS: tuple[tuple[tuple[type[Exception], ...], int, str | None], ...] = (
    ((NotSignedIn,), 401, None),
    ((Forbidden,), 403, None),
    ((Refused,), 404, None),
    ((psycopg.errors.InsufficientPrivilege,), 403, NO_RIGHT),
    ((psycopg.DataError,), 400, BAD_VALUE),
    ((psycopg.errors.ConfigurationLimitExceeded,), 429, TOO_MANY_RECORDS),
    (
        (
            psycopg.errors.InvalidSchemaName,
            psycopg.errors.UndefinedTable,
            psycopg.errors.UndefinedFunction,
            psycopg.errors.UndefinedColumn,
        ),
        503,
        OLD_SCHEMA,
    ),
    ((psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout), 503, NO_DATABASE),
)


async def _answered(
    plain: Callable[[Request], Coroutine[Any, Any, Response]], request: Request, pool: Pool
) -> Response:
    try:
        return await plain(request)
    except RequestValidationError as fault:
        return message(422, _wrong_values(fault))
    except Exception as fault:
        for kinds, status, text in _FAULTS:
            if isinstance(fault, kinds):
                if status == 403:
                    await run_in_threadpool(record_refused, pool, request, "role")
                if status == 404:
                    _note_miss(request)
                return message(status, text or str(fault))
        raise


def message(status: int, text: str) -> JSONResponse:
    """One sentence in zh / en as {"error": …}, kept by no cache."""
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "5"} if status in (429, 503) else {})
    return JSONResponse({"error": text}, status_code=status, headers=headers)


def client_ip(request: Request) -> str | None:
    """The address of whoever asks, None where it is none (a test's client has a name)."""
    return plain_ip(request.client.host) if request.client else None


def too_often(text: str, wait_s: int) -> JSONResponse:
    """429 with how many seconds to wait."""
    answer = message(429, text)
    answer.headers["Retry-After"] = str(wait_s)
    return answer


def record_refused(pool: Pool, request: Request, why: str) -> None:
    """Counts and records what the caller was refused."""
    REFUSALS.labels(why).inc()
    caller = caller_or_none()
    if caller is not None:
        record_refusal(
            pool,
            caller,
            why,
            path=request.url.path,
            method=request.method,
            ip=client_ip(request),
            at=datetime.now(UTC),
        )


def _guesser(request: Request) -> str:
    """Whose misses these are: the account's, wherever it asks from, so that a colleague behind the same address goes on."""
    caller = caller_or_none()
    return caller.db_role if caller is not None else f"address {client_ip(request)}"


def _wait_of_guesser(request: Request) -> int:
    """Seconds until this one may ask for ids again, mostly 0."""
    if not request.url.path.startswith(ID_PATHS):
        return 0
    return _misses.wait_s(_guesser(request), time.monotonic())


def _note_miss(request: Request) -> None:
    if request.url.path.startswith(ID_PATHS):
        NOT_FOUND.inc()
        _misses.note(_guesser(request), time.monotonic())


def _wrong_values(fault: RequestValidationError) -> str:
    """The names of what does not fit and why; never the values, which may be anything."""
    found = "; ".join(
        f"{'.'.join(str(part) for part in e['loc'][1:]) or e['loc'][0]}: {e['msg']}"
        for e in fault.errors()[:8]
    )
    return f"内容不合要求 / These values cannot be used: {found}."


@dataclass
class _Answer:
    """One city-wide answer and who is computing it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    made_at: float = float("-inf")
    etag: str = ""
    body: bytes = b""


class RecentAnswers:
    """City-wide answers by (scope, name), each computed once in ANSWER_AGE_S seconds however many ask. Thread-safe.

    What is older is dropped at the next computation, and the oldest where the rest fills the memory: however many
    areas there are, no more is kept than was asked for just now.
    """

    def __init__(self, limit_bytes: int = ANSWERS_LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[tuple[str, str], _Answer] = OrderedDict()
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, scope_key: str, name: str, compute: Callable[[], dict[str, Any]]) -> tuple[str, bytes]:
        """(ETag, JSON bytes); the ETag is of scope and content without its as_of, so that a calm city answers 304."""
        with self._guard:
            held = self._kept.setdefault((scope_key, name), _Answer())
        with held.lock:
            if time.monotonic() - held.made_at >= ANSWER_AGE_S:
                held.etag, held.body = serialised(compute(), scope_key)
                held.made_at = time.monotonic()
                self._drop_old((scope_key, name))
            return held.etag, held.body

    def _drop_old(self, fresh: tuple[str, str]) -> None:
        with self._guard:
            if fresh in self._kept:
                self._kept.move_to_end(fresh)
            now = time.monotonic()
            # An entry that is being computed is held by whoever computes it: dropped here, it is only made again.
            for key in [
                k for k, a in self._kept.items() if now - a.made_at >= ANSWER_AGE_S and not a.lock.locked()
            ]:
                del self._kept[key]
            size = sum(len(a.body) for a in self._kept.values())
            while size > self.limit_bytes and len(self._kept) > 1:
                size -= len(self._kept.popitem(last=False)[1].body)


def serialised(answer: dict[str, Any], scope_key: str) -> tuple[str, bytes]:
    """(ETag, JSON bytes) of an answer for one scope."""
    content = jsonable_encoder(answer)
    timeless = {name: value for name, value in content.items() if name != "as_of"}
    text = scope_key + json.dumps(timeless, sort_keys=True)
    etag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:20]}"'
    return etag, json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _knows(request: Request, etag: str) -> bool:
    named = request.headers.get("if-none-match", "")
    return named.strip() == "*" or etag in [part.strip() for part in named.split(",")]


def _packed(
    request: Request, body: bytes, headers: dict[str, str], *, media_type: str, gzipped: bool
) -> Response:
    """A response in the coding that the browser takes; `gzipped` tells what `body` is."""
    headers = dict(headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = body if gzipped else gzip.compress(body, 5, mtime=0)
    elif gzipped:
        body = gzip.decompress(body)
    return Response(body, headers=headers, media_type=media_type)


def router(pool: Pool) -> APIRouter:
    """Routes of tiles, lenses, features, details and files over `pool`, the web process's own (it takes the caller's role).

    Endpoints run in the thread pool. Raises nothing: see honest_route.
    """
    routes = APIRouter(route_class=honest_route(pool), tags=["layers"])
    _add_tiles(routes, pool)
    _add_city_answers(routes, pool)
    _add_places(routes, pool)
    _add_files(routes, pool)
    return routes


def _add_tiles(routes: APIRouter, pool: Pool) -> None:
    copies = TileCopies()

    @routes.get("/tiles/{name}/{z}/{x}/{y}.mvt")
    def tile(request: Request, name: str, z: str, x: str, y: str) -> Response:
        """A vector tile; 304 by version before any tile is made, 204 where nothing is drawn."""
        caller = current_caller()
        declared = _tiled(name, caller)
        address = tile_address(z, x, y)
        if address is None:
            raise Refused(f"没有瓦片 {z}/{x}/{y} / no tile {z}/{x}/{y}: 0 <= x, y < 2^z, z <= 22.")
        with acting(pool, caller) as connection:
            version = layer_version(connection, declared, caller)
            headers = {"ETag": f'W/"{version}"', "Cache-Control": REVALIDATE}
            if _knows(request, headers["ETag"]):
                return Response(status_code=304, headers=headers)
            key = (name, scope_of(declared, caller), version, *address)
            packed = copies.get(key)
            if packed is None:
                packed = copies.put(key, make_tile(connection, declared, *address))
        if not packed:
            return Response(status_code=204, headers=headers)
        return _packed(request, packed, headers, media_type=MVT, gzipped=True)

    @routes.get("/tiles/{name}.json")
    def tilejson(request: Request, name: str) -> dict[str, Any]:
        """TileJSON 3.0.0 of a layer."""
        declared = _tiled(name, current_caller())
        with acting(pool) as connection:
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
        """The declarations of the layers that the caller may see, in drawing order."""
        return {"layers": [asdict(one) for one in layers_for(current_caller().roles).values()]}

    @routes.get("/layers/{name}.json")
    def declaration(name: str) -> dict[str, Any]:
        """One declaration: names, legend, fields, lenses."""
        return asdict(layer(name, current_caller().roles))


def _add_city_answers(routes: APIRouter, pool: Pool) -> None:
    recent = RecentAnswers()

    def answer(
        request: Request,
        name: str,
        as_of: datetime | None,
        ask: Callable[[Any, datetime | None], dict[str, Any]],
    ) -> Response:
        caller = current_caller()

        def compute() -> dict[str, Any]:
            with acting(pool, caller) as connection:
                return ask(connection, _aware(as_of))

        # Only the present is asked for by many; a past moment is computed for the one who asks.
        if as_of is None:
            etag, body = recent.get(caller.scope_key, name, compute)
        else:
            etag, body = serialised(compute(), caller.scope_key)
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
        with acting(pool) as connection:
            found = answers.incident_features(connection, after)
        return JSONResponse(
            jsonable_encoder(found),
            media_type="application/geo+json",
            headers={"Cache-Control": "private, no-store"},
        )

    @routes.get("/identify")
    def identify(lon: float = Query(ge=-180, le=180), lat: float = Query(ge=-85, le=85)) -> dict[str, Any]:
        """What stands at a point (EPSG:4326)."""
        with acting(pool) as connection:
            return answers.identify(connection, lon, lat)

    @routes.get("/cell/{code}.json")
    def cell(code: str, as_of: datetime | None = None) -> dict[str, Any]:
        """One cell: score with reasons, sites, cameras, who answers, open incidents, gaps."""
        with acting(pool) as connection:
            found = answers.cell_details(connection, code.replace("-", ""), _aware(as_of))
        if found is None:
            raise Refused(f"没有网格 {code} / no cell {code}.")
        return found


def _add_files(routes: APIRouter, pool: Pool) -> None:
    exporting: set[int] = set()
    guard = threading.Lock()

    @contextmanager
    def alone(caller: Caller) -> Iterator[bool]:
        """Whether the caller's account has no other file under way, for as long as the block runs."""
        with guard:
            free = caller.account_id not in exporting
            exporting.add(caller.account_id)
        try:
            yield free
        finally:
            if free:
                with guard:
                    exporting.discard(caller.account_id)

    @routes.get("/export/{file}")
    def export(
        request: Request, file: str, reason: str = Query(default="", max_length=REASON_MAX)
    ) -> Response:
        """A layer as a file (`{layer}.gpkg`, `.geojson` or `.fgb`): the rows in the caller's area, on record before it is made."""
        caller = current_caller()
        name, ending = Path(file).stem, Path(file).suffix
        declared = exported_layer(name, caller.roles)
        driver_of(ending)
        if caller.token_scopes is not None and "export" not in caller.token_scopes:
            raise Forbidden("令牌没有导出用途 / this token is not for exports.")
        with alone(caller) as free:
            if not free:
                return message(
                    429, "上一次导出还没有完成 / Your last export is still being made: wait for it."
                )
            return _file(request, pool, caller, declared, ending, reason.strip())


def _file(
    request: Request, pool: Pool, caller: Caller, declared: Layer, ending: str, reason: str
) -> Response:
    with acting(pool, caller) as connection:
        _refuse_who_may_not_export(connection)
        frame = layer_frame(connection, declared)
        asked = bool(declared.personal) or len(frame) > ROWS_WITHOUT_REASON
        if asked and len(reason) < REASON_MIN:
            return message(
                422,
                REASON_WANTED,
            )
        connection.execute(
            "SELECT access.record_export(%s, %s, %s, %s, %s::inet, %s)",
            (
                declared.id,
                ending.removeprefix("."),
                len(frame),
                reason or None,
                client_ip(request),
                json.dumps(
                    {"scope": caller.scope, "areas": list(caller.areas), "personal": list(declared.personal)}
                ),
            ),
        )
    # On record: now it may be written, and leave. The file has no name any more before its first byte is sent.
    with tempfile.TemporaryDirectory(prefix="geoapp-export-") as folder:
        made = Path(folder) / f"{declared.id}{ending.lower()}"
        write_frame(frame, declared.id, made)
        content = made.open("rb")
    shown = f"geoapp-{declared.id}-{secrets.token_hex(6)}{ending.lower()}"
    headers = {
        "Content-Disposition": f'attachment; filename="{shown}"',
        "Content-Length": str(os.fstat(content.fileno()).st_size),
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(_parts(content), headers=headers, media_type="application/octet-stream")


def _refuse_who_may_not_export(connection: psycopg.Connection[dict[str, Any]]) -> None:
    """Raises Forbidden before anything is read for a file; record_export itself refuses too."""
    row = connection.execute(
        "SELECT has_function_privilege('access.record_export(text, text, bigint, text, inet, jsonb)', 'EXECUTE') AS may"
    ).fetchone()
    if row is None or not row["may"]:
        raise Forbidden(NO_RIGHT)


def _parts(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while part := content.read(262_144):
            yield part


def _tiled(name: str, caller: Caller) -> Layer:
    declared = layer(name, caller.roles)
    if declared.kind != "tiles":
        raise Refused(f"图层 {name} 没有瓦片 / layer {name!r} has no tiles: see /features/{name}.geojson.")
    return declared


def _aware(moment: datetime | None) -> datetime | None:
    """A time without a zone is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
