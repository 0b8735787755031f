"""What the gate reads of a request: who asks, from where, under which name; its cookies, its form, its body."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from anyio import fail_after
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from geoapp.access.sessions import COOKIE, CSRF_COOKIE, csrf_of
from geoapp.access.throttle import plain_ip
from geoapp.errors import Refused
from geoapp.settings import settings

BODY_WITHIN_S = 20.0
# A browser of this site sends less than 4 KB of them; a stranger's million of cookies is not even read.
HEADERS_MAX = 32_768
PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "cf-connecting-ip"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
TOO_LARGE = "请求过大 / the request is too large."


class TooLarge(Refused):
    """The body is longer than this path takes."""


@dataclass(frozen=True)
class Asked:
    """What the gate reads of a request. Header names in lower case; cookies in the order in which they were sent."""

    path: str
    query: str
    method: str
    scheme: str
    client: str | None
    headers: dict[str, str]
    cookies: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, scope: Scope) -> "Asked":
        """From an ASGI scope of type http or websocket."""
        headers: dict[str, str] = {}
        cookies: list[tuple[str, str]] = []
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            if name == "cookie":
                for part in value.split(";"):
                    key, _, held = part.strip().partition("=")
                    cookies.append((key, held))
            else:
                headers.setdefault(name, value)
        return cls(
            path=scope["path"],
            query=scope.get("query_string", b"").decode("latin-1"),
            method=scope.get("method", "GET"),
            scheme=scope.get("scheme", "http"),
            client=scope["client"][0] if scope.get("client") else None,
            headers=headers,
            cookies=tuple(cookies),
        )

    @property
    def https(self) -> bool:
        """Whether the browser came over TLS (as the server or a trusted proxy says)."""
        return self.scheme in ("https", "wss")

    def cookie(self, name: str) -> str | None:
        """The first cookie of this name."""
        return next((value for key, value in self.cookies if key == name), None)

    @property
    def session(self) -> str | None:
        """The session cookie that holds for this scheme."""
        return self.cookie(session_cookie_name(self.https))

    @property
    def ip(self) -> str | None:
        """The client's address where it is one (a test's client has a name)."""
        return plain_ip(self.client)

    @property
    def by_itself(self) -> bool:
        """Whether the page asks without anybody having touched it: a timer, the live stream, a picture that it shows.

        Asset 05_signed_in.js says so. Nobody gains by saying it wrongly: it can only end a session sooner.
        """
        return self.headers.get("x-by-itself") == "1" or self.headers.get("sec-fetch-dest") == "image"

    @property
    def wants_page(self) -> bool:
        """Whether a person's browser asks for a page."""
        return (
            self.method in ("GET", "HEAD")
            and "text/html" in self.headers.get("accept", "")
            and not self.path.startswith("/_dash")
        )

    @property
    def from_this_machine(self) -> bool:
        """A loopback client that no proxy stands before, asking for a loopback name (which no foreign page can do)."""
        forwarded = any(name in PROXY_HEADERS or name.startswith("x-forwarded-") for name in self.headers)
        return (
            self.ip is not None
            and ipaddress.ip_address(self.ip).is_loopback
            and not forwarded
            and host_name(self.headers.get("host", "")) in LOOPBACK_NAMES
        )

    @property
    def from_this_site(self) -> bool:
        """What the browser says of the page that asks: the same origin, or nothing at all."""
        if self.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        # Without TLS a browser does not say Sec-Fetch-Site; then what it says of the page that it comes from counts.
        said = [self.headers[name] for name in ("origin", "referer") if name in self.headers]
        try:
            return all(urlsplit(page).netloc == self.headers.get("host", "") for page in said)
        except ValueError:
            return False


def too_many_headers(scope: Scope) -> bool:
    """Whether the names and values of all headers together are longer than HEADERS_MAX bytes."""
    return sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX


def host_name(host: str) -> str:
    """The name of a Host header in lower case, without the port and the brackets of IPv6."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def allowed_hosts(listening_on: str, configured: str) -> frozenset[str] | None:
    """Host names that are answered; None = any.

    configured: GEOAPP_ALLOWED_HOSTS, separated by commas. Without it: loopback names and the address listened on; all
    names where that is every address of the machine, since nobody can say under which names it is known.
    """
    named = {
        host_name(part.strip()) or part.strip().lower() for part in configured.split(",") if part.strip()
    }
    if "*" in named:
        return None
    if named:
        return frozenset(named | LOOPBACK_NAMES)
    if listening_on in ("0.0.0.0", "::", ""):
        return None
    return LOOPBACK_NAMES | {listening_on.lower()}


def gate_hosts(listening_on: str | None = None) -> frozenset[str] | None:
    """Host names of this installation's settings; `listening_on` where the server was told another address."""
    configured: Any = settings()
    return allowed_hosts(listening_on or configured.host, configured.allowed_hosts)


def session_cookie_name(https: bool) -> str:
    """`__Host-` over TLS: such a cookie cannot be set by another host or over plain HTTP."""
    return f"__Host-{COOKIE}" if https else COOKIE


def signed_in_cookies(token: str, *, https: bool) -> list[str]:
    """Set-Cookie values of a new session: the secret for the server alone, the CSRF token for the page's script."""
    secure = "; Secure" if https else ""
    return [
        f"{session_cookie_name(https)}={token}; Path=/; HttpOnly; SameSite=Lax{secure}",
        csrf_cookie(token, https=https),
    ]


def csrf_cookie(token: str, *, https: bool) -> str:
    """Set-Cookie value of the CSRF token, which Dash's script sends back as a header."""
    return f"{CSRF_COOKIE}={csrf_of(token)}; Path=/; SameSite=Lax{'; Secure' if https else ''}"


def cleared_cookies(*, https: bool) -> list[str]:
    """Set-Cookie values that take a session out of the browser."""
    secure = "; Secure" if https else ""
    return [
        f"{session_cookie_name(https)}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}",
        f"{CSRF_COOKIE}=; Path=/; Max-Age=0; SameSite=Lax{secure}",
    ]


def with_cookies(answer: Response, cookies: Iterable[str]) -> Response:
    """The answer with Set-Cookie headers added."""
    for cookie in cookies:
        answer.headers.append("set-cookie", cookie)
    return answer


def form_fields(asked: Asked, body: bytes) -> dict[str, str]:
    """First values of a posted form (application/x-www-form-urlencoded, UTF-8); {} for anything else."""
    if not asked.headers.get("content-type", "").lower().startswith("application/x-www-form-urlencoded"):
        return {}
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=200, errors="strict")
    except (UnicodeDecodeError, ValueError):
        return {}
    return {name: values[0] for name, values in found.items()}


async def whole_body(asked: Asked, receive: Receive, most: int) -> tuple[Receive, bytes]:
    """The body, at most `most` bytes, and a `receive` that gives it again. Raises TooLarge."""
    declared = asked.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared[:12]) > most:
        raise TooLarge(TOO_LARGE)
    parts, length, ended = [], 0, False
    with fail_after(BODY_WITHIN_S):
        while not ended:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            part = message.get("body", b"")
            length += len(part)
            if length > most:
                raise TooLarge(TOO_LARGE)
            parts.append(part)
            ended = not message.get("more_body", False)
    body = b"".join(parts)
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again, body
