"""What a worker of a Dask cluster opens in tests: real HTTP, an engine that sees red."""

from watching import RedDetector

from detection.config import WatchConfig
from detection.scanning import LocalScanning
from detection.sources.http_snapshot import HttpSnapshot
from detection.watch import utc_now


def open_red(config: WatchConfig) -> LocalScanning:
    return LocalScanning(
        HttpSnapshot(config.fetch, clock=utc_now), RedDetector(), config=config, clock=utc_now
    )
