"""The states of an incident and when they change. Pure: no clock, no database.

    candidate ──2 of 3 looks see it──▶ open ──3 empty looks──▶ quiet ──12 empty, or 15 min──▶ closed
        └──3 empty looks──▶ closed (never opened)    ▲            │
                                                      └──seen again┘

A look is a scan that was OBSERVED. A scan that was not (UNOBSERVED) is no look: it never reaches this module, so
that a dead camera cannot close an incident. `review` belongs to people and is not touched here.

Where several cameras see it, the votes of all open it; it is empty only where each of them that can be looked through
says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    CANDIDATE = "candidate"
    OPEN = "open"
    QUIET = "quiet"
    CLOSED = "closed"


class Transition(StrEnum):
    """What open maps are told of. DROPPED (a candidate that came to nothing) is told to nobody."""

    OPENED = "opened"
    QUIET = "quiet"
    REOPENED = "reopened"
    CLOSED = "closed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class StateRules:
    """open_votes of the last open_window looks open a candidate; drop_after empty looks in a row drop it.

    quiet_after empty looks in a row make an open incident quiet; a quiet one closes after close_after empty looks
    in a row, or at an empty look close_after_s seconds after it was last seen.
    """

    open_votes: int = 2
    open_window: int = 3
    drop_after: int = 3
    quiet_after: int = 3
    close_after: int = 12
    close_after_s: float = 900.0

    def __post_init__(self) -> None:
        if not 1 <= self.open_votes <= self.open_window:
            raise ValueError(f"open_votes must be within 1..open_window: {self}")
        if not 1 <= self.quiet_after < self.close_after:
            raise ValueError(f"quiet_after must be below close_after: {self}")
        if self.drop_after < 1 or self.close_after_s <= 0:
            raise ValueError(f"drop_after and close_after_s must be positive: {self}")

    @property
    def memory(self) -> int:
        """How many looks back a decision can depend on."""
        return max(self.open_window, self.drop_after, self.close_after)


def next_state(
    state: State,
    seen: Sequence[bool],
    silent_s: float,
    rules: StateRules,
    others: Sequence[Sequence[bool]] = (),
) -> State:
    """State after a look.

    seen: whether each look of the camera since its first saw it, newest first, at least one (this one).
    silent_s: seconds since anybody saw it, 0 when this look saw it.
    others: the same of each other camera that sees it and can be looked through now; a blind one is left out, so that
    it neither closes an incident nor keeps it open.
    """
    if not seen:
        raise ValueError("a state changes only by a look: seen is empty")
    cameras = [seen, *(looks for looks in others if looks)]
    empty = min(empty_run(looks) for looks in cameras)
    match state:
        case State.CANDIDATE:
            if sum(sum(looks[: rules.open_window]) for looks in cameras) >= rules.open_votes:
                return State.OPEN
            return State.CLOSED if empty >= rules.drop_after else state
        case State.OPEN:
            return State.QUIET if empty >= rules.quiet_after else state
        case State.QUIET:
            if empty == 0:
                return State.OPEN
            is_over = empty >= rules.close_after or (
                empty >= rules.quiet_after and silent_s >= rules.close_after_s
            )
            return State.CLOSED if is_over else state
        case State.CLOSED:
            return state


def empty_run(seen: Sequence[bool]) -> int:
    """How many looks in a row, counted back from the newest, saw nothing."""
    for count, hit in enumerate(seen):
        if hit:
            return count
    return len(seen)


def transition(before: State, after: State) -> Transition | None:
    """What to call the step from one state to the other; None where there is none."""
    if before is after:
        return None
    return {
        (State.CANDIDATE, State.OPEN): Transition.OPENED,
        (State.CANDIDATE, State.CLOSED): Transition.DROPPED,
        (State.OPEN, State.QUIET): Transition.QUIET,
        (State.QUIET, State.OPEN): Transition.REOPENED,
        (State.QUIET, State.CLOSED): Transition.CLOSED,
    }[before, after]
