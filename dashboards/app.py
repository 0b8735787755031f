"""The web application: Dash on FastAPI, the layers' routes, the live stream, evidence, health."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import dash_mantine_components as dmc
import psycopg
import structlog
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.backends._fastapi import reset_current_request, set_current_request
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from psycopg_pool import PoolTimeout
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards import (
    accounts_page,
    accounts_routes,
    actions,
    audit_page,
    cameras,
    coverage_page,
    coverage_routes,
    evidence,
    exports_page,
    first_start,
    health,
    imports_page,
    imports_routes,
    ledger,
    ledger_export,
    live,
    matrix,
    matrix_routes,
    modes_page,
    modes_routes,
    oidc,
    overview,
    own_account,
    review_desk,
    review_desk_routes,
    search,
    shell,
    sign_in,
    source,
    telling_page,
    telling_routes,
)
from dashboards.asked import gate_hosts
from dashboards.board import Board
from dashboards.gate import Gate
from dashboards.state import SHOWN_AT_FIRST, SHOWN_TO_FIRM, ViewState
from dashboards.texts import Language, t
from dashboards.threads import ThreadedDash
from geoapp.access.caller import NO_RIGHT, Forbidden, NotSignedIn, Pool, caller_or_none
from geoapp.access.web_role import web_url
from geoapp.database.connection import open_pool
from geoapp.settings import settings
from layers import upkeep
from layers.honest_route import record_refused
from layers.http import router as layer_router
from layers.one_tile import Tiles
from layers.tiles import TileCopies

_log = structlog.get_logger("dashboards")

THEME = {
    "fontFamily": "var(--face)",
    "primaryColor": "cyan",
    "defaultRadius": "sm",
    "cursorType": "pointer",
}

# Connections, each pool for itself: slow panels leave enough for tiles, and neither keeps the gate or a sign-in waiting.
POOLS = {"dashboards": 8, "screens": 6, "gate": 4, "sign-in": 4}


def create_app(
    url: str | None = None,
    *,
    as_web: str | None = None,
    listening_on: str | None = None,
    first_code: str | None = None,
) -> FastAPI:
    """The ASGI application over the database at `url` (libpq, the owner's; default: this installation's, started if need be).

    as_web: the web process's own address where it is known; the owner's is not needed then. It connects as the web process
    (geoapp/access/web_role.py), which reads nothing of the city by itself: each request
    takes its caller's role. listening_on: the server's address where it is not GEOAPP_HOST. first_code: the one-time code
    with which the first admin is made (dashboards/first_start.py), None where nobody was shown one.

    Raises geoapp.errors.Refused when the private database cannot be started. A database that goes away later stops
    nothing: pages say since when they are old, and go on when it is back.
    """
    as_web = as_web or web_url(url)
    pools = {name: open_pool(as_web, size=size, name=name) for name, size in POOLS.items()}
    pool = pools["dashboards"]
    signing_in = sign_in.SignIn(pools["sign-in"], listening_on or settings().host)
    board = Board(pools["screens"])
    stream = live.Stream(as_web)
    copies = TileCopies()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        listening = asyncio.create_task(stream.run())
        stop = upkeep.started(pool, copies)
        yield
        stop.set()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening
        for one in pools.values():
            one.close()

    server = FastAPI(title="GeoApp", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    _answer_refusals(server)
    server.include_router(sign_in.router(signing_in))
    server.include_router(oidc.router(signing_in))
    server.include_router(first_start.router(signing_in, first_code))
    # Before the layers: /export/audit.csv, /export/ledger.csv, /export/duty.csv, /export/camera-places.geojson and
    # /export/import/… are not a layer's.
    for part in (
        own_account, accounts_routes, audit_page, coverage_routes, imports_routes, ledger_export, matrix_routes, modes_routes,
        telling_routes,
    ):  # fmt: skip
        server.include_router(part.router(board))
    server.include_router(review_desk_routes.router(board))
    server.include_router(layer_router(pool, copies))
    server.include_router(actions.router(pool))
    server.include_router(live.router(stream))
    server.include_router(evidence.router(pool, settings().evidence_path))
    server.include_router(health.router(pool, stream))
    server.include_router(source.router())

    app = ThreadedDash(
        __name__,
        server=server,
        title="GeoApp",
        update_title="",
        suppress_callback_exceptions=True,
        compress=True,
        enable_mcp=False,
        on_error=_say,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = dmc.MantineProvider(
        [
            dcc.Location(id="address", refresh=False),
            html.Div(html.Div("GeoApp …", className="booting"), id="page"),
        ],
        theme=THEME,
        id="mantine",
    )
    pages = {
        "/": overview.layout,
        "/matrix": matrix.layout,
        "/cameras": cameras.layout,
        "/ledger": ledger.layout,
        "/coverage": coverage_page.layout,
        "/account": own_account.layout,
        "/accounts": accounts_page.layout,
        "/audit": audit_page.layout,
        "/exports": exports_page.layout,
        "/imports": imports_page.layout,
        "/review": review_desk.layout,
        "/modes": modes_page.layout,
        "/telling": telling_page.layout,
    }

    @app.callback(Output("page", "children"), Input("address", "pathname"), State("address", "search"))
    def show_page(path: str | None, query: str | None) -> Any:
        state = ViewState.from_query(query, SHOWN_TO_FIRM if overview.scope() == "site" else SHOWN_AT_FIRST)
        make = pages.get(path or "/")
        try:
            if make is None:
                body: list[Any] = [shell.notice(t("app.not_found", state.lang))]
                return shell.frame(state, path or "", board.city(), body)
            return make(state, board)
        except (psycopg.Error, PoolTimeout):
            return shell.frame(state, path or "/", None, [shell.notice(t("app.no_database", state.lang))])

    app.clientside_callback(
        ClientsideFunction("geoapp", "theme"),
        Output("mantine", "forceColorScheme"),
        Input("address", "pathname"),
    )
    for one in (
        overview,
        search,
        matrix,
        cameras,
        ledger,
        coverage_page,
        accounts_routes,
        audit_page,
        imports_page,
        modes_page,
        telling_page,
    ):
        one.register(app, board)
    review_desk.register(app)
    _serve_pages(server, app, set(pages), pool)
    server.add_middleware(Gate, pool=pools["gate"], hosts=gate_hosts(listening_on), tiles=Tiles(pool, copies))
    server.add_middleware(SafeHeaders, policy=content_policy(app))
    return server


def _answer_refusals(server: FastAPI) -> None:
    """What the database or a rule refuses, as one plain sentence."""

    def answer(status: int, text: str) -> JSONResponse:
        return JSONResponse({"error": text}, status, {"Cache-Control": "no-store"})

    @server.exception_handler(NotSignedIn)
    async def stranger(_: Request, refusal: NotSignedIn) -> JSONResponse:
        return answer(401, str(refusal))

    @server.exception_handler(Forbidden)
    async def forbidden(_: Request, refusal: Forbidden) -> JSONResponse:
        return answer(403, str(refusal))

    @server.exception_handler(psycopg.errors.InsufficientPrivilege)
    async def no_right(_: Request, __: psycopg.errors.InsufficientPrivilege) -> JSONResponse:
        return answer(403, NO_RIGHT)

    @server.exception_handler(psycopg.DataError)
    async def no_value(_: Request, __: psycopg.DataError) -> JSONResponse:
        return answer(400, "内容中有不能用的字符或数值 / it holds a character or number that cannot be used.")


def _serve_pages(server: FastAPI, app: Dash, paths: set[str], pool: Pool) -> None:
    """The page at its own paths, and with status 404 at any other that nothing before has answered.

    Dash's own catch-all, added when the server starts, comes after this one and answers 200 to everything.
    """

    @server.get("/{path:path}", include_in_schema=False)
    def page(path: str, request: Request) -> HTMLResponse:
        caller = caller_or_none()
        if path == "account" and caller is not None and caller.must_change_password:
            lang: Language = "en" if request.query_params.get("lang") == "en" else "zh"
            return HTMLResponse(own_account.must_change_page(lang, request.state.csrf))
        status = 404 if f"/{path}" not in paths else 200 if shell.may_open(f"/{path}", caller) else 403
        if status == 403 and caller is not None:
            record_refused(pool, request, "role")
        token = set_current_request(request)  # as Dash's catch-all does: the index asks for the request
        try:
            # Dash makes itself ready at the first request to / or /_dash-…; any page may come before.
            app._setup_server()
            return HTMLResponse(app.index(), status_code=status)
        finally:
            reset_current_request(token)


def _say(fault: Exception) -> None:
    """A panel that could not be made keeps what it shows; the fault goes to the log with its place."""
    _log.error("panel failed", exc_info=fault)


def content_policy(app: Dash) -> str:
    """Content-Security-Policy: this origin only, plus the configured base map's; Dash's own inline scripts by hash."""
    base = settings().basemap_url
    outside = ""
    if base:
        parts = urlsplit(base.replace("{s}", "*"))
        outside = f" {parts.scheme}://{parts.netloc}"
    scripts = " ".join(f"'{digest}'" if not digest.startswith("'") else digest for digest in app.csp_hashes())
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {scripts}",
            "style-src 'self' 'unsafe-inline'",
            f"img-src 'self' data: blob:{outside}",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


class SafeHeaders:
    """Adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self.app = app
        self.headers = [
            (b"content-security-policy", policy.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
            (b"x-frame-options", b"DENY"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A browser that has come by TLS once does not come without it any more.
        secure = (
            [(b"strict-transport-security", b"max-age=31536000")] if scope.get("scheme") == "https" else []
        )

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                held = message.get("headers", [])
                names = {name.lower(): value for name, value in held}
                page = names.get(b"content-type", b"").startswith(b"text/html")
                # What a page shows belongs to whoever is signed in: no copy stays in a shared browser.
                kept = [(b"cache-control", b"no-store")] if page and b"cache-control" not in names else []
                # A report brings a policy of its own, which gives it less than a page of this site has.
                ours = [pair for pair in self.headers if pair[0] not in names]
                message["headers"] = [*held, *ours, *secure, *kept]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
