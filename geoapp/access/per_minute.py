"""How often somebody did a thing within a minute: who does it too often waits for the rest of that minute, nobody else."""

import math
import threading

WINDOW_S = 60.0
# More people than this are not remembered at once; a flood of names costs no more memory.
KEPT = 10_000


class PerMinute:
    """Counts by name; `most` times within a minute are free. Thread-safe. `now` is a monotonic clock's, in seconds."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: dict[str, tuple[float, int]] = {}
        self._guard = threading.Lock()

    def wait_s(self, who: str, now: float) -> int:
        """Whole seconds that this one has to wait, 0 where there is room."""
        with self._guard:
            since, count = self._counts.get(who, (now, 0))
        left = WINDOW_S - (now - since)
        return math.ceil(left) if count >= self.most and left > 0 else 0

    def note(self, who: str, now: float) -> None:
        """Counts one more; the minute begins with the first."""
        with self._guard:
            since, count = self._counts.get(who, (now, 0))
            if now - since >= WINDOW_S:
                since, count = now, 0
            if len(self._counts) >= KEPT and who not in self._counts:
                self._counts = {k: v for k, v in self._counts.items() if now - v[0] < WINDOW_S}
                if len(self._counts) >= KEPT:
                    self._counts.clear()
            self._counts[who] = (since, count + 1)
