"""Telling beside other work: `geoapp detect run` and `geoapp tell run` are alike in this."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from geoapp.access.redaction import redact
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.connections import Connections
from geoapp.watch.telling.deliver import Clock, Telling, utc_now

log = structlog.get_logger("tell")


@contextmanager
def running(
    url: str | Callable[[], str], config: TellingConfig, *, clock: Clock = utc_now
) -> Iterator[Telling]:
    """Tells in a thread of its own until the end of the `with`; what is on its way then is finished, some seconds at most.

    url: libpq URL of the watch's login, or a function that gives it, asked at each new connection. A database that is away
    is waited for. Its own thread: while the database does not answer, no tick of the watch waits behind this one.
    """
    connections, stop = Connections(url), threading.Event()
    telling = Telling(connections.connection, config, clock=clock)

    def work() -> None:
        while not stop.wait(config.tick_s):
            try:
                telling.tick()
            except Exception as fault:
                log.error("telling_failed", fault=redact(f"{type(fault).__name__}: {fault}")[:300])

    thread = threading.Thread(target=work, name="tell", daemon=True)
    thread.start()
    try:
        yield telling
    finally:
        stop.set()
        thread.join(config.total_s)
        telling.close()
        connections.close()
