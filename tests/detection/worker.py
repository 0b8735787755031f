"""A watch process for tests that kill it: real leases, real HTTP, an engine that sees red. URL and folder as arguments."""

import sys
import threading
from pathlib import Path

from watching import RedDetector

from detection.config import FetchConfig, ScheduleConfig, WatchConfig
from detection.logs import configure_logs
from detection.sources.http_snapshot import HttpSnapshot
from detection.watch import run, utc_now

CONFIG = WatchConfig(
    schedule=ScheduleConfig(tick_s=0.05, lease_s=2.0, burst_s=0.3), fetch=FetchConfig(total_s=5.0)
)

if __name__ == "__main__":
    configure_logs(as_json=True)
    run(
        sys.argv[1],
        stop=threading.Event(),
        source=HttpSnapshot(CONFIG.fetch, clock=utc_now),
        detector=RedDetector(),
        evidence_folder=Path(sys.argv[2]),
        config=CONFIG,
    )
