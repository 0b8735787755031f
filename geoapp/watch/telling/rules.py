"""When a receiver is told: cooldown, quiet hours, pauses, pace. Pure: no clock, no database."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.receiver import Receiver

WaitsFor = Literal["cooldown", "quiet_hours", "earlier"]
# Steps that make it worse than was told: no cooldown holds them back. (What turns from shadow to alert was told to nobody.)
ESCALATIONS = frozenset({"upgraded"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery that waits. is_confirmation: a person found it to be true."""

    id: int
    transition: str
    class_name: str | None
    is_confirmation: bool
    attempts: int
    next_try_at: datetime

    @classmethod
    def of(cls, row: dict[str, Any]) -> Waiting:
        """From a row of sql/watch/delivery_waiting.sql."""
        return cls(
            id=row["id"],
            transition=row["transition"],
            class_name=row["class"],
            is_confirmation=row["transition"] == "reviewed" and row["payload"].get("review") == "confirmed",
            attempts=row["attempts"],
            next_try_at=row["next_try_at"],
        )

    @property
    def escalates(self) -> bool:
        return self.transition in ESCALATIONS or self.is_confirmation


@dataclass(frozen=True, slots=True)
class Send:
    """One message: of its first delivery and of those that are joined into it."""

    id: int
    joined: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Deliveries that wait until a moment, and for what."""

    ids: tuple[int, ...]
    until: datetime
    waits_for: WaitsFor


def steps(
    waiting: Sequence[Waiting], told_at: datetime | None, receiver: Receiver, at: datetime, zone: ZoneInfo
) -> list[Send | Hold]:
    """What to do about one subject's waiting deliveries (in their order): a repeat of a message that failed, a new message,
    or waiting. told_at: when this receiver was last told of it, None = never; only what it took counts.

    A message that was tried once stays as it is, with its key; what came since is told by the next.
    """
    tried = [w for w in waiting if w.attempts]
    fresh = tuple(w for w in waiting if not w.attempts)
    todo: list[Send | Hold] = [Send(w.id, ()) for w in tried if w.next_try_at <= at]
    if not fresh:
        return todo
    ids = tuple(w.id for w in fresh)
    escalates = any(w.escalates for w in fresh)
    quiet_until = quiet_ends(receiver, at, zone)
    # A person waits for a test.
    passes = any(w.class_name in receiver.quiet_passes or w.transition == "test" for w in fresh)
    if quiet_until is not None and not passes:
        todo.append(Hold(ids, quiet_until, "quiet_hours"))
    elif tried and not escalates:
        # The receiver has not taken the news before this: it is told in order. A message that is given up lets go.
        behind = max(at + timedelta(seconds=1), min(w.next_try_at for w in tried))
        todo.append(Hold(ids, behind, "earlier"))
    elif told_at is not None and not escalates and at < told_at + timedelta(seconds=receiver.cooldown_s):
        todo.append(Hold(ids, told_at + timedelta(seconds=receiver.cooldown_s), "cooldown"))
    else:
        todo.append(Send(ids[0], ids[1:]))
    return todo


def quiet_ends(receiver: Receiver, at: datetime, zone: ZoneInfo) -> datetime | None:
    """When the receiver's quiet hours end, where `at` is within them; None where it is not."""
    if receiver.quiet_from is None or receiver.quiet_to is None or receiver.quiet_from == receiver.quiet_to:
        return None
    local = at.astimezone(zone)
    if not is_within(local.time(), receiver.quiet_from, receiver.quiet_to):
        return None
    ends = datetime.combine(local.date(), receiver.quiet_to, zone)
    return (
        ends if ends > local else datetime.combine(local.date() + timedelta(days=1), receiver.quiet_to, zone)
    )


def is_within(moment: time, begins: time, ends: time) -> bool:
    """Whether a time of day lies between two, over midnight where the end is earlier; the end excluded."""
    if begins <= ends:
        return begins <= moment < ends
    return moment >= begins or moment < ends


def tokens_at(receiver: Receiver, at: datetime) -> float:
    """Messages that may be sent now. A quarter of a minute's number may go at once, three quarters come back in a minute:
    no minute, wherever it begins, sees more than per_minute."""
    room = max(1.0, receiver.per_minute / 4)
    passed_s = max(0.0, (at - receiver.tokens_at).total_seconds())
    return min(room, receiver.tokens + passed_s * refill_per_s(receiver))


def refill_per_s(receiver: Receiver) -> float:
    """Tokens that come back in a second."""
    return max(receiver.per_minute - max(1.0, receiver.per_minute / 4), 0.75) / 60


def pause_s(attempts: int, most_s: float, config: TellingConfig, chance: random.Random) -> float:
    """Seconds to the next try after so many, doubling up to a bound; between half and the whole of it, so that those who
    failed together do not come back together."""
    whole = min(most_s, config.retry_first_s * 2.0 ** min(attempts - 1, 30))
    return whole * chance.uniform(0.5, 1.0)
