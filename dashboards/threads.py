"""Panels are made in threads: Dash's FastAPI backend runs a plain callback on the event loop, where one slow question to
the database would keep every other request, the live stream and the gate waiting."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from dash import Dash

# Panels that are made at the same time; some of them wait for an answer that another is asking for (Board.shared).
THREADS = 24

_limiter: RunVar[CapacityLimiter] = RunVar("geoapp_panels")


class ThreadedDash(Dash):
    """Dash whose callbacks run in threads of their own, so that no page can forget to."""

    def callback(self, *asked: Any, **options: Any) -> Callable[..., Any]:
        """As Dash.callback; the function that it is put on may wait for the database."""
        register = super().callback(*asked, **options)
        return lambda panel: register(in_thread(panel))

    def _config(self) -> dict[str, Any]:
        """What the page is told. Not of Dash's own socket: the gate refuses it, and each page would ask again and again."""
        told: dict[str, Any] = super()._config()
        told.pop("websocket", None)
        return told


def in_thread(panel: Callable[..., Any]) -> Callable[..., Any]:
    """The panel as a coroutine function that runs it in a thread, in the context of the request: its caller
    (geoapp.access.caller) and Dash's own are known there, and what it raises is raised. A coroutine function stays as it is.
    """
    if inspect.iscoroutinefunction(panel):
        return panel

    @functools.wraps(panel)
    async def made(*values: Any, **named: Any) -> Any:
        return await to_thread.run_sync(functools.partial(panel, *values, **named), limiter=_threads())

    return made


def _threads() -> CapacityLimiter:
    # Not the web server's own threads: panels that wait for the database leave those to tiles and evidence.
    try:
        return _limiter.get()
    except LookupError:
        limiter = CapacityLimiter(THREADS)
        _limiter.set(limiter)
        return limiter
