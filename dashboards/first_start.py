"""The first start outside the demo: a one-time code from the terminal makes the first admin, and then never again."""

import hmac
import secrets
import threading
from datetime import UTC, datetime

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from psycopg_pool import PoolTimeout

from dashboards.asked import Asked, form_fields, with_cookies
from dashboards.gate import any_account
from dashboards.sign_in import (
    SignIn,
    form_cookie,
    form_holds,
    form_secret,
    form_token,
    open_recorded,
    with_language,
)
from dashboards.sign_in_page import Look, first_start_page
from dashboards.texts import Language, t
from geoapp.access.accounts import LOGIN
from geoapp.access.passwords import TooBusy, hash_password, problems_of
from geoapp.access.refusals import REFUSALS

# Letters and digits that are not mistaken for each other; 12 of 30 are 58 bits.
_LETTERS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"
WRONG_MAX = 10


def new_code() -> str:
    """A one-time code, as it is shown: XXXX-XXXX-XXXX."""
    letters = [secrets.choice(_LETTERS) for _ in range(12)]
    return "-".join("".join(letters[i : i + 4]) for i in (0, 4, 8))


class OneTimeCode:
    """The code of this start: right once, and worth nothing after WRONG_MAX wrong ones. Thread-safe."""

    def __init__(self, code: str | None) -> None:
        self._code = None if code is None else _plain(code)
        self._wrong = 0
        self._guard = threading.Lock()

    def matches(self, typed: str) -> bool:
        """Whether this is the code (capitals and hyphens do not matter)."""
        with self._guard:
            if self._code is None or self._wrong >= WRONG_MAX:
                return False
            right = hmac.compare_digest(_plain(typed).encode(), self._code.encode())
            self._wrong += not right
            return right


def router(shared: SignIn, code: str | None) -> APIRouter:
    """`/first-start`: 404 as soon as there is an account. code: None where no terminal has shown one."""
    routes = APIRouter()
    held = OneTimeCode(code)

    @routes.get("/first-start", include_in_schema=False)
    async def page(request: Request) -> Response:
        return await shared.in_thread(lambda: _page(shared, request, dict(request.query_params), [], 200))

    @routes.post("/first-start", include_in_schema=False)
    async def make(request: Request) -> Response:
        asked = Asked.of(request.scope)
        sent = form_fields(asked, await request.body())
        lang: Language = "en" if sent.get("lang") == "en" else "zh"

        def attempt() -> Response:
            if _is_over(shared):
                return PlainTextResponse("Not Found", 404)
            if not form_holds(asked, sent):
                return _page(shared, request, sent, [t("signin.old_form", lang)], 403)
            if not held.matches(sent.get("code", "")):
                REFUSALS.labels("first_start").inc()
                return _page(shared, request, sent, [t("first.wrong_code", lang)], 401)
            problems = problems_with(sent, lang)
            if problems:
                return _page(shared, request, sent, problems, 422)
            at = datetime.now(UTC)
            hashed = hash_password(sent["password"])
            with shared.pool.connection() as connection:
                row = connection.execute(
                    "SELECT access.first_admin(%s, %s, %s) AS id",
                    (sent["login"], sent["name"].strip(), hashed),
                ).fetchone()
                assert row is not None
                token = open_recorded(connection, row["id"], "first_start", asked, at)
            return shared.let_in(asked, token, with_language("/", sent))

        try:
            return await shared.in_thread(attempt)
        except psycopg.errors.InsufficientPrivilege:  # somebody else was faster
            return PlainTextResponse("Not Found", 404)
        except psycopg.errors.UniqueViolation:  # an account of the demo has this login
            taken = [t("account.login_taken", lang)]
            return await shared.in_thread(lambda: _page(shared, request, sent, taken, 422))
        except TooBusy:
            error = [t("signin.busy", lang)]
            return await shared.in_thread(lambda: _page(shared, request, sent, error, 503))

    return routes


def problems_with(sent: dict[str, str], lang: Language) -> list[str]:
    """What is wrong with the admin that was asked for, in sentences; empty = nothing."""
    login, name, password = sent.get("login", ""), sent.get("name", "").strip(), sent.get("password", "")
    found = []
    if not LOGIN.fullmatch(login):
        found.append(t("first.bad_login", lang))
    if not name or len(name) > 100 or not name.isprintable():
        found.append(t("first.no_name", lang))
    rules = problems_of(password, login, name)
    if rules:
        said = ("；" if lang == "zh" else "; ").join(pair[lang == "en"] for pair in rules)
        found.append(f"{t('signin.password', lang)}{'：' if lang == 'zh' else ': '}{said}")
    elif password != sent.get("again", ""):
        found.append(t("first.differ", lang))
    return found


def _is_over(shared: SignIn) -> bool:
    with shared.pool.connection() as connection:
        return any_account(connection)


def _page(
    shared: SignIn, request: Request, sent: dict[str, str], problems: list[str], status: int
) -> Response:
    try:
        if _is_over(shared):
            return PlainTextResponse("Not Found", 404)
        city = shared.city()
    except (psycopg.OperationalError, PoolTimeout):
        city, status = None, 503
        problems = [t("signin.away", "en" if sent.get("lang") == "en" else "zh")]
    asked = Asked.of(request.scope)
    secret = form_secret(asked)
    kept: list[str] = []
    if secret is None:
        secret = secrets.token_urlsafe(32)
        kept = [form_cookie(secret, https=asked.https)]
    body = first_start_page(
        Look.of(sent.get("lang"), sent.get("theme"), city),
        form_token=form_token(secret),
        problems=problems,
        login=sent.get("login", "")[:64],
        name=sent.get("name", "")[:100],
    )
    return with_cookies(HTMLResponse(body, status, {"Cache-Control": "no-store"}), kept)


def _plain(code: str) -> str:
    return "".join(c for c in code.upper() if c.isalnum())
