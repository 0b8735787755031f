"""Answers to a camera that asks who looks: Basic (RFC 7617) and Digest (RFC 7616)."""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import quote

import httpx

from detection.types import Credentials

__all__ = ["ChallengeAuth", "filled_in", "has_places"]

_USERNAME, _PASSWORD = "{username}", "{password}"


class ChallengeAuth:
    """The account of one camera, and what it was asked for last time, so that the next look needs one request only.

    Digest is answered where it is offered; Basic, which sends the password itself, where nothing else is.
    """

    def __init__(self, credentials: Credentials) -> None:
        account = credentials.username.get_secret_value(), credentials.password.get_secret_value()
        self._digest = httpx.DigestAuth(*account)
        self._basic = httpx.BasicAuth(*account)
        self._is_basic = False

    def flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Requests to send, one after the other; each is given its response (the body unread)."""
        if self._is_basic:
            response = yield next(self._basic.auth_flow(request))
            self._is_basic = response.status_code != httpx.codes.UNAUTHORIZED
            return
        digest = self._digest.auth_flow(request)
        response = yield next(digest)
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        offered = {
            challenge.partition(" ")[0].lower() for challenge in response.headers.get_list("www-authenticate")
        }
        if "digest" in offered:
            try:
                answer = digest.send(response)
            except (StopIteration, KeyError, NotImplementedError, httpx.ProtocolError):
                return  # an algorithm that nobody here knows, or a challenge that is none
            yield answer
        elif "basic" in offered:
            self._is_basic = True
            yield next(self._basic.auth_flow(request))


def has_places(url: str) -> bool:
    """Whether an address itself carries the account: {username} or {password} stand in it."""
    return _USERNAME in url or _PASSWORD in url


def filled_in(url: str, credentials: Credentials) -> str:
    """The address with the account in its places: for one request, never for a log."""
    for place, secret in ((_USERNAME, credentials.username), (_PASSWORD, credentials.password)):
        url = url.replace(place, quote(secret.get_secret_value(), safe=""))
    return url
