"""`geoapp detect` as people use it: JSON, exit states, clear refusals."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from typer.testing import CliRunner, Result
from watching import CameraServer, RedDetector, add_camera, claim_one, fire_at, gb_id, picture, send, status

from detection import commands
from detection.config import read_config
from detection.farm_command import farm_cameras
from geoapp.database.cluster import PrivateCluster
from geoapp.errors import Refused
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]
FIRE = fire_at(12.0, 22.0).corners


@pytest.fixture(autouse=True)
def installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, watch_url: str) -> Iterator[Path]:
    """An installation with the test's database and an engine that sees red."""
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEOAPP_DATABASE_URL", watch_url)
    monkeypatch.setattr(commands, "_open_detector", lambda rules: RedDetector())
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()
    structlog.reset_defaults()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(commands.app, list(arguments))


def test_once_looks_through_the_due_cameras(ground: Connection, server: CameraServer) -> None:
    server.scripts["a"] = send(picture(1, FIRE))
    server.scripts["b"] = status(401)
    add_camera(ground, 1, server.url("a"), period_s=600)
    add_camera(ground, 2, server.url("b"), period_s=600)
    done = call("once", "--camera", gb_id(1), "--camera", gb_id(2), "--json")
    assert done.exit_code == 0, done.output
    rows = {row["what"]: row for row in json.loads(done.stdout)}
    assert rows[gb_id(1)]["boxes"][0]["class"] == "fire"
    assert (rows[gb_id(2)]["observed"], rows[gb_id(2)]["reason"]) == (False, "http_401")
    table = call("once", "--camera", gb_id(2))
    assert "UNOBSERVED(http_401)" in table.stdout


def test_once_looks_through_cameras_of_every_kind_of_address(
    ground: Connection, server: CameraServer, installation: Path
) -> None:
    (installation / "played").mkdir()
    (installation / "played" / "1.jpg").write_bytes(picture(1, FIRE))
    server.scripts["ISAPI/Streaming/channels/201/picture"] = send(picture(2))
    host = server.url("").removeprefix("http://").strip("/")
    expected = {
        f"file://{installation}/played": None,
        f"isapi://{host}/2": None,
        f"file://{installation}/gone.jpg": "file_missing",
        "rtsp://127.0.0.1:1/live": "connection_refused",
        f"gb28181://{gb_id(5)}": "platform_not_set",
    }
    for number, url in enumerate(expected, 1):
        add_camera(ground, number, url, period_s=600)
    done = call("once", *(word for n in range(1, 6) for word in ("--camera", gb_id(n))), "--json")
    assert done.exit_code == 0, done.output
    rows = {row["what"]: row for row in json.loads(done.stdout)}
    assert [rows[gb_id(n)]["reason"] for n in range(1, 6)] == list(expected.values())
    assert [box["class"] for box in rows[gb_id(1)]["boxes"]] == ["fire"]


def test_once_refuses_what_it_cannot_look_through(ground: Connection, server: CameraServer) -> None:
    nothing = call("once")
    assert isinstance(nothing.exception, Refused)
    assert "No camera is connected" in str(nothing.exception)
    add_camera(ground, 1, server.url("a"))
    unknown = call("once", "--camera", gb_id(77))
    assert isinstance(unknown.exception, Refused)
    assert gb_id(77) in str(unknown.exception)


def test_once_says_that_nothing_was_due(ground: Connection, server: CameraServer) -> None:
    server.scripts["a"] = send(picture(1))
    add_camera(ground, 1, server.url("a"), period_s=600)
    assert call("once", "--camera", gb_id(1), "--json").exit_code == 0
    idle = call("once")
    assert idle.exit_code == 0
    assert "Nothing was due" in idle.stderr
    idle_json = call("once", "--json")
    assert json.loads(idle_json.stdout) == []
    assert "Nothing was due" in idle_json.stderr


def test_once_names_a_camera_that_a_running_watch_holds(ground: Connection, server: CameraServer) -> None:
    server.scripts["b"] = send(picture(1))
    add_camera(ground, 1, server.url("a"), period_s=600)
    claim_one(ground, datetime.now(UTC), owner="a running watch")
    add_camera(ground, 2, server.url("b"), period_s=600)
    done = call("once", "--camera", gb_id(1), "--camera", gb_id(2), "--json")
    assert [row["what"] for row in json.loads(done.stdout)] == [gb_id(2)]
    assert isinstance(done.exception, Refused)
    assert "holds these" in str(done.exception)
    assert gb_id(1) in str(done.exception)
    assert gb_id(2) not in str(done.exception)
    assert "a" not in server.asked


def test_once_names_a_look_that_could_not_be_written(
    ground: Connection, server: CameraServer, installation: Path
) -> None:
    server.scripts["a"] = send(picture(1, FIRE))
    add_camera(ground, 1, server.url("a"), period_s=600)
    (installation / "home").mkdir(exist_ok=True)
    (installation / "home" / "evidence").write_text("a file where the folder should be")
    done = call("once", "--camera", gb_id(1), "--json")
    assert json.loads(done.stdout) == []
    assert isinstance(done.exception, Refused)
    assert "nothing was written" in str(done.exception)
    assert gb_id(1) in str(done.exception)


def test_once_over_a_folder_names_damaged_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(picture(1, FIRE))
    (folder / "b.jpg").write_bytes(picture(2)[:999])
    done = call("once", "--folder", str(folder), "--json")
    rows = json.loads(done.stdout)
    assert [r["what"] for r in rows] == ["a.jpg", "b.jpg"]
    assert rows[0]["boxes"][0]["score"] == 0.9
    assert rows[1] == {"what": "b.jpg", "observed": False, "reason": "damaged_image", "boxes": []}


def test_run_ends_cleanly_on_sigterm(ground: Connection, server: CameraServer, tmp_path: Path) -> None:
    server.scripts["a"] = send(lambda count: picture(count, FIRE))
    add_camera(ground, 1, server.url("a"), period_s=1)
    threading.Timer(3.0, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    done = call("run", "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["scans"] == figures["observed"] >= 2
    held = ground.execute("SELECT count(*) AS n FROM watch.scan_due WHERE lease_until IS NOT NULL").fetchone()
    assert held == {"n": 0}
    frames = list((tmp_path / "home" / "evidence").rglob("*.jpg"))
    kept = ground.execute("SELECT count(*) AS n FROM watch.evidence").fetchone()
    assert kept == {"n": len(frames)}
    assert frames


def test_simulate_runs_in_a_database_of_its_own(ground: Connection) -> None:
    done = call("simulate", "--cameras", "20", "--period", "1", "--seconds", "3", "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["model"] == "none"
    assert figures["wanted_per_s"] == 20
    assert 5 < figures["scans_per_s"] <= 25
    cameras = ground.execute("SELECT count(*) AS n FROM registry.camera").fetchone()
    assert cameras == {"n": 0}
    left = ground.execute(
        "SELECT count(*) AS n FROM pg_database WHERE datname LIKE 'geoapp_simulate%%'"
    ).fetchone()
    assert left == {"n": 0}


def test_a_database_without_schema_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, cluster: PrivateCluster
) -> None:
    monkeypatch.setenv("GEOAPP_DATABASE_URL", cluster.url("postgres"))
    settings.cache_clear()
    for command in (["run"], ["once"], ["farm"]):
        done = call(*command)
        assert isinstance(done.exception, Refused)
        assert "geoapp db up" in str(done.exception)


def test_wrong_usage_is_status_two() -> None:
    assert call("simulate", "--cameras", "0", "--period", "1", "--seconds", "1").exit_code == 2
    assert call("once", "--nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedule: {lease_s: -1}", "schedule.lease_s"),
        ("shedule: {}", "shedule"),
        ("incidents: {open_votes: 9}", "open_votes"),
        ("detector: {backend: cloud}", "detector.backend"),
        ("a: [", "YAML"),
        ("[1, 2]", "wrong settings"),
    ],
)
def test_wrong_settings_name_the_field(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "watch.yaml"
    file.write_text(text)
    with pytest.raises(Refused, match=said):
        read_config(file)


def test_good_settings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "watch.yaml"
    file.write_text("incidents: {close_after: 6}\ndetector: {thresholds: {fire: 0.3}}\n")
    config = read_config(file)
    assert config.incidents.state_rules().close_after == 6
    assert config.detector.thresholds == {"fire": 0.3}
    with pytest.raises(Refused, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


def test_the_farm_plays_what_points_at_it(ground: Connection, watch_url: str) -> None:
    with pytest.raises(Refused, match="no generated camera"):
        farm_cameras(watch_url, 8051)
    for number, (port, generated) in enumerate([(8051, True), (8051, False), (9000, True)], 1):
        add_camera(ground, number, f"http://127.0.0.1:{port}/snapshot/{gb_id(number)}.jpg")
        ground.execute(
            "UPDATE registry.camera SET is_generated = %s, scene_kind = 'yard' WHERE gb_id = %s",
            (generated, gb_id(number)),
        )
    (one,) = farm_cameras(watch_url, 8051)
    assert (one.gb_id, one.kind, one.pose.width_px) == (gb_id(1), "yard", 640)
    assert farm_cameras(watch_url, 8051) == [one], "the same place each time"
    ground.execute("UPDATE registry.camera SET scene_kind = 'moon'")
    with pytest.raises(Refused, match="moon"):
        farm_cameras(watch_url, 8051)
    ground.execute("UPDATE registry.camera SET height_m = NULL")
    with pytest.raises(Refused, match="no pose"):
        farm_cameras(watch_url, 8051)


def test_training_commands_are_mounted() -> None:
    names = {
        command.name or command.callback.__name__
        for command in commands.app.registered_commands
        if command.callback
    }
    for group in commands.app.registered_groups:
        if group.typer_instance is not None:
            names |= {
                c.name or c.callback.__name__ for c in group.typer_instance.registered_commands if c.callback
            }
    assert {"run", "once", "simulate", "farm", "train", "evaluate", "export"} <= names
