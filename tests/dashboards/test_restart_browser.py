"""A map that is open while the server stops and comes back: it goes on, or to the sign-in where the session has ended."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from screens import Site, drawn, until

from geoapp.access.sessions import COOKIE, token_hash


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(site: Site, port: int) -> Iterator[None]:
    """One more web process over the site's database, inside the block only."""
    from dashboards.app import create_app

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(site.url),
            host="127.0.0.1",
            port=port,
            log_level="critical",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.started
    yield
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def signed_in(browser: Any, site: Site) -> Iterator[Callable[[int], Any]]:
    """Opens the map of the server at a port, as a duty officer."""
    contexts = []

    def open_it(port: int) -> Any:
        context = browser.new_context(viewport={"width": 1200, "height": 800})
        contexts.append(context)
        site.sign_in(context, "duty_officer")  # a cookie is the host's, whatever the port
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{port}/?lens=duty")
        drawn(page)
        until(page, "geoapp.live.lastGood !== null")
        return page

    yield open_it
    for context in contexts:
        context.close()


def test_after_a_restart_the_map_goes_on(site: Site, port: int, signed_in: Callable[[int], Any]) -> None:
    with served(site, port):
        page = signed_in(port)
        page.evaluate("window.sameMap = true")
    until(page, "!document.getElementById('stale-banner').hidden", 20)
    assert "/signin" not in page.url, "a server that is away says nothing of the session"
    with served(site, port):
        until(page, "document.getElementById('live-pill').dataset.state === 'fresh'", 30)
        assert page.evaluate("document.getElementById('stale-banner').hidden && window.sameMap")


@pytest.mark.long
def test_after_a_restart_a_map_whose_session_has_ended_goes_to_the_sign_in(
    site: Site, port: int, signed_in: Callable[[int], Any]
) -> None:
    """The handshake is refused before there is a socket that could be closed with a reason."""
    with served(site, port):
        page = signed_in(port)
    cookie = next(c["value"] for c in page.context.cookies() if c["name"] == COOKIE)
    with site.connect() as connection:
        connection.execute(
            "UPDATE access.session SET ended_at = now(), ended_why = 'signed_out' WHERE token_hash = %s",
            (token_hash(cookie),),
        )
    with served(site, port):
        page.wait_for_url("**/signin?*", timeout=30_000)
        assert "lens%3Dduty" in page.url
