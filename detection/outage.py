"""Whether the database is away, as all threads of a watch know it: said once, tried again with growing pauses."""

from __future__ import annotations

import threading
import time

import structlog

log = structlog.get_logger("watch")

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0


class Outage:
    """Safe to be told of from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: float | None = None
        self._retry_at = 0.0

    @property
    def is_on(self) -> bool:
        return self._since is not None

    def wait_s(self) -> float:
        """Seconds until the next try is due; 0 where it is."""
        with self._lock:
            return 0.0 if self._since is None else max(0.0, self._retry_at - time.monotonic())

    def begins(self, fault: Exception) -> None:
        """A fault of the database was seen. Pauses grow with the outage, not with the threads that noticed it."""
        now = time.monotonic()
        with self._lock:
            is_news = self._since is None
            since = self._since = now if self._since is None else self._since
            self._retry_at = now + min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, (now - since) / 2))
        if is_news:
            first = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
            log.error("database_away", fault=first[:200], what="looks go on and are written when it is back")

    def ends(self) -> None:
        """The database has answered."""
        with self._lock:
            if self._since is None:
                return
            away_s, self._since, self._retry_at = time.monotonic() - self._since, None, 0.0
        log.info("database_back", away_s=round(away_s, 1))
