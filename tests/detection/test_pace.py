"""Who is looked through how often: plans of day and night, and who waits when there is more to do than can be done."""

import threading
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from watching import EAST, NORTH, SRID, T0, add_camera, gb_id

from detection.config import FetchConfig, NightConfig, ScheduleConfig, WatchConfig
from detection.lease import claim_due, sync_cameras
from detection.sessions import Sessions
from detection.simulate import ModelledScanning, ScanModel
from detection.watch import Watch, run_scanning, utc_now

Connection = psycopg.Connection[dict[str, Any]]


def risky(ground: Connection, numbers: list[int]) -> None:
    """Cameras of a site with a key risk area."""
    site = ground.execute(
        "INSERT INTO registry.site (name_zh, geom) VALUES ('危化仓库', ST_SetSRID(ST_MakePoint(%s, %s), %s)) RETURNING id",
        (EAST, NORTH, SRID),
    ).fetchone()
    assert site is not None
    ground.execute(
        "INSERT INTO registry.key_risk_area (code, site_id, name_zh, kind, level, geom) VALUES"
        " ('KRA-PACE', %s, '罐区', 'tank', 'red', ST_Buffer(ST_SetSRID(ST_MakePoint(%s, %s), %s), 20))",
        (site["id"], EAST, NORTH, SRID),
    )
    ground.execute(
        "UPDATE registry.camera SET site_id = %s WHERE gb_id = ANY(%s)",
        (site["id"], [gb_id(n) for n in numbers]),
    )


def ledger(ground: Connection) -> dict[str, tuple[int, int]]:
    """By camera: looks, and due times without one."""
    rows = ground.execute(
        "SELECT c.gb_id, sum(o.observed) AS looks, sum(coalesce((o.reasons ->> 'not_scanned')::integer, 0)) AS missed"
        " FROM watch.observation_hour AS o JOIN registry.camera AS c ON c.id = o.camera_id GROUP BY c.gb_id"
    ).fetchall()
    return {row["gb_id"]: (row["looks"], row["missed"]) for row in rows}


def test_overload_stretches_periods_but_not_those_of_key_risk_areas(
    ground: Connection, watch_url: str, tmp_path: Path
) -> None:
    for number in range(1, 61):
        add_camera(ground, number, "modelled", period_s=1)
    key = list(range(1, 61, 10))
    risky(ground, key)
    # Eight at a time, each 0.25 s: 32 looks a second where 60 are due.
    config = WatchConfig(schedule=ScheduleConfig(tick_s=0.02, batch=8), fetch=FetchConfig(in_flight=8))
    stop = threading.Event()
    threading.Timer(8.0, stop.set).start()
    scanning = ModelledScanning(ScanModel(median_s=0.25, spread=0.0, dead_share=0.0), config, utc_now)
    run_scanning(watch_url, scanning, stop=stop, evidence_folder=tmp_path, config=config)
    found = ledger(ground)
    first = [found[gb_id(n)] for n in key]
    others = [found[gb_id(n)] for n in range(1, 61) if n not in key]
    assert min(looks for looks, _ in first) >= 7
    assert max(missed for _, missed in first) <= 1
    assert max(looks for looks, _ in others) <= 6, "the others wait"
    assert min(looks for looks, _ in others) >= 2, "each has its turn"
    assert sum(missed for _, missed in others) > 60, (
        "and the ledger says how often they were not looked through"
    )


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        (time(20, 59), False),
        (time(21, 0), True),
        (time(2, 0), True),
        (time(4, 59), True),
        (time(5, 0), False),
    ],
)
def test_night_goes_over_midnight(local: time, expected: bool) -> None:
    assert NightConfig().is_night(local) is expected


def test_equal_ends_mean_no_night() -> None:
    rules = NightConfig(starts=time(5), ends=time(5))
    assert not any(rules.is_night(time(hour)) for hour in range(24))


def test_by_night_the_night_period_is_in_force(ground: Connection, watch_url: str, tmp_path: Path) -> None:
    add_camera(ground, 1, "modelled", period_s=10)
    add_camera(ground, 2, "modelled", period_s=10)
    ground.execute("UPDATE registry.camera SET night_period_s = 60 WHERE gb_id = %s", (gb_id(1),))
    # 22:30 and 12:30 in Shanghai.
    for at, expected in (
        (datetime(2026, 11, 22, 14, 30, tzinfo=UTC), {gb_id(1): 60.0, gb_id(2): 10.0}),
        (datetime(2026, 11, 22, 4, 30, tzinfo=UTC), {gb_id(1): 10.0, gb_id(2): 10.0}),
    ):
        config = WatchConfig()
        scanning = ModelledScanning(
            ScanModel(median_s=0.01, spread=0.0, dead_share=0.0), config, lambda at=at: at
        )
        ground.execute("DELETE FROM watch.scan_due")
        sync_cameras(ground, at=at - timedelta(minutes=2))
        sessions = Sessions(watch_url)
        watch = Watch(sessions, scanning, config=config, evidence_folder=tmp_path, clock=lambda at=at: at)
        try:
            watch.sync()
            assert watch.tick() == 2
            assert watch.settle(5.0) == 0
        finally:
            watch.close()
            sessions.close()
        rows = ground.execute(
            "SELECT c.gb_id, d.period_s FROM watch.scan_due AS d JOIN registry.camera AS c ON c.id = d.camera_id"
        ).fetchall()
        assert {row["gb_id"]: row["period_s"] for row in rows} == expected


def test_claims_for_key_risk_areas_only(ground: Connection) -> None:
    for number in range(1, 5):
        add_camera(ground, number, "modelled")
    risky(ground, [2])
    sync_cameras(ground, at=T0)
    later = T0 + timedelta(minutes=1)
    (claim,) = claim_due(ground, owner="a", batch=10, lease_s=30, at=later, priority_only=True)
    assert claim.camera.gb_id == gb_id(2)
    assert claim.is_priority
    assert len(claim_due(ground, owner="a", batch=10, lease_s=30, at=later)) == 3
