"""Delivery: who is to be told of what, told, with any number of processes side by side.

A process holds a receiver for a while (a lease with a token, as cameras have), so that one receiver's messages go in order
and at its pace, and a dead receiver holds up nobody else. What a message tells of is written before it is sent and what
came of it after: a process that is killed in between sends it again, with the same key.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import traceback
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from geoapp.access.redaction import redact
from geoapp.access.sealing import secrets_of
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.watch.telling.answer import Answer, Outcome, later, refused
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.connections import DATABASE_FAULTS, Connection
from geoapp.watch.telling.message import Change, Message
from geoapp.watch.telling.receiver import SEALED_AS, SECRETS, Receiver
from geoapp.watch.telling.rules import Hold, Send, Waiting, pause_s, refill_per_s, steps, tokens_at
from geoapp.watch.telling.senders import SENDERS

log = structlog.get_logger("tell")

Connect = Callable[[], AbstractContextManager[Connection]]
"""Lends an autocommit connection with dict rows, as Connections.connection does."""
Clock = Callable[[], datetime]
DEFAULT_ZONE = "Asia/Shanghai"
STATES = {Outcome.DELIVERED: "delivered", Outcome.LATER: "waiting", Outcome.REFUSED: "refused"}


@lru_cache(maxsize=32)
def statement(name: str) -> bytes:
    """A statement of sql/watch/."""
    return read_sql(f"watch/{name}").encode()


def utc_now() -> datetime:
    """The clock of a running process; tests bring their own."""
    return datetime.now(UTC)


class Telling:
    """One process's part in telling. `tick` plans and begins; the sending is done in threads, one for each receiver."""

    def __init__(
        self,
        connect: Connect,
        config: TellingConfig | None = None,
        *,
        clock: Clock = utc_now,
        chance: random.Random | None = None,
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self._connect = connect
        self._config = config or TellingConfig()
        self._clock = clock
        self._chance = chance or random.Random()
        self._pool = ThreadPoolExecutor(self._config.most_receivers, "tell")
        self._lock = threading.Lock()
        self._busy: set[Future[None]] = set()
        self._stopping = threading.Event()
        self._is_away = False
        self._figures = dict.fromkeys(("planned", "delivered", "later", "refused", "given_up", "held"), 0)

    def tick(self) -> dict[str, int]:
        """Plans what is new, gives up what is too old, and begins to serve receivers that have something due.

        Returns at once, with the figures since the process began. Raises nothing while the database is away.
        """
        try:
            with self._connect() as connection:
                self._plan(connection)
                held = self._claim(connection)
        except DATABASE_FAULTS as fault:
            if not self._is_away:
                log.warning("telling_without_database", fault=type(fault).__name__)
            self._is_away = True
            return self.figures()
        self._is_away = False
        for row in held:
            future = self._pool.submit(self._serve, row)
            with self._lock:
                self._busy.add(future)
            future.add_done_callback(self._ended)
        return self.figures()

    def figures(self) -> dict[str, int]:
        """How many since the process began: planned changes, and messages by outcome."""
        with self._lock:
            return dict(self._figures)

    def settle(self, limit_s: float | None = None) -> bool:
        """Waits until no receiver is being served; whether that came within limit_s seconds."""
        with self._lock:
            busy = set(self._busy)
        return not wait(busy, limit_s).not_done

    def close(self, limit_s: float = 12.0) -> None:
        """Ends: what is being sent is sent and recorded, limit_s seconds at most; the rest waits for another process."""
        self._stopping.set()
        self.settle(limit_s)
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- planning -----------------------------------------------------------------------------------------------

    def _plan(self, connection: Connection) -> None:
        at, most = self._clock(), self._config.most_planned
        planned = most
        while planned >= most and not self._stopping.is_set():
            row = connection.execute(statement("delivery_planned"), {"at": at, "most": most}).fetchone()
            planned = 0 if row is None else int(row["planned"])
            self._count("planned", planned)
        for row in connection.execute(statement("delivery_given_up"), {"at": at}).fetchall():
            self._count("given_up", 1)
            log.error("told_nobody", receiver=row["name"], delivery=row["id"], attempts=row["attempts"])

    def _claim(self, connection: Connection) -> list[dict[str, Any]]:
        with self._lock:
            room = self._config.most_receivers - len(self._busy)
        if room <= 0 or self._stopping.is_set():
            return []
        return connection.execute(
            statement("delivery_receivers"),
            {"owner": self.owner, "at": self._clock(), "lease_s": self._config.lease_s, "most": room},
        ).fetchall()

    # -- one receiver -------------------------------------------------------------------------------------------

    def _serve(self, row: dict[str, Any]) -> None:
        try:
            with self._connect() as connection:
                self._tell(connection, row)
        except DATABASE_FAULTS as fault:
            # Nothing was recorded: the lease ends by itself, and the message is sent again with its key.
            log.warning("telling_without_database", receiver=row["name"], fault=type(fault).__name__)
        except Exception as fault:
            log.error(
                "telling_failed", receiver=row["name"], fault=redact(f"{type(fault).__name__}: {fault}")[:300]
            )

    def _tell(self, connection: Connection, row: dict[str, Any]) -> None:
        """Tells a receiver what is due, until it fails, its pace is reached, or nothing is left; then gives it back."""
        until = self._clock()
        try:
            secrets = secrets_of(connection, SEALED_AS, str(row["id"]), SECRETS[row["kind"]])
        except Refused as refusal:
            until += timedelta(seconds=self._config.pause_most_s)
            log.error("receiver_secret_unreadable", receiver=row["name"], why=str(refusal).splitlines()[0])
        else:
            receiver = Receiver.of(row, secrets)
            zone = _zone(connection)
            for step in self._steps(connection, receiver, zone):
                if self._stopping.is_set():
                    break
                if isinstance(step, Hold):
                    self._hold(connection, receiver, step)
                    continue
                tokens = tokens_at(receiver, self._clock())
                if tokens < 1:
                    until = self._clock() + timedelta(seconds=(1 - tokens) / refill_per_s(receiver))
                    break
                receiver = replace(receiver, tokens=tokens - 1, tokens_at=self._clock())
                if not self._send(connection, receiver, step, zone):
                    break
        connection.execute(
            statement("delivery_released"),
            {"receiver_id": row["id"], "lease_token": row["lease_token"], "until": until},
        )

    def _steps(self, connection: Connection, receiver: Receiver, zone: ZoneInfo) -> Iterable[Send | Hold]:
        at = self._clock()
        rows = connection.execute(
            statement("delivery_waiting"),
            {"receiver_id": receiver.id, "at": at, "most": self._config.most_subjects},
        ).fetchall()
        for _, group in groupby(rows, key=lambda row: row["subject"]):
            held = list(group)
            yield from steps([Waiting.of(row) for row in held], held[0]["told_at"], receiver, at, zone)

    def _hold(self, connection: Connection, receiver: Receiver, hold: Hold) -> None:
        self._count("held", len(hold.ids))
        connection.execute(
            statement("delivery_held"),
            {
                "receiver_id": receiver.id,
                "lease_token": receiver.lease_token,
                "ids": list(hold.ids),
                "until": hold.until,
                "waits_for": hold.waits_for,
            },
        )

    def _send(self, connection: Connection, receiver: Receiver, send: Send, zone: ZoneInfo) -> bool:
        """Sends one message and records what came of it; whether the receiver may be sent the next."""
        at = self._clock()
        begun = connection.execute(
            statement("delivery_begun"),
            {
                "receiver_id": receiver.id,
                "lease_token": receiver.lease_token,
                "lease_s": self._config.lease_s,
                "id": send.id,
                "joined": list(send.joined),
                "tokens": receiver.tokens,
                "at": at,
            },
        ).fetchone()
        if begun is None:
            return False  # another process has it now
        try:
            message = self._message(connection, receiver, begun, at, zone)
            if message.topic == "incident" and message.incident is None:
                answer = refused("the incident is no longer on record; nothing was sent")
            else:
                answer = SENDERS[receiver.kind](receiver, message, config=self._config, at=at)
        except DATABASE_FAULTS:
            raise
        except Exception as fault:
            # A message that cannot be made or sent for a fault of ours is tried again later, and holds up no other.
            trace = receiver.without_secrets("".join(traceback.format_exception(fault)))
            log.error(
                "message_failed", receiver=receiver.name, delivery=begun["id"], trace=redact(trace)[-2000:]
            )
            answer = later(f"a fault of GeoApp's own ({type(fault).__name__})")
        return self._record(connection, receiver, begun, answer)

    def _message(
        self, connection: Connection, receiver: Receiver, begun: dict[str, Any], at: datetime, zone: ZoneInfo
    ) -> Message:
        changes = connection.execute(statement("delivery_changes"), {"id": begun["id"]}).fetchall()
        incident, link = None, None
        if begun["incident_id"] is not None:
            found = connection.execute(
                "SELECT watch.told_incident(%s, %s) AS told", (begun["incident_id"], at)
            ).fetchone()
            incident = None if found is None else found["told"]
            link = review_link(self._config.public_url, begun["incident_id"])
        return Message(
            key=begun["message_key"],
            receiver=receiver.name,
            topic=begun["topic"],
            changes=tuple(Change.of(row) for row in changes),
            incident=incident,
            made_at=at,
            zone=zone,
            link=link,
        )

    def _record(
        self, connection: Connection, receiver: Receiver, begun: dict[str, Any], answer: Answer
    ) -> bool:
        at, config = self._clock(), self._config
        is_later = answer.outcome is Outcome.LATER
        asked_s = answer.after_s or 0.0
        again_s = pause_s(begun["attempts"], config.retry_most_s, config, self._chance)
        rest_s = pause_s(receiver.failures + 1, config.pause_most_s, config, self._chance)
        recorded = connection.execute(
            statement("delivery_recorded"),
            {
                "receiver_id": receiver.id,
                "lease_token": receiver.lease_token,
                "id": begun["id"],
                "state": STATES[answer.outcome],
                "answer": redact(receiver.without_secrets(answer.said))[:500],
                "at": at,
                "until": at + timedelta(seconds=max(again_s, asked_s)) if is_later else at,
                "receiver_until": at + timedelta(seconds=max(rest_s, asked_s)) if is_later else at,
                "is_receiver_ill": is_later,
            },
        ).fetchone()
        self._count(answer.outcome.value, 1)
        tell = log.info if answer.outcome is Outcome.DELIVERED else log.warning
        tell(
            "told" if answer.outcome is Outcome.DELIVERED else "not_told",
            receiver=receiver.name,
            subject=begun["subject"],
            attempt=begun["attempts"],
            outcome=answer.outcome.value,
            is_recorded=recorded is not None,
        )
        return recorded is not None and not is_later

    def _count(self, name: str, by: int) -> None:
        with self._lock:
            self._figures[name] += by

    def _ended(self, future: Future[None]) -> None:
        with self._lock:
            self._busy.discard(future)


def deliver_due(
    connect: Connect, config: TellingConfig | None = None, at: datetime | None = None
) -> dict[str, int]:
    """One round: plans, tells what is due, waits for the answers; figures. `at` stands for now throughout (UTC)."""
    telling = Telling(connect, config, clock=utc_now if at is None else lambda: at)
    try:
        telling.tick()
        telling.settle()
    finally:
        telling.close()
    return telling.figures()


def try_out(connection: Connection, name: str, config: TellingConfig, at: datetime) -> Answer:
    """Sends a test message to a receiver now, past its lease, pace and quiet hours, and records it.

    Raises Refused where there is no such receiver, or its secrets do not open.
    """
    row = connection.execute(
        "SELECT * FROM watch.receiver WHERE name = %s AND removed_at IS NULL", (name,)
    ).fetchone()
    if row is None:
        raise Refused(f"没有接收方 {name} / There is no receiver {name}.")
    receiver = Receiver.of(row, secrets_of(connection, SEALED_AS, str(row["id"]), SECRETS[row["kind"]]))
    change = Change("test", "test", None, {}, at)
    message = Message(uuid.uuid4(), name, "test", (change,), None, at, _zone(connection))
    answer = SENDERS[receiver.kind](receiver, message, config=config, at=at)
    answer = replace(answer, said=redact(receiver.without_secrets(answer.said))[:500])
    connection.execute(
        statement("delivery_tested"),
        {
            "receiver_id": receiver.id,
            "message_key": message.key,
            "at": at,
            "state": "delivered" if answer.outcome is Outcome.DELIVERED else "refused",
            "answer": answer.said,
        },
    )
    return answer


def review_link(public_url: str | None, incident_id: uuid.UUID) -> str | None:
    """Where the incident is reviewed on the city's own map; None where no public address is set."""
    return None if not public_url else f"{public_url.rstrip('/')}/review?incident={incident_id}"


def _zone(connection: Connection) -> ZoneInfo:
    found = connection.execute("SELECT timezone FROM territory.city").fetchone()
    return ZoneInfo(DEFAULT_ZONE if found is None else found["timezone"])
