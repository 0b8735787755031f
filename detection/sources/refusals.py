"""Accounts that were refused: not tried again and again, since cameras lock an account after some wrong tries."""

from __future__ import annotations

import time

from detection.types import Camera, Reason, Unobserved

__all__ = ["Refusals"]


class Refusals:
    """Which cameras refused their account in the last pause_s seconds. A changed account or address is tried at once."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._until: dict[int, tuple[tuple[str, object], float]] = {}

    def note(self, camera: Camera) -> None:
        """Its account was refused just now."""
        until = time.monotonic() + self._pause_s
        self._until[camera.id] = (camera.snapshot_url, camera.credentials), until

    def standing(self, camera: Camera) -> Unobserved | None:
        """Why the camera is not asked just now; None where nothing speaks against it."""
        refused = self._until.get(camera.id)
        if refused is None:
            return None
        what, until = refused
        if what == (camera.snapshot_url, camera.credentials) and time.monotonic() < until:
            return Unobserved(
                Reason.UNAUTHORIZED,
                "此前被拒绝，稍后或更改后再试 / refused before, tried again later, or when it is changed",
            )
        del self._until[camera.id]
        return None
