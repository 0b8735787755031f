"""A watch process for tests that kill it: real leases, real HTTP, an engine that sees red, or one that hangs.

Arguments: database URL, evidence folder, and "hang" for the engine that hangs on its second picture.
"""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from watching import RedDetector

from detection.config import FetchConfig, ScheduleConfig, WatchConfig
from detection.sources.http_snapshot import HttpSnapshot
from detection.types import Box, Image
from detection.watch import run, utc_now
from geoapp.logs import configure_logs

CONFIG = WatchConfig(
    schedule=ScheduleConfig(tick_s=0.05, lease_s=2.0, burst_s=0.3),
    fetch=FetchConfig(total_s=5.0),
)


class HangingDetector(RedDetector):
    def __init__(self) -> None:
        self.count = 0

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        self.count += 1
        if self.count > 1:
            time.sleep(3600)
        return super().detect(images)


if __name__ == "__main__":
    configure_logs(as_json=True)
    hangs = "hang" in sys.argv
    # Only here: the process that notices a stall ends itself, and must not be the one that runs the tests.
    schedule = CONFIG.schedule.model_copy(update={"stall_s": 2.0}) if hangs else CONFIG.schedule
    run(
        sys.argv[1],
        stop=threading.Event(),
        source=HttpSnapshot(CONFIG.fetch, clock=utc_now),
        detector=HangingDetector() if hangs else RedDetector(),
        evidence_folder=Path(sys.argv[2]),
        config=CONFIG.model_copy(update={"schedule": schedule}),
    )
