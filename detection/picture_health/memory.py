"""What is kept of a camera's pictures until the next look: a fingerprint of the last and what is usual for the camera.

Kept with the camera in the database (watch.camera_health.picture), not in a process: any process, and any worker of a
cluster, may do the next look, and a frozen picture is only seen by comparing with the last one. Some 400 bytes a camera.
Lost, it is made anew by the next looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

LEARNED_IN_S = 86_400.0
"""What is usual follows a lasting change within a day or so, but not a lens that fogs within hours."""


class Light(StrEnum):
    """Kinds of light in which a camera's sharpness is judged by itself: infrared light and lamps draw other edges."""

    GREY = "grey"
    DARK = "dark"
    BRIGHT = "bright"


class Note(StrEnum):
    """What is kept on record of a camera that can be looked through all the same."""

    NIGHT_MODE = "night_mode"
    CLOCK_OFF = "clock_off"


@dataclass(frozen=True, slots=True)
class Usual:
    """The mean of a measure over a camera's good looks, the older ones fading; looks: how many it comes from."""

    value: float
    looks: int

    def learned(self, value: float, passed_s: float) -> Usual:
        """With one more look, passed_s seconds after the one before."""
        weight = max(1 / (self.looks + 1), min(0.1, passed_s / LEARNED_IN_S))
        return Usual(self.value + weight * (value - self.value), self.looks + 1)


@dataclass(frozen=True, slots=True)
class PictureMemory:
    """seen_at: of the last picture; same_looks, same_since: how often, and since when it is the same one.

    sharpness: what is usual by light; faint_cells: in any light. notes: in force at the last picture.
    """

    width_px: int
    height_px: int
    patches: tuple[int, ...]
    seen_at: datetime
    same_looks: int
    same_since: datetime
    sharpness: dict[Light, Usual]
    faint_cells: Usual | None
    notes: frozenset[Note]

    def as_json(self) -> dict[str, Any]:
        """For watch.camera_health.picture; notes have a column of their own there."""
        return {
            "size": [self.width_px, self.height_px],
            "patches": "".join(f"{patch:08x}" for patch in self.patches),
            "seen_at": self.seen_at.isoformat(),
            "same_looks": self.same_looks,
            "same_since": self.same_since.isoformat(),
            "sharpness": {light.value: _usual_json(usual) for light, usual in self.sharpness.items()},
            "faint_cells": None if self.faint_cells is None else _usual_json(self.faint_cells),
        }

    @classmethod
    def of_json(cls, held: Any, notes: list[str] | None) -> PictureMemory | None:
        """As it was kept; None where there is none or it cannot be read: the next looks make it anew."""
        try:
            (width_px, height_px), hexadecimal = held["size"], held["patches"]
            return cls(
                width_px=int(width_px),
                height_px=int(height_px),
                patches=tuple(int(hexadecimal[i : i + 8], 16) for i in range(0, len(hexadecimal), 8)),
                seen_at=datetime.fromisoformat(held["seen_at"]),
                same_looks=int(held["same_looks"]),
                same_since=datetime.fromisoformat(held["same_since"]),
                sharpness={Light(light): Usual(*usual) for light, usual in held["sharpness"].items()},
                faint_cells=None if held["faint_cells"] is None else Usual(*held["faint_cells"]),
                notes=frozenset(Note(note) for note in notes or ()),
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def _usual_json(usual: Usual) -> list[float]:
    return [round(usual.value, 4), usual.looks]
