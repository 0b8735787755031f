"""Results of scans in batches: what is counted, what is fenced off, and what came late."""

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from watching import T0, add_camera

from detection.lease import claim_due, sync_cameras
from detection.recording import Outcome, record_late_scans, record_scans
from detection.types import Claim, Observation, Observed, Reason, Unobserved

Connection = psycopg.Connection[dict[str, Any]]
LOOKED = Observed((), 640, 360)


def claimed(ground: Connection, at: datetime, owner: str = "a") -> list[Claim]:
    """All cameras, claimed when they are due at `at`."""
    return claim_due(ground, owner=owner, batch=100, lease_s=30, at=at)


def seen(claim: Claim, at: datetime, result: Observed | Unobserved = LOOKED) -> tuple[Claim, Observation]:
    return claim, Observation(claim.camera.id, at, at + timedelta(milliseconds=50), result, "c" * 64)


def hours(ground: Connection) -> list[dict[str, Any]]:
    return ground.execute(
        "SELECT hour, due, observed, unobserved, reasons FROM watch.observation_hour ORDER BY camera_id, hour"
    ).fetchall()


def begin(ground: Connection, cameras: int) -> None:
    """Cameras that are all due at T0, every ten seconds."""
    for number in range(1, cameras + 1):
        add_camera(ground, number, "in-process")
    sync_cameras(ground, at=T0)
    ground.execute("UPDATE watch.scan_due SET next_due_at = %s", (T0,))


def test_a_batch_is_written_at_once(ground: Connection) -> None:
    begin(ground, 30)
    claims = claimed(ground, T0)
    at = T0 + timedelta(seconds=1)
    results = [
        seen(claim, at, Unobserved(Reason.TIMEOUT) if n % 3 == 0 else LOOKED)
        for n, claim in enumerate(claims)
    ]
    outcomes = record_scans(ground, results, at=at, alone=False)
    assert {o.outcome for o in outcomes} == {Outcome.RECORDED}
    assert [o.is_health_changed for o in outcomes] == [n % 3 == 0 for n in range(30)]
    assert sum(h["observed"] for h in hours(ground)) == 20
    assert [h["reasons"] for h in hours(ground) if h["unobserved"]] == [{"timeout": 1}] * 10
    left = ground.execute("SELECT count(*) AS n FROM watch.scan_due WHERE lease_until IS NOT NULL").fetchone()
    assert left == {"n": 0}


def test_the_same_results_again_count_nothing(ground: Connection) -> None:
    begin(ground, 3)
    claims = claimed(ground, T0)
    results = [seen(claim, T0) for claim in claims]
    record_scans(ground, results, at=T0, alone=False)
    again = record_scans(ground, results, at=T0, alone=False)
    assert [o.is_new for o in again] == [False] * 3, "the answer was lost, the look was not"
    assert [h["due"] for h in hours(ground)] == [1, 1, 1]


def test_of_a_batch_only_the_overtaken_is_lost(ground: Connection) -> None:
    begin(ground, 2)
    old = claimed(ground, T0)
    ground.execute(
        "UPDATE watch.scan_due SET lease_token = lease_token + 1 WHERE camera_id = %s", (old[0].camera.id,)
    )
    outcomes = record_scans(ground, [seen(claim, T0) for claim in old], at=T0, alone=False)
    assert [o.outcome for o in outcomes] == [Outcome.LOST, Outcome.RECORDED]
    assert len(hours(ground)) == 1


def test_due_times_without_a_look_are_counted_in_their_hours(ground: Connection) -> None:
    begin(ground, 1)  # T0 is half past the hour
    (claim,) = claimed(ground, T0)
    at = T0 + timedelta(hours=1, seconds=3)
    record_scans(ground, [seen(claim, at)], at=at, alone=False)
    first, second = hours(ground)
    assert (first["due"], first["observed"], first["reasons"]) == (180, 0, {"not_scanned": 180})
    assert (second["due"], second["observed"], second["reasons"]) == (181, 1, {"not_scanned": 180})


def test_after_a_long_absence_a_day_is_counted_and_no_more(ground: Connection) -> None:
    begin(ground, 1)
    (claim,) = claimed(ground, T0)
    at = T0 + timedelta(days=40)
    record_scans(ground, [seen(claim, at)], at=at, alone=False)
    missed = [h["reasons"].get("not_scanned", 0) for h in hours(ground)]
    assert len(missed) in (25, 26)
    assert sum(missed) == pytest.approx(8640, abs=1)


def test_a_late_look_takes_the_place_of_a_missed_one(ground: Connection) -> None:
    begin(ground, 1)
    (mine,) = claimed(ground, T0)
    at = T0 + timedelta(seconds=100)
    (other,) = claimed(ground, at, "b")
    record_scans(ground, [seen(other, at)], at=at, alone=False)
    assert [(h["due"], h["observed"]) for h in hours(ground)] == [(11, 1)]
    for seconds, result in ((20, LOOKED), (30, Unobserved(Reason.BLACK))):
        late = [seen(mine, T0 + timedelta(seconds=seconds), result)]
        assert record_late_scans(ground, late) == [True]
        assert record_late_scans(ground, late) == [False]
    (hour,) = hours(ground)
    assert (hour["due"], hour["observed"], hour["unobserved"]) == (11, 2, 9)
    assert hour["reasons"] == {"not_scanned": 8, "black": 1}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(1, 4000), st.sampled_from([None, Reason.TIMEOUT, Reason.BLACK])), max_size=12
    )
)
def test_the_ledger_adds_up_whatever_happens(
    ground: Connection, looks: list[tuple[int, Reason | None]]
) -> None:
    """due = looked + could not look, and every due time between the first and the last look is in it once."""
    ground.execute("TRUNCATE registry.camera, watch.observation, watch.observation_hour CASCADE")
    begin(ground, 1)
    at, counted = T0, 0
    for pause_s, reason in looks:
        due = ground.execute("SELECT next_due_at, period_s FROM watch.scan_due").fetchone()
        assert due is not None
        at += timedelta(seconds=pause_s)
        for claim in claimed(ground, at):
            result = LOOKED if reason is None else Unobserved(reason)
            record_scans(ground, [seen(claim, at, result)], at=at, alone=False)
            late_s = (at - due["next_due_at"]).total_seconds()
            counted += 1 + int(late_s // claim.camera.period_s)
    rows = hours(ground)
    assert sum(h["due"] for h in rows) == counted
    for h in rows:
        assert h["due"] == h["observed"] + h["unobserved"]
        assert h["unobserved"] == sum(h["reasons"].values())
