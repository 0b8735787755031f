"""The live stream: one listener of the outbox for all open maps, a reader per scope, and a WebSocket for each map.

The listener connects as the web process and hears only that there is something new. What it is, is read once for each
distinct scope among the open maps, under the database role of one of its callers: row-level security decides what a map
is told, here as everywhere.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from psycopg.rows import dict_row
from psycopg_pool import PoolTimeout

from geoapp.access.caller import Caller, Pool, acting, caller_or_none
from geoapp.database.connection import CONNECT_TIMEOUT_S, open_pool
from geoapp.database.sql_files import read_sql

HEARTBEAT_S = 3.0
RETRY_S = 1.0
REPLAY_MAX = 500
# A reader that is this many messages behind is cut off; it comes back and replays by id.
QUEUE_MAX = 1000
# Windows and tabs of one signed-in browser.
SOCKETS_PER_SESSION = 10
# Scopes that are read at the same time; a pool of its own, so that an alarm never waits behind a map's slow question.
READERS = 3
WATCH_SILENT_AFTER = timedelta(minutes=3)
# Close codes: the session has ended (the page goes to the sign-in); too far behind (the page comes back).
SIGNED_OUT, TOO_SLOW, REFUSED = 4401, 1013, 1008

_AWAY = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, OSError, TimeoutError)
_log = structlog.get_logger("live")

Message = dict[str, Any]


class ScopeChanged(Exception):  # noqa: N818 - it is a finding, not a fault
    """The account that was read for has another area than its map was opened with."""


@dataclass(eq=False)
class Listener:
    """One open map: who looks at it, and what it is still to be told (a number = close with this code)."""

    caller: Caller
    queue: asyncio.Queue[Message | int] = field(default_factory=lambda: asyncio.Queue(QUEUE_MAX))

    @property
    def key(self) -> str:
        """The session or token that it lives by."""
        return self.caller.session_id or f"token:{self.caller.token_id}"

    def tell(self, message: Message | int) -> None:
        """Queues a message; a map that is too far behind, and one that is to be closed, gets the code and nothing else."""
        if isinstance(message, int) or self.queue.full():
            with contextlib.suppress(asyncio.QueueEmpty):
                while True:
                    self.queue.get_nowait()
            message = message if isinstance(message, int) else TOO_SLOW
        self.queue.put_nowait(message)


@dataclass(eq=False)
class Group:
    """The maps of one scope. `last_id`: all that this scope may see up to this outbox id has been told."""

    last_id: int
    floor: int
    listeners: set[Listener] = field(default_factory=set)
    told: dict[int, None] = field(default_factory=dict)

    def tell(self, message: Message) -> None:
        """To every map of the group."""
        for listener in list(self.listeners):
            listener.tell(message)

    def fresh(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows that were not told before; they count as told from now on."""
        found = [row for row in rows if row["id"] not in self.told]
        self.told.update((row["id"], None) for row in found)
        while len(self.told) > 4 * REPLAY_MAX:
            self.told.pop(next(iter(self.told)))
        return found


@dataclass
class Stream:
    """Listens on `geoapp_live` and hands every outbox row to the maps that may see it, once and in order.

    `url` is the web process's libpq URL. `last_id` is the newest outbox id of the whole district; `away_since` (UTC) is
    set while the database does not answer.
    """

    url: str
    last_id: int = 0
    away_since: datetime | None = None
    watch_silent_since: datetime | None = None
    watch_never: bool = False
    groups: dict[str, Group] = field(default_factory=dict)
    pool: Pool = field(init=False)
    _floor: int = 0
    _looked_at: float = float("-inf")

    def __post_init__(self) -> None:
        self.pool = open_pool(self.url, size=READERS, name="live")

    @property
    def open_maps(self) -> int:
        """How many maps listen."""
        return sum(len(group.listeners) for group in self.groups.values())

    async def run(self) -> None:
        """Until cancelled: connects, catches up from `last_id`, listens; on any database error tells the maps and retries."""
        first = True
        try:
            while True:
                try:
                    async with await psycopg.AsyncConnection.connect(
                        self.url, autocommit=True, row_factory=dict_row, connect_timeout=CONNECT_TIMEOUT_S
                    ) as connection:
                        await connection.execute("LISTEN geoapp_live")
                        news = True
                        while True:
                            pulse = await (await connection.execute("SELECT * FROM watch.pulse()")).fetchone()
                            assert pulse is not None
                            if first:
                                self.last_id = self._floor = pulse["last_id"]
                                first = False
                            await self._round(pulse, news=news)
                            # Returns at the first notification; without one, after the heartbeat.
                            news = False
                            async for _ in connection.notifies(timeout=HEARTBEAT_S, stop_after=1):
                                news = True
                            async for _ in connection.notifies(timeout=0):
                                pass  # one round answers all that came at once
                except (psycopg.Error, OSError, TimeoutError, PoolTimeout) as fault:
                    if self.away_since is None:
                        self.away_since = datetime.now(UTC)
                        _log.warning("database away", reason=str(fault).strip().splitlines()[:1])
                    for group in list(self.groups.values()):
                        group.tell({"type": "away", "since": self.away_since.isoformat()})
                    await asyncio.sleep(RETRY_S)
        finally:
            self.pool.close(timeout=1)

    async def _round(self, pulse: dict[str, Any], *, news: bool) -> None:
        """Once a notification or heartbeat: who still listens, what is new for each scope, the beat."""
        clock = asyncio.get_running_loop().time()
        if news or pulse["last_id"] != self.last_id or clock - self._looked_at >= HEARTBEAT_S:
            await self._look_at_sessions()
            self._looked_at = clock
        behind = [g for g in self.groups.values() if news or g.last_id < pulse["last_id"]]
        at_once = asyncio.Semaphore(READERS)

        async def one(group: Group) -> None:
            async with at_once:
                await self._catch_up(group, pulse["last_id"])

        await asyncio.gather(*(one(group) for group in behind))
        self.last_id = max(self.last_id, pulse["last_id"])
        now = datetime.now(UTC)
        last_try = pulse["last_try_at"]
        silent = last_try is not None and now - last_try > WATCH_SILENT_AFTER
        self.watch_silent_since = last_try if silent else None
        self.watch_never = last_try is None
        self.away_since = None
        for group in list(self.groups.values()):
            group.tell(self.beat(now, group.last_id))

    async def _catch_up(self, group: Group, newest: int) -> None:
        """Tells one group what its scope may see up to the outbox id `newest` and beyond."""
        while group.listeners:
            caller = next(iter(group.listeners)).caller
            try:
                rows = await asyncio.to_thread(self._rows, caller, group.last_id, group.floor)
            except _AWAY:
                raise
            except (psycopg.Error, ScopeChanged) as fault:
                # The account was changed or disabled just now: the next look at the sessions sorts its maps anew.
                _log.info("scope not read", reason=type(fault).__name__)
                self._looked_at = float("-inf")
                return
            for row in group.fresh(rows):
                group.tell(event(row))
            full = len(rows) == REPLAY_MAX
            group.last_id = max(group.last_id, rows[-1]["id"] if full else newest, *(r["id"] for r in rows))
            if not full:
                return

    def _rows(self, caller: Caller, after: int, floor: int) -> list[dict[str, Any]]:
        """Outbox rows after an id that the caller may see, with the late ones above `floor`; in one snapshot with its scope."""
        with acting(self.pool, caller) as connection:
            rows = connection.execute(
                read_sql("screens/outbox_recent").encode(),
                {"after": after, "floor": floor, "limit": REPLAY_MAX},
            ).fetchall()
        held = (sorted(caller.roles), caller.scope, caller.areas, caller.sites)
        if not rows or held != (
            sorted(rows[0]["roles"]),
            rows[0]["scope"],
            tuple(rows[0]["areas"]),
            tuple(rows[0]["sites"]),
        ):
            raise ScopeChanged
        return [row for row in rows if row["id"] is not None]

    async def _look_at_sessions(self) -> None:
        """Closes the maps whose session has ended, and moves those whose account has another area now."""
        listeners = [one for group in self.groups.values() for one in group.listeners]
        if not listeners:
            return
        found = await asyncio.to_thread(self._callers, listeners)
        for listener in listeners:
            group = self.groups.get(listener.caller.scope_key)
            if group is None or listener not in group.listeners:
                continue  # it went while we looked: nobody would ever take it out again
            caller = found.get(listener.key)
            if caller is None:
                self.leave(listener)
                listener.tell(SIGNED_OUT)
            elif caller.scope_key != listener.caller.scope_key:
                self.leave(listener)
                listener.caller = caller
                self._place(listener)
                listener.tell({"type": "reload"})

    def _callers(self, listeners: list[Listener]) -> dict[str, Caller]:
        asked = {
            "sessions": [one.caller.session_id for one in listeners if one.caller.session_id],
            "tokens": [one.caller.token_id for one in listeners if one.caller.token_id is not None],
            "at": datetime.now(UTC),
        }
        with self.pool.connection() as connection:
            rows = connection.execute(read_sql("screens/live_callers").encode(), asked).fetchall()
        return {row["stream_key"]: Caller.from_row(row) for row in rows}

    # -- the maps --------------------------------------------------------------------------------------------

    def has_room(self, listener: Listener) -> bool:
        """Whether the session or token may open one more."""
        open_now = sum(
            1 for group in self.groups.values() for one in group.listeners if one.key == listener.key
        )
        return open_now < SOCKETS_PER_SESSION

    async def join(self, listener: Listener) -> None:
        """Adds a map: it is told what is committed from now on."""
        if listener.caller.scope_key not in self.groups and self.away_since is None:
            # What is there already is not news, but what is written now with a lower id will be.
            with contextlib.suppress(psycopg.Error, OSError, PoolTimeout, ScopeChanged):
                rows = await asyncio.to_thread(self._rows, listener.caller, self.last_id, self._floor)
                if listener.caller.scope_key not in self.groups:
                    group = Group(self.last_id, self._floor)
                    group.fresh(rows)
                    self.groups[listener.caller.scope_key] = group
        self._place(listener)

    def _place(self, listener: Listener) -> None:
        key = listener.caller.scope_key
        self.groups.setdefault(key, Group(self.last_id, self.last_id)).listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Takes a map out; a scope that nobody looks at is not read any more."""
        for key, group in list(self.groups.items()):
            group.listeners.discard(listener)
            if not group.listeners:
                del self.groups[key]

    async def missed(self, caller: Caller, after: int) -> list[Message]:
        """Messages for what the caller may see after an outbox id; one of type reload where that is over REPLAY_MAX rows."""

        def read() -> list[dict[str, Any]]:
            with acting(self.pool, caller) as connection:
                return connection.execute(
                    read_sql("screens/outbox_after").encode(), {"after": after, "limit": REPLAY_MAX + 1}
                ).fetchall()

        rows = await asyncio.to_thread(read)
        # A page that was away for long asks for the state itself: the oldest rows of the gap would leave it silently old.
        if len(rows) > REPLAY_MAX:
            return [{"type": "reload"}]
        return [event(row, replayed=True) for row in rows]

    def beat(self, now: datetime, last_id: int) -> Message:
        """The heartbeat message: the database answered at `now` (UTC), and all up to `last_id` has been told."""
        silent = self.watch_silent_since
        return {
            "type": "beat",
            "now": now.isoformat(),
            "last_id": last_id,
            "watch_silent_since": silent.isoformat() if silent else None,
            "watch_never": self.watch_never,
        }


def event(row: dict[str, Any], *, replayed: bool = False) -> Message:
    """The message for one outbox row."""
    return {
        "type": "event",
        "id": row["id"],
        "topic": row["topic"],
        "payload": row["payload"],
        "at": row["created_at"].isoformat(),
        "replayed": replayed,
    }


def is_own_page(socket: WebSocket, caller: Caller) -> bool:
    """Whether a page of this host asks; browsers always say which. A program with a token has no page."""
    if caller.token_id is not None:
        return True
    try:
        return urlsplit(socket.headers.get("origin", "")).netloc == socket.headers.get("host", "-")
    except ValueError:
        return False


def router(stream: Stream) -> APIRouter:
    """`/live`: messages of type event, beat, away and reload, as JSON text; `?after=<outbox id>` replays what came later.

    Closed with 4401 when the session ends or there is none.
    """
    routes = APIRouter()

    @routes.websocket("/live")
    async def live(socket: WebSocket) -> None:
        caller = caller_or_none()
        if caller is None:
            await socket.accept()  # only an open socket can be closed with a code that the page understands
            await socket.close(code=SIGNED_OUT)
            return
        listener = Listener(caller)
        if not is_own_page(socket, caller) or not stream.has_room(listener):
            await socket.close(code=REFUSED)
            return
        await socket.accept()
        closed = asyncio.create_task(_until_closed(socket))
        try:
            await stream.join(listener)
            after = socket.query_params.get("after", "")
            if after.isascii() and after.isdigit() and stream.away_since is None:
                with contextlib.suppress(psycopg.Error, OSError, PoolTimeout):
                    for message in await stream.missed(caller, int(after[:18])):
                        await socket.send_text(json.dumps(message, ensure_ascii=False))
            if stream.away_since is not None:
                await socket.send_text(json.dumps({"type": "away", "since": stream.away_since.isoformat()}))
            await _tell_all(socket, listener, closed)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            stream.leave(listener)
            closed.cancel()

    return routes


async def _tell_all(socket: WebSocket, listener: Listener, closed: asyncio.Task[None]) -> None:
    """Sends what the listener is told until the browser goes or the stream closes it."""
    while True:
        pending = asyncio.create_task(listener.queue.get())
        done, _ = await asyncio.wait({pending, closed}, return_when=asyncio.FIRST_COMPLETED)
        if pending not in done:
            pending.cancel()
            return
        told = pending.result()
        if isinstance(told, int):
            await socket.close(code=told)
            return
        await socket.send_text(json.dumps(told, ensure_ascii=False))


async def _until_closed(socket: WebSocket) -> None:
    """Ends when the browser goes; what it sends is not read."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
