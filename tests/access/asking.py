"""Asking a web application as somebody: the gate's part in tests that are about what lies behind it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from psycopg_pool import ConnectionPool
from starlette.types import ASGIApp, Receive, Scope, Send

from geoapp.access.caller import Caller, Connection, calling
from geoapp.access.web_role import web_url
from geoapp.database.connection import open_pool
from geoapp.settings import settings

WHO = "x-test-caller"


class AsWhoever:
    """Sets the caller that a request's header `x-test-caller` names, of those given; without it the first, none for `nobody`."""

    def __init__(self, app: ASGIApp, *callers: Caller) -> None:
        self.app = app
        self.callers = {one.login: one for one in callers}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(WHO.encode())
        login = sent.decode() if sent else next(iter(self.callers))
        with calling(None if login == "nobody" else self.callers[login]):
            await self.app(scope, receive, send)


@contextmanager
def own_home(folder: Path) -> Iterator[None]:
    """Settings of an installation of its own (GEOAPP_HOME = folder) inside the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOAPP_HOME", str(folder))
        patch.delenv("GEOAPP_WEB_DATABASE_URL", raising=False)
        settings.cache_clear()
        yield
    settings.cache_clear()


@contextmanager
def web_pool(owner_url: str, folder: Path, *, size: int = 3) -> Iterator[ConnectionPool[Connection]]:
    """A pool of the web process's own login to the database at `owner_url`."""
    with own_home(folder):
        url = web_url(owner_url)
    with open_pool(url, size=size) as pool:
        yield pool
