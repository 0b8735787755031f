"""What one watch process did, for its reports."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from detection.types import Observation, Observed, Unobserved

LAGS_KEPT = 20_000


@dataclass(slots=True)
class Tally:
    """Counts since the start; guarded by its own lock. lags_s: how late the newest scans began, seconds."""

    scans: int = 0
    observed: int = 0
    leases_lost: int = 0
    late: int = 0
    dropped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    transitions: Counter[str] = field(default_factory=Counter)
    lags_s: deque[float] = field(default_factory=lambda: deque(maxlen=LAGS_KEPT))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, look: Observation) -> None:
        """A look that is written."""
        with self.lock:
            self.scans += 1
            if isinstance(look.result, Observed):
                self.observed += 1
            elif isinstance(look.result, Unobserved):
                self.reasons[look.result.reason.value] += 1

    def as_json(self, seconds: float, detect_s: float) -> dict[str, Any]:
        """Figures of the last `seconds`: scans, scans_per_s, observed, unobserved by reason, lag in seconds."""
        with self.lock:
            lags = sorted(self.lags_s)
            return {
                "scans": self.scans,
                "scans_per_s": round(self.scans / seconds, 2) if seconds > 0 else 0.0,
                "observed": self.observed,
                "unobserved": dict(self.reasons),
                "transitions": dict(self.transitions),
                "leases_lost": self.leases_lost,
                "late": self.late,
                "dropped": self.dropped,
                "lag_p50_s": round(lags[len(lags) // 2], 3) if lags else None,
                "lag_p95_s": round(lags[int(len(lags) * 0.95)], 3) if lags else None,
                "detect_ms": round(detect_s / self.observed * 1000, 1) if self.observed else None,
                "seconds": round(seconds, 1),
            }
