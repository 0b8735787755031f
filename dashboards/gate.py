"""The gate before everything: who asks, and nobody else. Pure ASGI, so that what lies behind runs as the caller."""

import hmac
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import parse_qs, quote

import psycopg
from anyio import CapacityLimiter, to_thread
from psycopg_pool import PoolTimeout
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.asked import (
    TOO_LARGE,
    Asked,
    TooLarge,
    cleared_cookies,
    csrf_cookie,
    form_fields,
    host_name,
    too_many_headers,
    whole_body,
    with_cookies,
)
from geoapp.access.caller import Caller, Connection, Pool, as_web, calling
from geoapp.access.refusals import REFUSALS, record_refusal
from geoapp.access.sessions import CSRF_COOKIE, CSRF_HEADER, caller_of_session, csrf_of
from geoapp.access.tokens import caller_of_token
from geoapp.settings import settings
from layers.honest_route import VARY
from layers.one_tile import Tiles, held_answer, made_answer
from layers.session_tile import tile_of_session, wanted_tile

Found = TypeVar("Found")

# Paths that answer without an account; each of them checks for itself what it needs. Assets are not among them.
SIGN_IN_PATHS = frozenset(
    {"/signin", "/signin/demo", "/signin/oidc", "/signin/oidc/callback", "/first-start"}
)
# What an account reaches whose password was set by somebody else: the page where it is changed, and what that page is made of.
MUST_CHANGE_PATHS = ("/account", "/signout", "/assets/")
EXPORT_PREFIX = "/export"
SOCKET_PATH = "/live"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
BODY_MAX = 2_000_000
# What may be larger, and for whom: a corrected workbook of an import.
LARGER = {"/imports/corrected": (20_000_000, "read_imports")}
SIGN_IN_BODY_MAX = 8_000

_TEXTS = {
    "no_session": "请先登录 / sign in first.",
    "forged_cookie": "请先登录 / sign in first.",
    "bad_token": "令牌不能用 / this token cannot be used.",
    "token_scope": "令牌没有这个用途 / this token is not for that.",
    "csrf": "请求不是从本站页面发出，刷新页面再试 / the request did not come from this site's page: reload and try again.",
    "must_change_password": "请先修改密码 / change your password first.",
    "too_large": TOO_LARGE,
    "headers": "请求头过大 / the request's headers are too large.",
    "too_slow": "请求没有发完 / the request was not sent in time.",
    "host": "不认识这个主机名，管理员可在 GEOAPP_ALLOWED_HOSTS 中加入 / this host name is not known: an admin can add it to GEOAPP_ALLOWED_HOSTS.",
    "away": "数据库没有应答，请稍后再试 / the database does not answer: try again.",
    "metrics": "Not Found",
}


class Gate:
    """Resolves the session's cookie or the API token to a caller, and lets nobody else through.

    `pool` belongs to the gate alone, so that a check never waits behind a map's slow question; it connects as the web
    process, which by itself reads accounts and sessions only. `tiles` are answered by the gate itself. Behind the gate, `current_caller()` is the one who asks;
    `scope["state"]["csrf"]` is the session's CSRF token, for forms (field `csrf`).
    """

    def __init__(
        self, app: ASGIApp, pool: Pool, *, hosts: frozenset[str] | None, tiles: Tiles | None = None
    ) -> None:
        self.app = app
        self.tiles = tiles
        self.pool = pool
        self.hosts = hosts
        self._has_accounts = False
        self._limiter: CapacityLimiter | None = None
        self._making: CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    # -- http ------------------------------------------------------------------------------------------------

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if too_many_headers(scope):
            await self._refuse("headers", 431, Asked.of({**scope, "headers": []}))(scope, receive, send)
            return
        asked = Asked.of(scope)
        caller: Caller | None = None
        answer: Response | None = None
        try:
            if not self._host_is_known(asked):
                answer = self._refuse("host", 400, asked)
            elif not _answers_strangers(asked):
                answer = await self._tile(asked)
                if answer is not None:
                    await answer(scope, receive, send)
                    return
                caller = await self._caller(asked)
                body = b""
                # A stranger's body is read on the sign-in's paths only, and there at most 8 KB.
                if asked.method not in SAFE_METHODS and (caller or asked.path in SIGN_IN_PATHS):
                    receive, body = await whole_body(asked, receive, _longest_body(asked, caller))
                if asked.path not in SIGN_IN_PATHS:
                    answer = await self._refusal(asked, caller, body)
        except TooLarge:
            answer = self._refuse("too_large", 413, asked)
        except TimeoutError:
            answer = self._refuse("too_slow", 408, asked)
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
            answer = self._refuse("away", 503, asked)
        if answer is not None:
            await answer(scope, receive, send)
            return
        if caller is not None and caller.session_id is not None and asked.session is not None:
            scope.setdefault("state", {})["csrf"] = csrf_of(asked.session)
            send = _keeping_csrf(asked, asked.session, send)
        with calling(caller):
            await self.app(scope, receive, send)

    async def _refusal(self, asked: Asked, caller: Caller | None, body: bytes) -> Response | None:
        """Why this request does not pass, as an answer; None where it does."""
        if caller is None:
            return await self._stranger(asked)
        why = self._why_not(asked, caller, body)
        if why is None:
            return None
        if why == "must_change_password" and asked.wants_page:
            return RedirectResponse("/account" + _language(asked, "?"), 303)
        await self._on_record(caller, asked, why)
        return self._refuse(why, 403, asked)

    def _why_not(self, asked: Asked, caller: Caller, body: bytes) -> str | None:
        """Why somebody who has signed in does not pass; None where they do."""
        if caller.token_id is not None:
            return None if _token_may(asked, caller) else "token_scope"
        if caller.must_change_password and not _under(asked.path, MUST_CHANGE_PATHS):
            return "must_change_password"
        if asked.method not in SAFE_METHODS:
            return None if self._csrf_holds(asked, body) else "csrf"
        # A link on a foreign page would take data out in the name of whoever follows it.
        return "csrf" if is_export(asked.path) and not asked.from_this_site else None

    def _host_is_known(self, asked: Asked) -> bool:
        return self.hosts is None or host_name(asked.headers.get("host", "")) in self.hosts

    async def _stranger(self, asked: Asked) -> Response:
        """The answer to somebody who has not signed in; it is the same for what is there and what is not."""
        if asked.path == "/metrics" and asked.headers.get("authorization") is None:
            return self._refuse("metrics", 404, asked)
        if asked.headers.get("authorization") is not None:
            return self._refuse("bad_token", 401, asked)
        if asked.path == "/signout":
            return with_cookies(RedirectResponse("/signin", 303), cleared_cookies(https=asked.https))
        if not asked.wants_page:
            return self._refuse("no_session" if asked.session is None else "forged_cookie", 401, asked)
        if not await self._any_account():
            return RedirectResponse("/first-start", 303)
        REFUSALS.labels("no_session" if asked.session is None else "forged_cookie").inc()
        wanted = quote(asked.path, safe="/") + (f"?{asked.query}" if asked.query else "")
        to = "/signin" if wanted == "/" else f"/signin?next={quote(wanted, safe='/')}"
        answer = RedirectResponse(to + _language(asked, "&" if "?" in to else "?"), 303)
        answer.headers["Cache-Control"] = "no-store"
        return with_cookies(answer, cleared_cookies(https=asked.https) if asked.session else [])

    @staticmethod
    def _csrf_holds(asked: Asked, body: bytes) -> bool:
        if asked.session is None or not asked.from_this_site:
            return False
        sent = asked.headers.get(CSRF_HEADER.lower())
        if sent is None:
            sent = form_fields(asked, body).get("csrf", "")
        return hmac.compare_digest(sent.encode(), csrf_of(asked.session).encode())

    def _refuse(self, why: str, status: int, asked: Asked) -> Response:
        REFUSALS.labels(why).inc()
        headers = {"Cache-Control": "no-store"}
        if status == 503:
            headers["Retry-After"] = "5"
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if asked.wants_page:
            answer: Response = HTMLResponse(plain_page(_TEXTS[why]), status, headers)
        else:
            answer = JSONResponse({"error": _TEXTS[why]}, status, headers)
        forged = why == "forged_cookie"
        return with_cookies(answer, cleared_cookies(https=asked.https) if forged else [])

    # -- websocket -------------------------------------------------------------------------------------------

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if too_many_headers(scope):
            REFUSALS.labels("headers").inc()
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        asked = Asked.of(scope)
        try:
            caller = await self._caller(asked)
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
            caller = None
        why = None
        if not self._host_is_known(asked):
            why = "host"
        elif (
            asked.path != SOCKET_PATH
        ):  # Dash's own socket is not used: it would not see that a session has ended
            why = "socket"
        elif caller is None:
            why = "no_session"
        elif caller.token_id is not None and "read" not in (caller.token_scopes or ()):
            why = "token_scope"
        elif caller.must_change_password:
            why = "must_change_password"
        elif caller.session_id is not None and not asked.from_this_site:
            why = "csrf"
        if why is not None:
            REFUSALS.labels(why).inc()
            if caller is not None and why != "host":
                await self._on_record(caller, asked, why)
            await send({"type": "websocket.close", "code": 1008, "reason": ""})
            return
        with calling(caller):
            await self.app(scope, receive, send)  # the stream itself watches that the session lasts

    # -- the database ----------------------------------------------------------------------------------------

    async def _caller(self, asked: Asked) -> Caller | None:
        found = await self._signed_in(asked)
        # The demo's accounts are nobody's: outside the demo not even a cookie that is left from it opens one.
        return None if found is not None and found.is_demo and not settings().demo else found

    async def _signed_in(self, asked: Asked) -> Caller | None:
        authorization, session = asked.headers.get("authorization"), asked.session
        if authorization is not None:
            kind, _, token = authorization.partition(" ")
            if kind.lower() != "bearer":
                return None
            return await self._ask(lambda c: caller_of_token(c, token, datetime.now(UTC)))
        if session is None:
            return None
        # A map that is only left open is no use: else no session would ever be idle.
        slides = not asked.by_itself and asked.path != SOCKET_PATH
        return await self._ask(lambda c: caller_of_session(c, session, datetime.now(UTC), slides=slides))

    async def _tile(self, asked: Asked) -> Response | None:
        """A tile for a browser: most of what an open map asks for, and mostly the browser holds it already (304).

        None wherever anything else is to be said: then the usual way says it.
        """
        session, tiles = asked.session, self.tiles
        if tiles is None or session is None or asked.method != "GET" or "authorization" in asked.headers:
            return None
        if (wanted := wanted_tile(asked.path, asked.query)) is None:
            return None
        at, slides = datetime.now(UTC), not asked.by_itself
        try:
            found = await self._ask(lambda c: tile_of_session(c, wanted, session, at, slides=slides))
            if found is None or (found.caller.is_demo and not settings().demo):
                return None
            answer = held_answer(asked.headers, tiles.copies, found)
            if answer is None:
                answer = await to_thread.run_sync(
                    made_answer, asked.headers, tiles.pool, tiles.copies, found, limiter=self._makers()
                )
        except (psycopg.ProgrammingError, psycopg.DataError):
            return None  # no right, or another schema: the route says so
        answer.headers["Vary"] = VARY
        return answer

    async def _any_account(self) -> bool:
        # Accounts are disabled, never deleted: once there is one, there always is.
        if not self._has_accounts:
            self._has_accounts = await self._ask(any_account)
        return self._has_accounts

    async def _on_record(self, caller: Caller, asked: Asked, why: str) -> None:
        def record() -> None:
            at = datetime.now(UTC)
            record_refusal(self.pool, caller, why, path=asked.path, method=asked.method, ip=asked.ip, at=at)

        await to_thread.run_sync(record, limiter=self._threads())

    async def _ask(self, question: Callable[[Connection], Found]) -> Found:
        def in_thread() -> Found:
            with as_web(self.pool) as connection:
                return question(connection)

        return await to_thread.run_sync(in_thread, limiter=self._threads())

    def _makers(self) -> CapacityLimiter:
        # A tile that must be made waits behind other tiles, never a check behind a tile.
        if self._making is None:
            self._making = CapacityLimiter(self.tiles.pool.max_size if self.tiles else 1)
        return self._making

    def _threads(self) -> CapacityLimiter:
        # Threads of its own: pages that wait for the database do not keep others from being checked.
        if self._limiter is None:
            self._limiter = CapacityLimiter(self.pool.max_size)
        return self._limiter


def _answers_strangers(asked: Asked) -> bool:
    """Health for whoever asks; figures for this machine, without a token."""
    if asked.path == "/healthz":
        return asked.method in SAFE_METHODS
    return asked.path == "/metrics" and "authorization" not in asked.headers and asked.from_this_machine


def _longest_body(asked: Asked, caller: Caller | None) -> int:
    """How many bytes of a body are read."""
    if asked.path in SIGN_IN_PATHS:
        return SIGN_IN_BODY_MAX
    most, action = LARGER.get(asked.path, (BODY_MAX, ""))
    return most if caller is not None and caller.may(action) else BODY_MAX


def _token_may(asked: Asked, caller: Caller) -> bool:
    """Whether an API token is for what is asked."""
    if asked.path == "/metrics":
        wanted = "metrics"
    elif asked.method not in SAFE_METHODS:
        wanted = "write"
    else:
        wanted = "export" if is_export(asked.path) else "read"
    return wanted in (caller.token_scopes or ()) and not caller.must_change_password


def any_account(connection: Connection) -> bool:
    """Whether there is an account that can be used here (else the first start asks for an admin): the demo's in the demo only."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM access.account AS a WHERE NOT a.is_demo OR %s) AS found",
        (settings().demo,),
    ).fetchone()
    return bool(row and row["found"])


def is_export(path: str) -> bool:
    """Whether a path takes data out."""
    return _under(path, (EXPORT_PREFIX,))


def plain_page(text: str) -> str:
    """A page of one sentence, without scripts; `text` is ours, never a visitor's."""
    chinese, _, english = text.partition(" / ")
    return (
        '<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>GeoApp</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        '<body style="font:16px/1.6 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1.5rem">'
        f'<p>{chinese}</p><p lang="en">{english}</p>'
    )


def _under(path: str, prefixes: Iterable[str]) -> bool:
    return any(path == p or path.startswith(p if p.endswith("/") else f"{p}/") for p in prefixes)


def _language(asked: Asked, join: str) -> str:
    return f"{join}lang=en" if "en" in parse_qs(asked.query).get("lang", []) else ""


def _keeping_csrf(asked: Asked, token: str, send: Send) -> Send:
    """Gives the page its CSRF cookie again where it was lost or is not this session's."""
    held = asked.cookie(CSRF_COOKIE)
    if not asked.wants_page or (
        held is not None and hmac.compare_digest(held.encode(), csrf_of(token).encode())
    ):
        return send

    async def giving(message: Message) -> None:
        if message["type"] == "http.response.start":
            cookie = (b"set-cookie", csrf_cookie(token, https=asked.https).encode())
            message["headers"] = [*message.get("headers", []), cookie]
        await send(message)

    return giving
