"""What a camera's looks say of an incident, in the order in which they were taken. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Looks:
    """Usable looks of one camera since its first that showed an incident, newest first, and when each was taken."""

    seen: tuple[bool, ...] = ()
    at: tuple[datetime, ...] = ()

    def with_look(self, is_seen: bool, at: datetime, memory: int) -> Looks:
        """One look more, where it belongs in time: it may come late. At most `memory` are kept, the newest.

        A look that did not show it and is older than all that are kept says nothing; the same moment counts once.
        """
        if at in self.at:
            return self
        if not is_seen and self.at and at < self.at[-1]:
            return self
        merged = sorted(
            [*zip(self.at, self.seen, strict=True), (at, is_seen)], key=lambda look: look[0], reverse=True
        )[:memory]
        return Looks(tuple(seen for _, seen in merged), tuple(when for when, _ in merged))


NO_LOOKS = Looks()


def looks_of(seen: Sequence[bool], at: Sequence[datetime]) -> Looks:
    """As the register keeps them (watch.incident_camera)."""
    return Looks(tuple(seen), tuple(at))
