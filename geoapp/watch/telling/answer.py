"""What came of trying to tell a receiver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """delivered: the receiver said so. later: try again. refused: it will never take this message."""

    DELIVERED = "delivered"
    LATER = "later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """said: for the log, without secrets. after_s: the receiver asks not to be tried sooner (seconds)."""

    outcome: Outcome
    said: str
    after_s: float | None = None


def delivered(said: str) -> Answer:
    return Answer(Outcome.DELIVERED, said)


def later(said: str, after_s: float | None = None) -> Answer:
    return Answer(Outcome.LATER, said, after_s)


def refused(said: str) -> Answer:
    return Answer(Outcome.REFUSED, said)
