"""Signing in and out: what /signin, /signin/demo and /signout do. The page's look is in sign_in_page.py."""

import hmac
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import psycopg
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg_pool import PoolTimeout

from dashboards.asked import Asked, cleared_cookies, form_fields, signed_in_cookies, with_cookies
from dashboards.demo_accounts import demo_account_id, demo_is_open, demo_people
from dashboards.sign_in_page import DemoRole, Look, sign_in_page
from dashboards.texts import Language, t
from geoapp.access.caller import Caller, Connection, Pool, acting, caller_or_none
from geoapp.access.passwords import TooBusy
from geoapp.access.refusals import REFUSALS
from geoapp.access.sealing import derived
from geoapp.access.sessions import caller_of_session, end_session, open_session
from geoapp.access.sign_in import SignedIn, sign_in
from geoapp.access.throttle import DEVICE_COOKIE, KEEP, device_of
from geoapp.settings import settings

Found = TypeVar("Found")

FORM_COOKIE = "geoapp_form"
# A form of one browser may be tried this often at the same moment; who tries more is not let into the queue.
AT_ONCE_FROM_ONE_PLACE = 4
THREADS = 4
# Passwords are tried in lanes of their own: a rush of strangers makes strangers wait, neither the page nor a browser that
# has signed in before. Together fewer than the pool's connections, so that one is left for the page.
STRANGERS_AT_ONCE, KNOWN_AT_ONCE = 2, 1
NEXT_MAX = 2000


class OneAfterAnother:
    """Sign-ins of one address at the same moment: a flood from one place leaves the queue free for others."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}
        self._guard = threading.Lock()

    @contextmanager
    def place(self, ip: str) -> Iterator[bool]:
        """True where this address may try now."""
        with self._guard:
            free = self._held.get(ip, 0) < AT_ONCE_FROM_ONE_PLACE
            if free:
                self._held[ip] = self._held.get(ip, 0) + 1
        try:
            yield free
        finally:
            if free:
                with self._guard:
                    self._held[ip] -= 1
                    if not self._held[ip]:
                        del self._held[ip]


class SignIn:
    """What the routes share. `pool` is a small one of their own: whoever guesses passwords takes no connection from the map."""

    def __init__(self, pool: Pool, listening_on: str) -> None:
        self.pool = pool
        self.listening_on = listening_on
        self.places = OneAfterAnother()
        self._lanes: dict[str, CapacityLimiter] = {}

    async def in_thread(
        self, work: Callable[[], Found], lane: str = "pages", at_once: int = THREADS
    ) -> Found:
        """Runs blocking work in one of `at_once` threads of this lane."""
        limiter = self._lanes.setdefault(lane, CapacityLimiter(at_once))
        return await to_thread.run_sync(work, limiter=limiter)

    async def tried(self, attempt: Callable[[], Found], asked: Asked) -> Found:
        """Tries a password: browsers that hold a device cookie of this installation do not queue behind strangers."""
        if device_of(asked.cookie(DEVICE_COOKIE)) is not None:
            return await self.in_thread(attempt, "known", KNOWN_AT_ONCE)
        return await self.in_thread(attempt, "strangers", STRANGERS_AT_ONCE)

    def city(self) -> dict[str, Any] | None:
        """Name of the city, and whether it is generated; None where there is none yet."""
        with self.pool.connection() as connection:
            return connection.execute("SELECT * FROM access.city_sign()").fetchone()

    def page(self, request: Request, sent: dict[str, str], *, error: str = "", status: int = 200) -> Response:
        """The sign-in page for this request, with a fresh form token where the browser has none."""
        asked = Asked.of(request.scope)
        lang_of = sent or dict(request.query_params)
        away = False
        try:
            city, people = self.city(), []
            if demo_is_open(asked, listening_on=self.listening_on, city=city):
                people = demo_people(self.pool, _language(lang_of))
        except (psycopg.Error, PoolTimeout):
            city, people, away = None, [], True
        look = Look.of(lang_of.get("lang"), lang_of.get("theme"), city)
        if away and not error:
            error, status = t("signin.away", look.lang), 503
        return self._answer(request, asked, look, people, lang_of, error, status)

    def _answer(
        self,
        request: Request,
        asked: Asked,
        look: Look,
        people: list[DemoRole],
        sent: dict[str, str],
        error: str,
        status: int,
    ) -> Response:
        secret = form_secret(asked)
        kept: list[str] = []
        if secret is None:
            secret = secrets.token_urlsafe(32)
            kept = [form_cookie(secret, https=asked.https)]
        caller = caller_or_none()
        to = safe_next(sent.get("next"))
        body = sign_in_page(
            look,
            form_token=form_token(secret),
            to=to,
            error=error,
            demo=people,
            oidc=oidc_provider(),
            oidc_href="/signin/oidc?" + urlencode({"next": to, "lang": look.lang}),
            signed_in_as="" if caller is None else _name(caller, look.lang),
            csrf=request.scope.get("state", {}).get("csrf", ""),
        )
        headers = {"Cache-Control": "no-store"}
        if status == 503:
            headers["Retry-After"] = "5"
        return with_cookies(HTMLResponse(body, status, headers), kept)

    def let_in(self, asked: Asked, token: str, to: str, device: str | None = None) -> Response:
        """To the page that was asked for, with the cookies of the new session; the form's cookie is spent."""
        cookies = [*signed_in_cookies(token, https=asked.https), form_cookie("", https=asked.https)]
        if device is not None:
            cookies.append(device_cookie_header(device, https=asked.https))
        answer = RedirectResponse(to, 303, {"Cache-Control": "no-store"})
        return with_cookies(answer, cookies)

    def leave(self, caller: Caller | None, at: datetime) -> None:
        """Ends the session that this browser had, where it had one; on record."""
        if caller is not None and caller.session_id is not None:
            with acting(self.pool, caller) as connection:
                end_session(connection, caller.session_id, "signed_out", at)
                connection.execute("SELECT access.record('sign_out', 'session', %s)", (caller.session_id,))


def router(shared: SignIn) -> APIRouter:
    """`/signin`, `/signin/demo`, `/signout`."""
    routes = APIRouter()

    @routes.get("/signin", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await shared.in_thread(lambda: shared.page(request, {}))

    @routes.post("/signin", include_in_schema=False)
    async def enter(request: Request) -> Response:
        asked, sent = Asked.of(request.scope), form_fields(Asked.of(request.scope), await request.body())
        lang = _language(sent)
        if not form_holds(asked, sent):
            REFUSALS.labels("sign_in_form").inc()
            error = t("signin.old_form", lang)
            return await shared.in_thread(lambda: shared.page(request, sent, error=error, status=403))

        def attempt() -> Response:
            at = datetime.now(UTC)
            try:
                with shared.pool.connection() as connection:
                    said = sign_in(
                        connection,
                        sent.get("login", ""),
                        sent.get("password", ""),
                        ip=asked.ip,
                        user_agent=asked.headers.get("user-agent"),
                        device=asked.cookie(DEVICE_COOKIE),
                        at=at,
                    )
                if isinstance(said, SignedIn):
                    shared.leave(caller_or_none(), at)
                    return shared.let_in(
                        asked, said.token, _after(said.caller, sent, lang), said.device_cookie
                    )
            except (TooBusy, PoolTimeout):
                return shared.page(request, sent, error=t("signin.busy", lang), status=503)
            except psycopg.OperationalError:
                return shared.page(request, sent, error=t("signin.away", lang), status=503)
            REFUSALS.labels("sign_in").inc()
            status = 429 if said.wait_s else 401
            answer = shared.page(request, sent, error=refused_text(lang, said.wait_s), status=status)
            if said.wait_s:
                answer.headers["Retry-After"] = str(said.wait_s)
            return answer

        with shared.places.place(asked.client or "") as free:
            if free:
                return await shared.tried(attempt, asked)
        REFUSALS.labels("sign_in_flood").inc()
        return PlainTextResponse(
            t("signin.busy", lang), 429, {"Retry-After": "2", "Cache-Control": "no-store"}
        )

    @routes.post("/signin/demo", include_in_schema=False)
    async def enter_demo(request: Request) -> Response:
        asked, sent = Asked.of(request.scope), form_fields(Asked.of(request.scope), await request.body())
        lang = _language(sent)

        def attempt() -> Response:
            if not demo_is_open(asked, listening_on=shared.listening_on, city=shared.city()):
                REFUSALS.labels("demo").inc()
                return PlainTextResponse("Not Found", 404)
            if not form_holds(asked, sent):
                REFUSALS.labels("sign_in_form").inc()
                return shared.page(request, sent, error=t("signin.old_form", lang), status=403)
            at = datetime.now(UTC)
            with shared.pool.connection() as connection:
                account_id = demo_account_id(connection, sent.get("role", ""))
                if account_id is None:
                    return PlainTextResponse("Not Found", 404)
                token = open_recorded(connection, account_id, "demo", asked, at)
            shared.leave(caller_or_none(), at)
            return shared.let_in(asked, token, with_language(safe_next(sent.get("next")), sent))

        return await shared.in_thread(attempt)

    @routes.post("/signout", include_in_schema=False)
    async def leave(request: Request) -> Response:
        asked, caller = Asked.of(request.scope), caller_or_none()
        await shared.in_thread(lambda: shared.leave(caller, datetime.now(UTC)))
        # The language of the page that was left; only this site's own pages say which that was.
        left = dict(parse_qsl(asked.headers.get("referer", "").partition("?")[2]))
        answer = RedirectResponse(with_language("/signin", left), 303, {"Cache-Control": "no-store"})
        return with_cookies(answer, cleared_cookies(https=asked.https))

    return routes


def oidc_provider() -> str:
    """Name of the OpenID Connect provider as the button shows it; "" where none is configured."""
    configured = settings()
    if not configured.oidc_issuer or not configured.oidc_client_id:
        return ""
    return configured.oidc_name or urlsplit(configured.oidc_issuer).hostname or "OIDC"


def open_recorded(connection: Connection, account_id: int, method: str, asked: Asked, at: datetime) -> str:
    """Opens a session, puts it on record in the account's name, and returns the cookie's text."""
    with connection.transaction():
        token = open_session(
            connection,
            account_id,
            method=method,
            at=at,
            ip=asked.ip,
            user_agent=asked.headers.get("user-agent"),
        )
        caller = caller_of_session(connection, token, at)
        assert caller is not None
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(caller.db_role)))
        connection.execute(
            "SELECT access.record('sign_in', ok => true, ip => %s::inet, login => %s, detail => %s)",
            (asked.ip, caller.login, Jsonb({"method": method})),
        )
        connection.execute("RESET ROLE")
    return token


def refused_text(lang: Language, wait_s: int | None) -> str:
    """The one answer to every refused sign-in, with when to try again where there is a wait."""
    text = t("signin.refused", lang)
    if not wait_s:
        return text
    again = (
        t("signin.again_s", lang, n=wait_s)
        if wait_s < 90
        else t("signin.again_min", lang, n=(wait_s + 59) // 60)
    )
    return f"{text}{'' if lang == 'zh' else ' '}{again}"


def safe_next(wanted: str | None) -> str:
    """The path to go on to: of this site, else /.

    Refused are other origins in all their spellings (//host, /\\host, %2f, a scheme), control characters (header
    injection) and the sign-in itself.
    """
    if not wanted or len(wanted) > NEXT_MAX or not wanted.startswith("/"):
        return "/"
    seen, plain = None, wanted
    while plain != seen:  # as often as a browser or proxy might unquote it
        if plain.startswith("//") or re.search(r"[\\\x00-\x20\x7f-\x9f]", plain.split("?", 1)[0]):
            return "/"
        seen, plain = plain, unquote(plain)
    if re.search(r"[\x00-\x20\x7f-\x9f\\]", wanted) or not wanted.isascii():
        return "/"
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or unquote(parts.path).rstrip("/").split("/")[1:2] in (["signin"], ["signout"], ["first-start"]):  # fmt: skip
        return "/"
    return wanted


def with_language(to: str, sent: dict[str, str]) -> str:
    """The path with the language and theme of the sign-in page, where it names none itself."""
    kept = {}
    if sent.get("lang") == "en":
        kept["lang"] = "en"
    if sent.get("theme") in ("light", "dark"):
        kept["theme"] = sent["theme"]
    query = to.partition("?")[2]
    kept = {name: value for name, value in kept.items() if f"{name}=" not in query}
    return f"{to}{'&' if '?' in to else '?'}{urlencode(kept)}" if kept else to


def form_secret(asked: Asked) -> str | None:
    """The browser's secret of sign-in forms, where it has one."""
    held = asked.cookie(_form_cookie_name(asked.https))
    return held if held and re.fullmatch(r"[A-Za-z0-9_-]{43}", held) else None


def form_token(secret: str) -> str:
    """What a form of this browser carries: bound to the cookie by the installation's key, so that a page elsewhere can make
    neither (login CSRF)."""
    return hmac.new(derived("sign-in form"), secret.encode(), "sha256").hexdigest()


def form_holds(asked: Asked, sent: dict[str, str]) -> bool:
    """Whether a form came from a page of ours in this browser."""
    secret = form_secret(asked)
    given = sent.get("form_token", "").encode()
    return (
        asked.from_this_site
        and secret is not None
        and hmac.compare_digest(given, form_token(secret).encode())
    )


def form_cookie(secret: str, *, https: bool) -> str:
    """Set-Cookie value of the form's secret; "" takes it away."""
    gone = "" if secret else "; Max-Age=0"
    return f"{_form_cookie_name(https)}={secret}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if https else ''}{gone}"


def device_cookie_header(value: str, *, https: bool) -> str:
    """Set-Cookie value of a browser that has signed in: it answers for its own failures only."""
    age = int(KEEP.total_seconds())
    return f"{DEVICE_COOKIE}={value}; Path=/signin; Max-Age={age}; HttpOnly; SameSite=Strict{'; Secure' if https else ''}"


def _form_cookie_name(https: bool) -> str:
    return f"__Host-{FORM_COOKIE}" if https else FORM_COOKIE


def _after(caller: Caller, sent: dict[str, str], lang: Language) -> str:
    to = "/account" if caller.must_change_password else safe_next(sent.get("next"))
    return with_language(to, sent)


def _language(sent: dict[str, str]) -> Language:
    return "en" if sent.get("lang") == "en" else "zh"


def _name(caller: Caller, lang: Language) -> str:
    return (caller.name_en if lang == "en" else "") or caller.name_zh
