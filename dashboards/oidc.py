"""Signing in at an OpenID Connect provider: authorization code with PKCE (OpenID Connect Core 1.0 §3.1, RFC 7636, RFC 9207).

What a flow needs to remember (nonce, code verifier, where to go on) is a row of access.oidc_flow and not a signed cookie of
Starlette's SessionMiddleware: a row is used once, by whatever process answers, and can be taken away; a signed cookie is
good as often as it is sent until it lapses. The browser holds the state alone, so that a flow begun elsewhere cannot be
finished in it (login CSRF).
"""

import hmac
import ipaddress
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
from anyio import CapacityLimiter, to_thread
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oidc.core import CodeIDToken
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from psycopg.types.json import Jsonb
from psycopg_pool import PoolTimeout

from dashboards.asked import Asked, with_cookies
from dashboards.sign_in import THREADS, SignIn, oidc_provider, open_recorded, safe_next, with_language
from dashboards.texts import Language, t
from geoapp.access.caller import caller_or_none
from geoapp.access.per_minute import PerMinute
from geoapp.access.refusals import REFUSALS
from geoapp.access.sessions import token_hash
from geoapp.access.throttle import network_of
from geoapp.errors import Refused
from geoapp.settings import settings

CALLBACK = "/signin/oidc/callback"
STATE_COOKIE = "geoapp_oidc"
FLOW_LASTS = timedelta(minutes=10)
# Signatures with the provider's published keys only: neither "none" nor a shared secret (HS256).
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
ANSWER_WITHIN_S = 6.0
METADATA_KEPT_S = 3600.0
LEEWAY_S = 60
# Of one network: each leaves a row or a record behind. An office behind one address that comes to work together is fewer.
STEPS_A_MINUTE = 60
_steps = PerMinute(STEPS_A_MINUTE)


class NotAccepted(Refused):
    """This sign-in at the provider does not count; `cause` is for the audit, never for the visitor."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


@dataclass(frozen=True)
class Flow:
    """One sign-in under way, as access.oidc_flow keeps it. next: a path of this site."""

    nonce: str
    code_verifier: str
    next: str


class Provider:
    """The configured provider: where it answers, and its keys, asked for once an hour. Thread-safe."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: KeySet | None = None

    def metadata(self) -> dict[str, Any]:
        """The discovery document (OpenID Connect Discovery 1.0 §4). Raises NotAccepted for one of another issuer, and
        httpx.HTTPError when the provider does not answer."""
        with self._guard:
            if self._metadata is not None and time.monotonic() - self._metadata[0] < METADATA_KEPT_S:
                return self._metadata[1]
            issuer = (settings().oidc_issuer or "").rstrip("/")
            found = _get_json(f"{issuer}/.well-known/openid-configuration")
            if str(found.get("issuer", "")).rstrip("/") != issuer:
                raise NotAccepted("the discovery document names another issuer")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _refuse_plain_http(str(found.get(name, "")))
            self._metadata, self._keys = (time.monotonic(), found), None
            return found

    def keys(self, *, anew: bool = False) -> KeySet:
        """The provider's public keys; anew: asked for again (it may have changed them)."""
        address = str(self.metadata()["jwks_uri"])
        with self._guard:
            if self._keys is None or anew:
                self._keys = KeySet.import_key_set(_get_json(address))  # type: ignore[arg-type]
            return self._keys

    def client(self, redirect_uri: str) -> OAuth2Client:
        """An OAuth 2.0 client of this installation."""
        secret = settings().oidc_client_secret
        methods = self.metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        how = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return OAuth2Client(
            settings().oidc_client_id,
            secret.get_secret_value() if secret else None,
            scope="openid",
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            token_endpoint_auth_method=how if secret else "none",
            timeout=ANSWER_WITHIN_S,
        )

    def subject(self, id_token: str, nonce: str, at: datetime) -> str:
        """The `sub` of an ID token whose signature, issuer, audience, times and nonce are right. Raises NotAccepted."""
        for anew in (False, True):
            try:
                token = jwt.decode(id_token, self.keys(anew=anew), algorithms=ALGORITHMS)
                break
            except (JoseError, ValueError, TypeError) as fault:
                if anew:
                    raise NotAccepted(f"the ID token's signature: {type(fault).__name__}") from None
        client_id = settings().oidc_client_id
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={
                "iss": {"essential": True, "value": self.metadata()["issuer"]},
                "aud": {"essential": True, "value": client_id},
            },
            params={"nonce": nonce, "client_id": client_id},
        )
        try:
            claims.validate(now=int(at.timestamp()), leeway=LEEWAY_S)
        except JoseError as fault:
            raise NotAccepted(
                f"the ID token's claims: {fault.error} {fault.description or ''}"[:200]
            ) from None
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise NotAccepted("the ID token's nonce")
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject:
            raise NotAccepted("the ID token's subject")
        return subject


def router(shared: SignIn) -> APIRouter:
    """`/signin/oidc` sends to the provider, `/signin/oidc/callback` takes who comes back; 404 where none is configured."""
    routes = APIRouter()
    provider = Provider()
    threads: list[CapacityLimiter] = []

    async def in_thread(asked: Asked, lang: Language, work: Callable[[], Response]) -> Response:
        """As for a password: so many of one place at a time and within a minute; who comes too often waits, nobody else."""
        place = network_of(asked.ip) or asked.client or ""
        wait = _steps.wait_s(place, time.monotonic())
        _steps.note(place, time.monotonic())
        with shared.places.place(f"oidc {place}") as free:
            if free and not wait:
                return await in_own_thread(work)
        REFUSALS.labels("sign_in_flood").inc()
        return PlainTextResponse(
            t("signin.busy", lang), 429, {"Retry-After": str(wait or 2), "Cache-Control": "no-store"}
        )

    async def in_own_thread(work: Callable[[], Response]) -> Response:
        # Threads of its own: a provider that does not answer keeps nobody from signing in by password.
        if not threads:
            threads.append(CapacityLimiter(THREADS))
        return await to_thread.run_sync(work, limiter=threads[0])

    @routes.get("/signin/oidc", include_in_schema=False)
    async def begin(request: Request) -> Response:
        asked, sent = Asked.of(request.scope), dict(request.query_params)

        def send_away() -> Response:
            at = datetime.now(UTC)
            to = with_language(safe_next(sent.get("next")), sent)
            state, flow = (
                secrets.token_urlsafe(32),
                Flow(secrets.token_urlsafe(32), secrets.token_urlsafe(48), to),
            )
            address, _ = provider.client(_redirect_uri(asked)).create_authorization_url(
                provider.metadata()["authorization_endpoint"],
                state=state,
                nonce=flow.nonce,
                code_verifier=flow.code_verifier,
            )
            with shared.pool.connection() as connection:
                connection.execute("DELETE FROM access.oidc_flow WHERE created_at < %s", (at - FLOW_LASTS,))
                connection.execute(
                    "INSERT INTO access.oidc_flow (state_hash, nonce, code_verifier, next, created_at) VALUES (%s, %s, %s, %s, %s)",
                    (token_hash(state), flow.nonce, flow.code_verifier, flow.next, at),
                )
            answer = RedirectResponse(
                address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
            )
            return with_cookies(answer, [_state_cookie(state, https=asked.https)])

        return await in_thread(
            asked, _language(sent), lambda: _guarded(send_away, shared, request, asked, sent)
        )

    @routes.get(CALLBACK, include_in_schema=False)
    async def come_back(request: Request) -> Response:
        asked, sent = Asked.of(request.scope), dict(request.query_params)

        def take() -> Response:
            at = datetime.now(UTC)
            flow = _used_flow(shared, asked, sent, at)
            if "error" in sent or "code" not in sent:
                raise NotAccepted(f"the provider said: {sent.get('error', 'nothing')}"[:100])
            if sent.get("iss", provider.metadata()["issuer"]) != provider.metadata()["issuer"]:
                raise NotAccepted("the answer names another issuer")
            with provider.client(_redirect_uri(asked)) as client:
                got = client.fetch_token(
                    provider.metadata()["token_endpoint"],
                    grant_type="authorization_code",
                    code=sent["code"],
                    code_verifier=flow.code_verifier,
                )
            subject = provider.subject(str(got.get("id_token", "")), flow.nonce, at)
            with shared.pool.connection() as connection:
                row = connection.execute(
                    "SELECT id FROM access.account WHERE oidc_subject = %s AND disabled_at IS NULL AND NOT is_demo",
                    (subject,),
                ).fetchone()
                if row is None:  # no account is made by itself: an admin links it
                    raise NotAccepted("no account is linked to this subject")
                token = open_recorded(connection, row["id"], "oidc", asked, at)
            shared.leave(caller_or_none(), at)
            answer = shared.let_in(asked, token, safe_next(flow.next))
            return with_cookies(answer, [_state_cookie("", https=asked.https)])

        return await in_thread(asked, _language(sent), lambda: _guarded(take, shared, request, asked, sent))

    return routes


def _language(sent: dict[str, str]) -> Language:
    return "en" if sent.get("lang") == "en" else "zh"


def _guarded(work: Any, shared: SignIn, request: Request, asked: Asked, sent: dict[str, str]) -> Response:
    """The answer of `work`; whatever goes wrong is one plain sentence for the visitor and the cause in the audit."""
    if not oidc_provider():
        return PlainTextResponse("Not Found", 404)
    lang = _language(sent)
    try:
        return work()
    except NotAccepted as refusal:
        cause = refusal.cause
    except OAuthError as fault:
        cause = f"the provider refused the code: {fault.error}"[:100]
    except (httpx.HTTPError, ValueError) as fault:
        cause = f"the provider did not answer as it should: {type(fault).__name__}"
    except (psycopg.OperationalError, PoolTimeout):
        return shared.page(request, sent, error=t("signin.away", lang), status=503)
    REFUSALS.labels("oidc").inc()
    try:
        with shared.pool.connection() as connection:
            connection.execute(
                "SELECT access.record('sign_in_refused', ok => false, detail => %s, ip => %s::inet, login => '?')",
                (Jsonb({"method": "oidc", "cause": cause}), asked.ip),
            )
    except (psycopg.Error, PoolTimeout):
        pass  # the refusal itself stands
    answer = shared.page(request, {"lang": lang}, error=t("signin.oidc_refused", lang), status=401)
    return with_cookies(answer, [_state_cookie("", https=asked.https)])


def _used_flow(shared: SignIn, asked: Asked, sent: dict[str, str], at: datetime) -> Flow:
    """The flow of this state, which is gone afterwards. Raises NotAccepted for one of another browser, used or lapsed."""
    state = sent.get("state", "")
    held = asked.cookie(_state_cookie_name(asked.https)) or ""
    if not state or not hmac.compare_digest(state.encode(), held.encode()):
        raise NotAccepted("the state is not this browser's")
    with shared.pool.connection() as connection:
        row = connection.execute(
            "DELETE FROM access.oidc_flow WHERE state_hash = %s RETURNING nonce, code_verifier, next, created_at",
            (token_hash(state),),
        ).fetchone()
    if row is None:
        raise NotAccepted("the state was used already, or never given out")
    if not timedelta(0) <= at - row["created_at"] <= FLOW_LASTS:
        raise NotAccepted("the state has lapsed")
    return Flow(row["nonce"], row["code_verifier"], row["next"])


def _redirect_uri(asked: Asked) -> str:
    """Where the provider sends the browser back to: this site, under the name it was asked for (the gate knows the names)."""
    return f"{'https' if asked.https else 'http'}://{asked.headers['host']}{CALLBACK}"


def _get_json(address: str) -> dict[str, Any]:
    _refuse_plain_http(address)
    answer = httpx.get(address, timeout=ANSWER_WITHIN_S, follow_redirects=False)
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise NotAccepted("the provider's answer is no JSON object")
    return found


def _refuse_plain_http(address: str) -> None:
    """Raises NotAccepted for an address without TLS that leaves this machine."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    try:
        here = ipaddress.ip_address(host).is_loopback
    except ValueError:
        here = host == "localhost"
    if parts.scheme != "https" and not (parts.scheme == "http" and here):
        raise NotAccepted("the provider's addresses have to be https")


def _state_cookie_name(https: bool) -> str:
    return f"__Host-{STATE_COOKIE}" if https else STATE_COOKIE


def _state_cookie(state: str, *, https: bool) -> str:
    # Lax, not Strict: it has to come along when the provider sends the browser back.
    age = int(FLOW_LASTS.total_seconds()) if state else 0
    return f"{_state_cookie_name(https)}={state}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{'; Secure' if https else ''}"
