"""The web application on a real server over a city of its own, and a browser to look at it."""

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from psycopg import sql
from screens import ARGUMENTS, CHROMIUM, Site, add_people, drawn

from dashboards import oidc
from geoapp.access import refusals
from geoapp.access.per_minute import PerMinute
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.settings import settings
from layers import honest_route


@pytest.fixture(autouse=True)
def a_minute_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test before has guessed, and how often it was refused, does not count for this one."""
    monkeypatch.setattr(honest_route, "_misses", PerMinute(honest_route.MISSES_A_MINUTE))
    monkeypatch.setattr(oidc, "_steps", PerMinute(oidc.STEPS_A_MINUTE))
    monkeypatch.setattr(refusals, "_said", {})


@pytest.fixture(scope="module")
def site(
    cluster: PrivateCluster, city_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """GeoApp over a clone of the small sample city, served on a free port."""
    from dashboards.app import create_app

    name = f"web_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(city_template)
            )
        )
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    patch.setenv("GEOAPP_HOME", str(home))
    patch.delenv("GEOAPP_BASEMAP_URL", raising=False)
    settings.cache_clear()
    with connect(cluster.url(name)) as owner:
        people = add_people(owner)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = uvicorn.Server(
        uvicorn.Config(create_app(cluster.url(name)), host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.started
    running = Site(f"http://127.0.0.1:{port}", cluster.url(name), home, name, cluster.url("postgres"), people)
    yield running
    running.close()
    server.should_exit = True
    thread.join(15)
    patch.undo()
    settings.cache_clear()
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, site: Site) -> Iterator[Callable[..., Any]]:
    """Opens a path in a fresh context, signed in as `login` (None: a stranger); at the end, no page may have asked another host or thrown an error."""
    contexts, outside, errors = [], [], []

    def open_it(
        path: str,
        width: int = 1440,
        height: int = 900,
        *,
        map_ready: bool = True,
        login: str | None = "committee",
    ) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height})
        if login is not None:
            site.sign_in(context, login)
        contexts.append(context)
        page = context.new_page()
        page.seen = []

        def asked(request: Any) -> None:
            page.seen.append(request.url)
            if not request.url.startswith((site.base, "data:", "blob:")):
                outside.append(request.url)

        page.on("request", asked)
        page.on("websocket", lambda s: outside.append(s.url) if site.base[7:] not in s.url else None)
        page.on("pageerror", lambda fault: errors.append(str(fault)))
        page.goto(site.base + path)
        if map_ready:
            drawn(page)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not outside, f"requests left the machine: {outside[:5]}"
    assert not errors, f"script errors: {errors[:3]}"
