"""Results on their way: what was written before a fault is not written again, and each lands once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest

from detection import outage as outages
from detection import writing
from detection.config import WatchConfig
from detection.outage import Outage
from detection.recording import Outcome, Recorded
from detection.sessions import Sessions
from detection.tally import Tally
from detection.types import Camera, Claim, Observation, Reason, Unobserved

NOW = datetime(2026, 11, 28, tzinfo=UTC)


class NoServer:
    """A session whose transactions do nothing."""

    @contextmanager
    def connection(self) -> Iterator[Any]:
        yield SimpleNamespace(transaction=nullcontext)


@pytest.mark.parametrize("fault", [psycopg.OperationalError("away"), psycopg.DataError("odd")])
def test_a_fault_in_the_late_ones_writes_no_other_one_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Exception
) -> None:
    written: Counter[int] = Counter()
    landed: Counter[int] = Counter()
    faults = [fault]

    def record(_: Any, results: Any, **__: Any) -> list[Recorded]:
        written.update(claim.camera.id for claim, _ in results)
        # Camera 2 has been claimed by somebody else meanwhile.
        return [
            Recorded(Outcome.LOST if claim.camera.id == 2 else Outcome.RECORDED, True, False, False)
            for claim, _ in results
        ]

    def late(_: Any, results: Any) -> list[bool]:
        if faults:
            raise faults.pop()
        return [True for _ in results]

    monkeypatch.setattr(writing, "record_scans", record)
    monkeypatch.setattr(writing, "record_late_scans", late)
    monkeypatch.setattr(outages, "FIRST_PAUSE_S", 0.02)
    outage, tally = Outage(), Tally()
    way = writing.Writing(
        cast(Sessions, NoServer()),
        outage=outage,
        tally=tally,
        landed=lambda claim, _: landed.update([claim.camera.id]),
        thresholds=dict,
        config=WatchConfig(),
        evidence_folder=tmp_path,
        clock=lambda: NOW,
    )
    outage.begins(psycopg.OperationalError("away"))  # so that both are from an outage
    for number in (1, 2):
        camera = Camera(number, str(number), "", "http://127.0.0.1:1/", 30, 0, 0, 4549)
        look = Observation(number, NOW, NOW, Unobserved(Reason.BLACK), "m")
        way.put(Claim(camera, 1, NOW, 0, 0, 1), look)
    assert way.close(5.0) == 0
    assert written[1] == 1
    # What could not be written though the server was there is given up: its lease has ended, and it is scanned again.
    assert landed == {1: 1, 2: 1}
    assert tally.scans == (2 if isinstance(fault, psycopg.OperationalError) else 1)
