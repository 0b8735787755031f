"""The watch as it runs: real HTTP cameras, real database, processes that are killed, a server that goes away."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from watching import (
    CameraServer,
    RedDetector,
    Script,
    add_camera,
    drip,
    fire_at,
    gb_id,
    hang_up,
    jpeg,
    look,
    notices,
    picture,
    send,
    status,
)
from worker import CONFIG

from detection.config import FetchConfig, NegativesConfig, ScheduleConfig, SpoolConfig, WatchConfig
from detection.sources.http_snapshot import HttpSnapshot
from detection.types import Box, Image
from detection.watch import open_watch, run, utc_now
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate

Connection = psycopg.Connection[dict[str, Any]]
FIRE = fire_at(12.0, 22.0).corners
# Due times that passed without a look are in the ledger too.
COUNTED_LOOKS = (
    "SELECT sum(due - coalesce((reasons ->> 'not_scanned')::integer, 0)) FROM watch.observation_hour"
)


def wait_for(condition: Callable[[], bool], limit_s: float = 60.0) -> None:
    ends = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends, "did not happen in time"
        time.sleep(0.05)


def value(connection: Connection, question: str) -> Any:
    row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return next(iter(row.values()))


@contextmanager
def watching(
    url: str | Callable[[], str], folder: Path, config: WatchConfig = CONFIG, detector: Any = None
) -> Iterator[dict[str, Any]]:
    """A watch in a thread of this process; the figures are filled in when it has stopped."""
    stop, figures = threading.Event(), dict[str, Any]()

    def work() -> None:
        source = HttpSnapshot(config.fetch, clock=utc_now)
        figures.update(
            run(
                url,
                stop=stop,
                source=source,
                detector=detector or RedDetector(),
                evidence_folder=folder,
                config=config,
            )
        )

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield figures
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def moment(*fires: tuple[float, float, float, float]) -> Script:
    """A camera that shows these fires, another picture each time."""
    return send(lambda count: picture(count, *fires))


def test_frames_become_incidents_and_evidence(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    add_camera(ground, 1, server.url("fire"), period_s=1)
    add_camera(ground, 2, server.url("calm"), period_s=1)
    server.scripts["fire"] = moment(FIRE)
    server.scripts["calm"] = moment()
    with watching(watch_url, tmp_path) as figures:
        wait_for(lambda: value(ground, "SELECT coalesce(max(observation_count), 0) FROM watch.incident") >= 4)
    incidents = ground.execute("SELECT * FROM watch.incident").fetchall()
    assert [(i["class"], i["state"], i["placing_method"]) for i in incidents] == [
        ("fire", "open", "pose_ray")
    ]
    assert (incidents[0]["opened_at"] - incidents[0]["first_seen_at"]).total_seconds() < 1.5, "burst"
    for row in ground.execute("SELECT sha256, path FROM watch.evidence").fetchall():
        assert hashlib.sha256((tmp_path / row["path"]).read_bytes()).hexdigest() == row["sha256"]
    assert value(ground, "SELECT count(*) FROM analysis.event") == 1
    assert value(ground, "SELECT count(*) FROM watch.scan_due WHERE lease_until IS NOT NULL") == 0
    assert figures["observed"] == figures["scans"] == value(ground, "SELECT count(*) FROM watch.observation")
    assert figures["transitions"] == {"opened": 1}


def test_bad_cameras_are_named_and_the_good_ones_go_on(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    good = picture(3)
    scripts = {
        "http_401": status(401),
        "http_404": status(404),
        "http_5xx": status(500),
        "too_slow": drip(good, 8.0),
        "broken_off": hang_up(good),
        "damaged_image": send(good[: len(good) // 2]),
        "not_an_image": send(b"<html>", "text/html"),
        "black": send(jpeg(picture_of_grey(2))),
        "frozen": send(good),
        "resolution_changed": send(lambda count: picture(count, size=(640, 360 if count % 2 else 480))),
    }
    config = CONFIG.model_copy(
        update={
            "fetch": FetchConfig(total_s=1.0, connect_s=0.5),
            "gate": CONFIG.gate.model_copy(update={"frozen_s": 1.0}),
        }
    )
    for number, (name, script) in enumerate(scripts.items(), 1):
        server.scripts[name] = script
        add_camera(ground, number, server.url(name), period_s=1)
    add_camera(ground, 20, "http://127.0.0.1:1/a.jpg", period_s=1)
    for number in range(30, 36):
        server.scripts[f"good{number}"] = moment()
        add_camera(ground, number, server.url(f"good{number}"), period_s=1)
    with watching(watch_url, tmp_path, config) as figures:
        wait_for(lambda: len(reasons(ground)) == len(scripts) + 1)
        time.sleep(1.0)
    assert reasons(ground) == {*scripts, "connection_refused"}
    healthy = ground.execute(
        "SELECT observed, unobserved FROM watch.observation_hour AS o JOIN registry.camera AS c ON c.id = o.camera_id"
        " WHERE c.gb_id = ANY(%s)",
        ([gb_id(n) for n in range(30, 36)],),
    ).fetchall()
    assert len(healthy) == 6
    assert all(h["unobserved"] == 0 and h["observed"] >= 3 for h in healthy)
    assert figures["lag_p95_s"] < 1.0, "a dead camera delays nobody"
    assert value(ground, "SELECT count(*) FROM watch.incident") == 0
    told = {n["reason"] for n in notices(ground, "camera_health")} - {None}
    assert told == {*scripts, "connection_refused"}


def picture_of_grey(grey: int) -> Image:
    import numpy as np

    image: Image = np.random.default_rng(1).integers(0, grey + 3, (360, 640, 3), dtype=np.uint8)
    return image


def reasons(connection: Connection) -> set[str]:
    rows = connection.execute("SELECT DISTINCT reason FROM watch.observation WHERE NOT observed").fetchall()
    return {row["reason"] for row in rows}


class BrokenDetector(RedDetector):
    """An engine that fails on every second picture."""

    def __init__(self) -> None:
        self.count = 0

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        self.count += 1
        if self.count % 2 == 0:
            raise RuntimeError("inference failed")
        return super().detect(images)


def test_a_failing_engine_is_not_an_empty_picture(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    add_camera(ground, 1, server.url("fire"), period_s=1)
    server.scripts["fire"] = moment(FIRE)
    with watching(watch_url, tmp_path, detector=BrokenDetector()):
        wait_for(lambda: value(ground, "SELECT count(*) FROM watch.observation") >= 5)
    assert reasons(ground) == {"detector_failed"}
    assert value(ground, "SELECT count(*) FROM watch.incident WHERE state = 'open'") == 1
    wrong = "SELECT count(*) FROM watch.observation WHERE observed AND boxes = '[]'"
    assert value(ground, wrong) == 0


def held(seconds: float, script: Script) -> Script:
    """Answers after a while: the time in which a worker holds the lease and has not written."""

    def wait(count: int, handler: Any) -> None:
        time.sleep(seconds)
        script(count, handler)

    return wait


def start_worker(*arguments: str) -> subprocess.Popen[str]:
    """A watch in a process of its own."""
    here = Path(__file__).parent
    return subprocess.Popen(
        [sys.executable, str(here / "worker.py"), *arguments],
        env=os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent.parent}"},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long
def test_a_hung_engine_ends_the_process_and_another_goes_on(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    for number in (1, 2):
        add_camera(ground, number, server.url(f"c{number}"), period_s=1)
        server.scripts[f"c{number}"] = moment(FIRE)
    worker = start_worker(watch_url, str(tmp_path), "hang")
    try:
        _, said = worker.communicate(timeout=40)
    finally:
        worker.kill()
    assert worker.returncode == 75
    assert "watch_stalled" in said
    assert "Traceback" not in said
    with watching(watch_url, tmp_path):
        wait_for(lambda: value(ground, "SELECT count(*) FROM watch.incident WHERE state = 'open'") == 2)


def test_kill_9_between_claim_and_commit_loses_and_doubles_nothing(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    cameras = 8
    for number in range(1, cameras + 1):
        name = f"c{number}"
        add_camera(ground, number, server.url(name), period_s=1)
        server.scripts[name] = held(0.7, moment(FIRE))
    worker = start_worker(watch_url, str(tmp_path))
    try:
        # Some looks are written and some are on their way: this is the moment.
        wait_for(lambda: value(ground, "SELECT count(*) FROM watch.observation") >= cameras // 2)
        wait_for(
            lambda: value(ground, "SELECT count(*) FROM watch.scan_due WHERE lease_until IS NOT NULL") >= 2
        )
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    before = value(ground, "SELECT count(*) FROM watch.observation")
    orphaned = value(ground, "SELECT count(*) FROM watch.scan_due WHERE lease_until IS NOT NULL")
    assert orphaned >= 1, "the kill came while leases were held"
    with watching(watch_url, tmp_path) as figures:
        wait_for(
            lambda: (
                value(ground, "SELECT count(*) FROM watch.incident WHERE state = 'open'") == cameras
                and value(ground, "SELECT min(observation_count) FROM watch.incident") >= 3
            )
        )
    assert value(ground, "SELECT count(*) FROM watch.incident") == cameras, "one event, one incident"
    assert (
        value(ground, "SELECT count(*) FROM watch.outbox WHERE payload ->> 'transition' = 'opened'")
        == cameras
    )
    written = value(ground, "SELECT count(*) FROM watch.observation")
    assert written == before + figures["scans"]
    assert written == value(ground, COUNTED_LOOKS)
    assert written == value(ground, "SELECT sum(observation_count) FROM watch.incident")
    for row in ground.execute("SELECT sha256, path FROM watch.evidence").fetchall():
        assert hashlib.sha256((tmp_path / row["path"]).read_bytes()).hexdigest() == row["sha256"]


def test_two_watches_share_the_cameras(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    for number in range(1, 13):
        server.scripts[f"c{number}"] = held(0.05, moment(FIRE))
        add_camera(ground, number, server.url(f"c{number}"), period_s=1)
    # Small batches, so that neither takes all.
    config = CONFIG.model_copy(update={"schedule": ScheduleConfig(tick_s=0.05, batch=2, lease_s=5.0)})
    with watching(watch_url, tmp_path, config) as one, watching(watch_url, tmp_path, config) as two:
        wait_for(lambda: value(ground, "SELECT coalesce(min(observation_count), 0) FROM watch.incident") >= 3)
    assert one["scans"] > 0
    assert two["scans"] > 0
    assert one["scans"] + two["scans"] == value(ground, "SELECT count(*) FROM watch.observation")
    assert value(ground, "SELECT count(*) FROM watch.incident") == 12
    assert one["leases_lost"] == two["leases_lost"] == 0


@pytest.fixture
def own_server() -> Iterator[PrivateCluster]:
    """A database server that a test may stop."""
    home = Path(tempfile.mkdtemp(prefix="geoapp-watch-"))
    home.chmod(0o755)
    private = PrivateCluster(home, throwaway=True)
    private.up()
    migrate(private.url(), srid=4549)
    yield private
    private.destroy()
    shutil.rmtree(home, ignore_errors=True)


def test_the_database_goes_away_and_comes_back(
    own_server: PrivateCluster, server: CameraServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from geoapp.logs import configure_logs

    configure_logs(as_json=True)
    with connect(own_server.url(), autocommit=True) as connection:
        for number in range(1, 7):
            server.scripts[f"c{number}"] = held(0.3, moment(FIRE))
            add_camera(connection, number, server.url(f"c{number}"), period_s=1)
    try:
        with watching(own_server.url, tmp_path):
            wait_for(lambda: sum(server.asked.values()) >= 12)
            away_from = utc_now()
            own_server.down(mode="immediate")
            time.sleep(5.0)  # longer than a lease
            away_to = utc_now()
            own_server.up()
            with connect(own_server.url(), autocommit=True) as connection:
                before = value(connection, "SELECT count(*) FROM watch.observation")
                wait_for(lambda: value(connection, "SELECT count(*) FROM watch.observation") >= before + 12)
    finally:
        structlog.reset_defaults()
    with connect(own_server.url(), autocommit=True) as connection:
        looks = connection.execute(
            "SELECT count(*) AS n FROM watch.observation WHERE captured_at BETWEEN %s AND %s",
            (away_from + timedelta(seconds=1), away_to),
        ).fetchone()
        assert looks is not None
        assert looks["n"] >= 6 * 2, "the cameras were looked through while the database was away"
        assert value(connection, "SELECT count(*) FROM watch.incident") == 6
        assert value(connection, "SELECT count(*) FROM watch.incident WHERE state = 'open'") == 6
        written = value(connection, "SELECT count(*) FROM watch.observation")
        assert written == value(connection, COUNTED_LOOKS)
        assert written == value(connection, "SELECT sum(observation_count) FROM watch.incident")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    events = [line["event"] for line in lines]
    assert 1 <= events.count("database_away") <= 2, "said once for an outage"
    assert "database_back" in events
    assert not [line for line in lines if "Traceback" in json.dumps(line)]
    assert "scan_failed" not in events


def test_a_full_spool_gives_up_empty_looks_and_the_ledger_says_so(
    own_server: PrivateCluster, server: CameraServer, tmp_path: Path
) -> None:
    with connect(own_server.url(), autocommit=True) as connection:
        for number in range(1, 7):
            server.scripts[f"c{number}"] = moment(*[FIRE] * (number == 1))
            add_camera(connection, number, server.url(f"c{number}"), period_s=1)
    config = CONFIG.model_copy(update={"spool": SpoolConfig(results=8)})
    with watching(own_server.url, tmp_path, config) as figures:
        wait_for(lambda: sum(server.asked.values()) >= 12)
        own_server.down(mode="immediate")
        away_from = utc_now()
        time.sleep(5.0)
        away_to = utc_now()
        own_server.up()
        with connect(own_server.url(), autocommit=True) as connection:
            before = value(connection, "SELECT count(*) FROM watch.observation")
            wait_for(lambda: value(connection, "SELECT count(*) FROM watch.observation") >= before + 18)
    assert figures["dropped"] >= 6
    with connect(own_server.url(), autocommit=True) as connection:
        missed = value(
            connection, "SELECT sum((reasons ->> 'not_scanned')::integer) FROM watch.observation_hour"
        )
        assert missed >= figures["dropped"] - 6
        kept = connection.execute(
            "SELECT count(*) FILTER (WHERE boxes <> '[]') AS telling FROM watch.observation WHERE captured_at BETWEEN %s AND %s",
            (away_from, away_to),
        ).fetchone()
        assert kept is not None
        assert kept["telling"] >= 3, "what shows a fire is given up last"


def test_old_rows_are_forgotten_but_no_evidence(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    for number in (1, 2):
        add_camera(ground, number, server.url(f"c{number}"), period_s=1)
        server.scripts[f"c{number}"] = moment(*[FIRE] * (number - 1))
    source = HttpSnapshot(CONFIG.fetch, clock=utc_now)
    with watching(watch_url, tmp_path):
        wait_for(lambda: value(ground, "SELECT coalesce(max(observation_count), 0) FROM watch.incident") >= 3)
    counted = value(ground, "SELECT sum(observed) FROM watch.observation_hour")
    evidence = value(ground, "SELECT count(*) FROM watch.evidence")
    later = utc_now() + timedelta(days=8)
    with open_watch(
        watch_url,
        source,
        RedDetector(),
        config=CONFIG,
        evidence_folder=tmp_path / "evidence",
        clock=lambda: later,
    ) as watch:
        watch.forget()
    left = "SELECT count(*) FROM watch.observation WHERE boxes = '[]'"
    assert value(ground, left) == 0
    assert value(ground, "SELECT count(*) FROM watch.outbox") == 0
    assert value(ground, "SELECT count(*) FROM watch.evidence") == evidence > 0
    assert value(ground, "SELECT sum(observed) FROM watch.observation_hour") == counted


def test_the_watch_gathers_negatives_and_forgets_who_was_told(
    ground: Connection, watch_url: str, tmp_path: Path
) -> None:
    """Rejections reach the folder by themselves, within its bound; a folder that cannot be written stops nothing."""
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    evidence = tmp_path / "evidence"
    now = utc_now()
    for seconds in (0, 10):
        look(ground, now + timedelta(seconds=seconds), [fire_at(12.0, 22.0)], evidence)
    ground.execute("UPDATE watch.incident SET review = 'false', false_cause = 'lamp_sun'")
    hear = ground.execute(
        "INSERT INTO watch.receiver (name, kind, address, topics, per_minute, added_at, added_by, next_try_at, tokens_at)"
        " VALUES ('desk', 'webhook', 'http://127.0.0.1:9/', '{incident}', 60, now(), 'test', now(), now()) RETURNING id"
    ).fetchone()
    assert hear is not None
    for key, days in (("old", 401), ("new", 399)):
        ground.execute(
            "INSERT INTO watch.delivery (receiver_id, message_key, topic, subject, transition, happened_at, state, next_try_at,"
            " due_since, delivered_at) VALUES (%s, gen_random_uuid(), 'incident', %s, 'opened', %s, 'delivered', now(), now(), now())",
            (hear["id"], key, now - timedelta(days=days)),
        )

    def forget(**negatives: Any) -> None:
        config = CONFIG.model_copy(update={"negatives": NegativesConfig(**negatives)})
        source = HttpSnapshot(CONFIG.fetch, clock=utc_now)
        with open_watch(watch_url, source, RedDetector(), config=config, evidence_folder=evidence) as watch:
            watch.forget()

    def gathered(folder: Path = tmp_path / "negatives") -> int:
        return len(list(folder.glob("images/*.jpg")))

    forget(gather=False)
    assert gathered() == 0
    assert value(ground, "SELECT string_agg(subject, ' ') FROM watch.delivery") == "new"
    forget(folder=tmp_path / "elsewhere", most_mb=0)
    assert gathered(tmp_path / "elsewhere") == 0
    (tmp_path / "file").write_text("no folder")
    with structlog.testing.capture_logs() as logged:
        forget(folder=tmp_path / "file")
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["negatives_not_gathered"]
    forget()
    assert gathered() == value(ground, "SELECT count(*) FROM watch.evidence") > 0
    # Switched off afterwards: none comes in, and what is no false alarm any more goes all the same.
    taken = ground.execute("SELECT id FROM watch.evidence ORDER BY captured_at LIMIT 1").fetchone()
    assert taken is not None
    (tmp_path / "negatives" / "images" / f"{taken['id']}.jpg").unlink()
    forget(gather=False)
    assert gathered() == value(ground, "SELECT count(*) FROM watch.evidence") - 1
    ground.execute("UPDATE watch.incident SET review = 'confirmed', false_cause = NULL")
    forget(gather=False)
    assert gathered() == 0


def test_one_pass_without_a_clockwork(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    add_camera(ground, 1, server.url("a"), period_s=600)
    server.scripts["a"] = moment()
    source = HttpSnapshot(CONFIG.fetch, clock=utc_now)
    with open_watch(watch_url, source, RedDetector(), config=CONFIG, evidence_folder=tmp_path) as watch:
        assert watch.sync() == 1
        assert watch.make_due([gb_id(1), gb_id(99)]) == [gb_id(1)]
        assert watch.tick() == 1
        assert watch.settle(5.0) == 0
        assert watch.tick() == 0, "not due again for ten minutes"
    assert value(ground, "SELECT count(*) FROM watch.observation") == 1
