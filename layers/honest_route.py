"""What can go wrong in a request, said in one clear message: the route class of the layers and of the pages."""

import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import psycopg
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from prometheus_client import Counter
from psycopg_pool import PoolTimeout
from starlette.concurrency import run_in_threadpool

from geoapp.access.caller import NO_RIGHT, Forbidden, NotSignedIn, Pool, caller_or_none
from geoapp.access.per_minute import PerMinute
from geoapp.access.refusals import REFUSALS, record_refusal
from geoapp.access.throttle import plain_ip
from geoapp.errors import Refused
from layers.asked import WrongValue

# What is answered follows from who asks: no cache may give it to anybody else.
VARY = "Accept-Encoding, Cookie, Authorization"
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
ID_PATHS = (
    "/evidence/",
    "/incidents/",
    "/cell/",
    "/hazards/",
    "/changesets/",
    "/sites/",
    "/review/lead/",
    "/identify/",
)
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
    ((WrongValue,), 422, None),
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
