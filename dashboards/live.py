"""The live stream: one listener of the outbox for all open maps, and a WebSocket for each of them."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from psycopg.rows import dict_row

from geoapp.database.connection import CONNECT_TIMEOUT_S
from geoapp.database.sql_files import read_sql

HEARTBEAT_S = 3.0
RETRY_S = 1.0
REPLAY_MAX = 500
# A reader that is this many messages behind is cut off; it comes back and replays by id.
QUEUE_MAX = 1000
WATCH_SILENT_AFTER = timedelta(minutes=3)

_log = structlog.get_logger("live")


@dataclass
class Stream:
    """Listens on `geoapp_live` and hands every outbox row to all subscribers, once and in order.

    `url` is a libpq URL. `last_id` is the newest outbox id handed out; `away_since` (UTC) is set while the database
    does not answer.
    """

    url: str
    last_id: int = 0
    away_since: datetime | None = None
    watch_silent_since: datetime | None = None
    watch_never: bool = False
    subscribers: set[asyncio.Queue[dict[str, Any] | None]] = field(default_factory=set)
    _floor: int = 0
    _recent: dict[int, None] = field(default_factory=dict)

    async def run(self) -> None:
        """Until cancelled: connects, catches up from `last_id`, listens; on any database error tells the maps and retries."""
        first = True
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self.url, autocommit=True, row_factory=dict_row, connect_timeout=CONNECT_TIMEOUT_S
                ) as connection:
                    await connection.execute("LISTEN geoapp_live")
                    if first:
                        row = await (
                            await connection.execute("SELECT coalesce(max(id), 0) AS id FROM watch.outbox")
                        ).fetchone()
                        self.last_id = self._floor = int(row["id"]) if row else 0
                        first = False
                    while True:
                        await self._catch_up(connection)
                        await self._beat(connection)
                        # Returns at the first notification; without one, after the heartbeat.
                        async for _ in connection.notifies(timeout=HEARTBEAT_S, stop_after=1):
                            pass
            except (psycopg.Error, OSError, TimeoutError) as fault:
                if self.away_since is None:
                    self.away_since = datetime.now(UTC)
                    _log.warning("database away", reason=str(fault).strip().splitlines()[:1])
                self._tell({"type": "away", "since": self.away_since.isoformat()})
                await asyncio.sleep(RETRY_S)

    async def _catch_up(self, connection: psycopg.AsyncConnection[dict[str, Any]]) -> None:
        # Ids are taken before commit, so a lower id may become visible after a higher one: look back over the recent ones.
        rows = await (
            await connection.execute(
                read_sql("screens/outbox_recent"),
                {"after": self.last_id, "floor": self._floor, "limit": REPLAY_MAX},
            )
        ).fetchall()
        for row in rows:
            if row["id"] in self._recent:
                continue
            self._recent[row["id"]] = None
            self._tell(event(row))
            self.last_id = max(self.last_id, row["id"])
        while len(self._recent) > 4 * REPLAY_MAX:
            self._recent.pop(next(iter(self._recent)))

    async def _beat(self, connection: psycopg.AsyncConnection[dict[str, Any]]) -> None:
        row = await (await connection.execute(read_sql("screens/watch_last_try"))).fetchone()
        now = datetime.now(UTC)
        last_try = row["last_try_at"] if row else None
        self.watch_silent_since = (
            last_try if last_try is not None and now - last_try > WATCH_SILENT_AFTER else None
        )
        self.watch_never = last_try is None
        self.away_since = None
        self._tell(self.beat(now))

    def beat(self, now: datetime) -> dict[str, Any]:
        """The heartbeat message: the database answered at `now` (UTC)."""
        silent = self.watch_silent_since
        return {
            "type": "beat",
            "now": now.isoformat(),
            "last_id": self.last_id,
            "watch_silent_since": silent.isoformat() if silent else None,
            "watch_never": self.watch_never,
        }

    def _tell(self, message: dict[str, Any]) -> None:
        for queue in list(self.subscribers):
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                self.subscribers.discard(queue)
                with contextlib.suppress(asyncio.QueueEmpty):
                    queue.get_nowait()
                queue.put_nowait(None)


def event(row: dict[str, Any], *, replayed: bool = False) -> dict[str, Any]:
    """The message for one outbox row."""
    return {
        "type": "event",
        "id": row["id"],
        "topic": row["topic"],
        "payload": row["payload"],
        "at": row["created_at"].isoformat(),
        "replayed": replayed,
    }


async def _missed(url: str, after: int) -> list[dict[str, Any]]:
    """Messages for what came after an outbox id; one of type reload where that is more than REPLAY_MAX rows."""
    async with await psycopg.AsyncConnection.connect(
        url, row_factory=dict_row, connect_timeout=CONNECT_TIMEOUT_S
    ) as connection:
        rows = await (
            await connection.execute(
                read_sql("screens/outbox_after"), {"after": after, "limit": REPLAY_MAX + 1}
            )
        ).fetchall()
    # A page that was away for long asks for the state itself: the oldest rows of the gap would leave it silently old.
    if len(rows) > REPLAY_MAX:
        return [{"type": "reload"}]
    return [event(row, replayed=True) for row in rows]


def router(stream: Stream) -> APIRouter:
    """`/live`: messages of type event, beat, away and reload, as JSON text; `?after=<outbox id>` replays what came later."""
    routes = APIRouter()

    @routes.websocket("/live")
    async def live(socket: WebSocket) -> None:
        origin, host = socket.headers.get("origin"), socket.headers.get("host")
        if origin and host and origin.split("://", 1)[-1] != host:
            await socket.close(code=1008)  # a page of another site may not read the stream
            return
        await socket.accept()
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(QUEUE_MAX)
        stream.subscribers.add(queue)
        closed = asyncio.create_task(_until_closed(socket))
        try:
            after = socket.query_params.get("after", "")
            if after.isdigit() and stream.away_since is None:
                with contextlib.suppress(psycopg.Error, OSError):
                    for message in await _missed(stream.url, int(after[:18])):
                        await socket.send_text(json.dumps(message, ensure_ascii=False))
            if stream.away_since is not None:
                await socket.send_text(json.dumps({"type": "away", "since": stream.away_since.isoformat()}))
            while True:
                pending = asyncio.create_task(queue.get())
                done, _ = await asyncio.wait({pending, closed}, return_when=asyncio.FIRST_COMPLETED)
                if pending not in done:
                    pending.cancel()
                    break
                told = pending.result()
                if told is None:
                    await socket.close(code=1013)
                    break
                await socket.send_text(json.dumps(told, ensure_ascii=False))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            stream.subscribers.discard(queue)
            closed.cancel()

    return routes


async def _until_closed(socket: WebSocket) -> None:
    """Ends when the browser goes; what it sends is not read."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await socket.receive_text()
