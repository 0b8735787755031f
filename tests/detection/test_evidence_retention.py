"""Frames kept by policy, held by law, deleted on record, and none lost or left behind when a sweep is killed."""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import structlog
from typer.testing import CliRunner, Result
from watching import T0, add_camera, fire_at, look

from detection import evidence, evidence_commands
from detection.config import EvidenceConfig, WatchConfig
from detection.evidence import NoRoomError, TamperedError, keep_frame, read_frame
from detection.retention import SETTLED_S, check, sweep
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]
CONFIG = EvidenceConfig(low_mb=0, full_mb=0)
NOW = datetime.now(UTC)
LATER = NOW + timedelta(seconds=2 * SETTLED_S)
T0_ID, OTHER_ID = UUID(int=1), UUID(int=2)


@pytest.fixture
def city(evidence_url: str) -> Iterator[Connection]:
    with connect(evidence_url, autocommit=True) as connection:
        add_camera(connection, 1, "http://127.0.0.1:1/none.jpg")
        yield connection


def incident_with_frames(
    connection: Connection,
    folder: Path,
    *,
    review: str = "false",
    age: timedelta = timedelta(days=31),
    looks: int = 2,
) -> int:
    """A closed incident of the watch's own making, last seen so long ago; its number."""
    begin = connection.execute("SELECT coalesce(max(incident_no), 0) AS n FROM watch.incident").fetchone()
    assert begin is not None
    for i in range(looks):
        look(connection, T0 + timedelta(hours=begin["n"], seconds=40 * i), [fire_at(12.0, 22.0)], folder)
    row = connection.execute(
        "UPDATE watch.incident SET state = 'closed', closed_at = %(at)s, review = %(review)s, last_seen_at = %(at)s,"
        " first_seen_at = %(at)s WHERE incident_no > %(n)s RETURNING incident_no",
        {"at": NOW - age, "review": review, "n": begin["n"]},
    ).fetchone()
    assert row is not None
    return int(row["incident_no"])


def count(connection: Connection, what: str) -> int:
    row = connection.execute(f"SELECT count(*) AS n FROM {what}".encode()).fetchone()
    assert row is not None
    return int(row["n"])


def frames(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def hold(connection: Connection, number: int, reason: str = "法院调证") -> None:
    connection.execute(
        "INSERT INTO watch.legal_hold (incident_id, reason) SELECT id, %s FROM watch.incident WHERE incident_no = %s",
        (reason, number),
    )


@pytest.mark.parametrize(
    ("review", "days", "goes"),
    [("false", 31, True), ("false", 29, False), ("permitted", 91, True), ("permitted", 89, False), ("unreviewed", 181, True),
     ("unreviewed", 179, False), ("confirmed", 1096, True), ("confirmed", 1094, False)],
)  # fmt: skip
def test_frames_go_when_their_time_is_over(
    city: Connection, tmp_path: Path, review: str, days: int, goes: bool
) -> None:
    incident_with_frames(city, tmp_path, review=review, age=timedelta(days=days))
    sizes = [p.stat().st_size for p in frames(tmp_path)]
    assert len(sizes) == 2
    until = city.execute("SELECT keep_until, is_held, days FROM analysis.evidence_kept").fetchall()
    done = sweep(city, tmp_path, NOW, CONFIG)
    assert (done.begun, done.deleted, done.bytes) == ((2, 2, sum(sizes)) if goes else (0, 0, 0))
    assert len(frames(tmp_path)) == count(city, "watch.evidence") == (0 if goes else 2)
    assert all((row["keep_until"] <= NOW) == goes for row in until)
    log = city.execute("SELECT * FROM analysis.evidence_deleted").fetchall()
    assert [(r["review"], r["deleted_at"], r["was_missing"]) for r in log] == [(review, NOW, False)] * (
        2 if goes else 0
    )
    assert all(r["basis_zh"] and len(r["sha256"]) == 64 for r in log)
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 0


def test_what_is_not_closed_or_reviewed_lately_stays(city: Connection, tmp_path: Path) -> None:
    incident_with_frames(city, tmp_path, age=timedelta(days=4000))
    city.execute("UPDATE watch.incident SET state = 'open', closed_at = NULL")
    assert sweep(city, tmp_path, NOW, CONFIG).begun == 0
    city.execute("UPDATE watch.incident SET state = 'closed', reviewed_at = %s", (NOW - timedelta(days=3),))
    assert sweep(city, tmp_path, NOW, CONFIG).begun == 0
    assert sweep(city, tmp_path, NOW + timedelta(days=4000), CONFIG).begun == 0, (
        "a clock ahead deletes nothing early"
    )
    city.execute("UPDATE watch.incident SET reviewed_at = NULL")
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 2


def test_a_class_has_a_policy_of_its_own_and_changes_are_in_the_audit(
    city: Connection, tmp_path: Path
) -> None:
    incident_with_frames(city, tmp_path, age=timedelta(days=31))
    city.execute(
        "INSERT INTO watch.retention_policy (review, class, days, basis_zh, basis_en) VALUES ('false', 'fire', 60, '依据', 'basis')"
    )
    assert sweep(city, tmp_path, NOW, CONFIG).begun == 0
    city.execute("UPDATE watch.retention_policy SET days = 30 WHERE class = 'fire'")
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 2
    told = city.execute(
        "SELECT action, before ->> 'days' AS before, after ->> 'days' AS after FROM access.audit"
        " WHERE subject = 'watch.retention_policy' AND after ? 'days' ORDER BY id DESC LIMIT 2"
    ).fetchall()
    assert [(r["action"], r["before"], r["after"]) for r in told] == [
        ("update", "60", "30"),
        ("insert", None, "60"),
    ]
    with pytest.raises(psycopg.errors.CheckViolation):
        city.execute("UPDATE watch.retention_policy SET days = 3")


@pytest.mark.parametrize(
    "attempt",
    [
        "DELETE FROM watch.evidence",
        "UPDATE watch.evidence SET path = 'x'",
        "UPDATE watch.evidence SET incident_id = incident_id",
        "TRUNCATE watch.evidence",
        "TRUNCATE watch.incident CASCADE",
        "TRUNCATE watch.legal_hold",
        "DELETE FROM watch.legal_hold",
        "UPDATE watch.legal_hold SET reason = '不保了吧'",
        "UPDATE watch.legal_hold SET released_at = now()",
        "SET session_replication_role = replica; DELETE FROM watch.evidence",
        "SELECT watch.end_deletion(id, now(), false) FROM watch.evidence; DELETE FROM watch.evidence",
    ],
)
def test_nothing_under_a_hold_is_deleted_even_by_the_owner(
    city: Connection, tmp_path: Path, attempt: str
) -> None:
    number = incident_with_frames(city, tmp_path, age=timedelta(days=4000))
    hold(city, number)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match=r"保全|legal hold"):
        city.execute(attempt.encode())
    city.execute("SET session_replication_role = DEFAULT")
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 0
    assert (count(city, "watch.evidence"), len(frames(tmp_path))) == (2, 2)
    row = city.execute("SELECT held_by, since, released_at FROM analysis.legal_hold").fetchone()
    assert row is not None
    assert row["held_by"]
    assert row["released_at"] is None


def test_each_hold_is_released_once_with_its_reason(city: Connection, tmp_path: Path) -> None:
    number = incident_with_frames(city, tmp_path)
    hold(city, number)
    hold(city, number, "保险理赔")
    city.execute("UPDATE watch.legal_hold SET release_reason = '案件办结' WHERE reason = '法院调证'")
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 0, "the other hold stands"
    city.execute("UPDATE watch.legal_hold SET release_reason = '理赔办结' WHERE reason = '保险理赔'")
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="once"):
        city.execute("UPDATE watch.legal_hold SET release_reason = '再次解除'")
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 2
    assert count(city, "access.audit WHERE subject = 'watch.legal_hold'") == 4


def test_a_hold_comes_before_a_deletion_that_was_begun(city: Connection, tmp_path: Path) -> None:
    number = incident_with_frames(city, tmp_path)
    city.execute("SELECT watch.begin_deletions(%s, 10)", (NOW,))
    assert len(check(city, tmp_path, LATER).unfinished) == 2
    hold(city, number)
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 0
    assert (count(city, "watch.evidence"), len(frames(tmp_path)), count(city, "watch.deletion")) == (2, 2, 0)


def test_a_hold_waits_for_the_frame_that_is_just_being_deleted(
    city: Connection, evidence_url: str, tmp_path: Path
) -> None:
    """Between may_delete and the end nobody can place a hold; from then on nothing more goes."""
    number = incident_with_frames(city, tmp_path)
    city.execute("SELECT watch.begin_deletions(%s, 10)", (NOW,))
    first = city.execute("SELECT evidence_id FROM watch.deletion LIMIT 1").fetchone()
    assert first is not None
    with connect(evidence_url, autocommit=True) as other:
        holder = threading.Thread(target=hold, args=(other, number))
        with city.transaction():
            city.execute("SELECT * FROM watch.may_delete(%s)", (first["evidence_id"],))
            holder.start()
            holder.join(0.3)
            assert holder.is_alive()
            city.execute("SELECT watch.end_deletion(%s, %s, false)", (first["evidence_id"], NOW))
        holder.join(10)
        assert not holder.is_alive()
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 0
    assert count(city, "watch.evidence") == 1


KILLED = """
import os, sys
from datetime import datetime
from pathlib import Path
from detection import retention
from detection.config import EvidenceConfig
from geoapp.database.connection import connect
url, folder, at, step = sys.argv[1], Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3]), int(sys.argv[4])
seen = 0
def die_at_step(frame, event, arg):
    global seen
    if frame.f_code.co_filename == retention.__file__ and event == "line":
        seen += 1
        if seen == step:
            os.kill(os.getpid(), 9)
    return die_at_step
with connect(url, autocommit=True) as connection:
    sys.settrace(die_at_step)
    retention.sweep(connection, folder, at, EvidenceConfig(low_mb=0, full_mb=0))
    sys.settrace(None)
print(seen)
"""


def killed_sweep(url: str, folder: Path, step: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED, url, str(folder), NOW.isoformat(), str(step)],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip


def kill_at(city: Connection, url: str, folder: Path, steps: list[int]) -> None:
    for step in steps:
        incident_with_frames(city, folder)
        before = {row["id"]: row["path"] for row in city.execute("SELECT id, path FROM watch.evidence")}
        died = killed_sweep(url, folder, step)
        assert died.returncode == -9, died.stderr
        # Whatever is gone is on record, and whatever is on record as done is gone.
        for row in city.execute("SELECT evidence_id, deleted_at FROM watch.deletion").fetchall():
            if row["evidence_id"] in before and row["deleted_at"] is not None:
                assert not (folder / before[row["evidence_id"]]).exists()
        begun = {
            row["evidence_id"] for row in city.execute("SELECT evidence_id FROM watch.deletion").fetchall()
        }
        lost = check(city, folder, LATER).lost
        assert set(lost) <= begun, "a file that is gone without a deletion on record"
        sweep(city, folder, NOW, CONFIG)
        found = check(city, folder, LATER)
        assert found.is_sound, (step, found)
        assert (found.rows, found.files) == (0, 0), step
        assert count(city, "watch.deletion WHERE deleted_at IS NOT NULL") >= len(before)


def test_a_sweep_killed_between_steps_is_finished_by_the_next(
    city: Connection, evidence_url: str, tmp_path: Path
) -> None:
    kill_at(city, evidence_url, tmp_path, [24, 30, 36])


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_sweep_killed_at_every_line(city: Connection, evidence_url: str, tmp_path: Path) -> None:
    incident_with_frames(city, tmp_path)
    whole = killed_sweep(evidence_url, tmp_path, 0)
    assert whole.returncode == 0, whole.stderr
    kill_at(city, evidence_url, tmp_path, list(range(1, int(whole.stdout.split()[-1]))))


def test_check_names_what_does_not_agree(city: Connection, tmp_path: Path) -> None:
    incident_with_frames(city, tmp_path, looks=3)
    assert check(city, tmp_path, LATER).is_sound
    lost, altered, _ = frames(tmp_path)
    lost.unlink()
    altered.write_bytes(altered.read_bytes() + b"\0")
    (tmp_path / "stray.jpg").write_bytes(b"x")
    today = tmp_path / f"{NOW:%Y/%m/%d}"
    today.mkdir(parents=True, exist_ok=True)
    (today / "half.part").write_bytes(b"x")
    found = check(city, tmp_path, LATER)
    assert [str(i) for i in found.lost] == [lost.stem]
    assert [str(i) for i in found.altered] == [altered.stem]
    assert (found.unknown, found.drafts) == (["stray.jpg"], [f"{NOW:%Y/%m/%d}/half.part"])
    assert not found.is_sound
    assert check(city, tmp_path, NOW).unknown == [], "what was just written may still be on its way"
    row = city.execute("SELECT path, sha256 FROM watch.evidence WHERE id = %s", (altered.stem,)).fetchone()
    assert row is not None
    with pytest.raises(TamperedError):
        read_frame(tmp_path, row["path"], row["sha256"])
    assert read_frame(tmp_path, "../../etc/passwd", "0" * 64) is None
    assert sweep(city, tmp_path, LATER, CONFIG).drafts == 1


def test_a_file_that_cannot_be_removed_stays_marked_and_is_tried_again(
    city: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident_with_frames(city, tmp_path)
    stuck = frames(tmp_path)[0]
    unlink = Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self == stuck:
            raise PermissionError(errno.EACCES, "read-only", str(self))
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    done = sweep(city, tmp_path, NOW, CONFIG)
    assert (done.deleted, done.failed) == (1, 1)
    assert count(city, "watch.evidence") == 1
    monkeypatch.undo()
    assert sweep(city, tmp_path, NOW, CONFIG).deleted == 1


def test_the_watch_itself_sweeps_and_can_delete_nothing_else(
    city: Connection, evidence_url: str, tmp_path: Path
) -> None:
    incident_with_frames(city, tmp_path)
    kept = incident_with_frames(city, tmp_path, review="confirmed")
    with connect(evidence_url, autocommit=True) as watch:
        watch.execute("SET ROLE geoapp_watch")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            watch.execute("DELETE FROM watch.evidence")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            watch.execute("UPDATE watch.retention_policy SET days = 30")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            watch.execute("UPDATE watch.deletion SET deleted_at = NULL, was_missing = NULL")
        # An end without a beginning deletes nothing.
        watch.execute("SELECT watch.end_deletion(id, now(), false) FROM watch.evidence")
        assert sweep(watch, tmp_path, NOW, CONFIG).deleted == 2
    assert count(city, "watch.evidence") == 2
    assert city.execute("SELECT DISTINCT incident_no FROM analysis.evidence_kept").fetchall() == [
        {"incident_no": kept}
    ]


def test_a_sweep_inside_a_transaction_is_refused(city: Connection, tmp_path: Path) -> None:
    with city.transaction(), pytest.raises(ValueError, match="outside a transaction"):
        sweep(city, tmp_path, NOW, CONFIG)


# --- room ------------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_incident_and_says_that_its_frame_is_missing(
    city: Connection, tmp_path: Path
) -> None:
    full = WatchConfig(evidence=EvidenceConfig(full_mb=1e12))
    for i in range(2):
        look(city, T0 + timedelta(seconds=40 * i), [fire_at(12.0, 22.0)], tmp_path, config=full)
    row = city.execute("SELECT state, observation_count FROM watch.incident").fetchone()
    assert row == {"state": "open", "observation_count": 2}
    kept = city.execute("SELECT path, sha256, not_kept FROM watch.evidence").fetchall()
    assert kept == [{"path": None, "sha256": None, "not_kept": "disk_full"}] * 2
    assert frames(tmp_path) == []
    found = check(city, tmp_path, LATER)
    assert (found.is_sound, len(found.not_kept)) == (True, 2)


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_while_writing_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    if call == "fsync":
        monkeypatch.setattr(evidence.os, "fsync", full)
    else:
        monkeypatch.setattr(
            evidence, "_write", lambda draft, target, data: (draft.write_bytes(data[:9]), full())
        )
    with pytest.raises(NoRoomError):
        keep_frame(tmp_path, T0_ID, b"\xff\xd8" * 500, T0)
    assert frames(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting needs root")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no tmpfs here: {done.stderr.decode().strip()}")
    try:
        kept = keep_frame(folder, T0_ID, b"\xff\xd8" + b"a" * 20_000, T0)
        with pytest.raises(NoRoomError):
            keep_frame(folder, OTHER_ID, b"\xff\xd8" + b"b" * 60_000, T0)
        assert [str(p.relative_to(folder)) for p in frames(folder)] == [kept.path]
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_other_faults_of_the_disk_are_not_taken_for_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(evidence, "_write", broken)
    with pytest.raises(OSError, match="input/output") as caught:
        keep_frame(tmp_path, T0_ID, b"\xff\xd8", T0)
    assert not isinstance(caught.value, NoRoomError)


@pytest.mark.parametrize(("low", "full", "state"), [(0, 0, "enough"), (1e12, 0, "low"), (1e12, 1e12, "full")])
def test_room_is_measured_by_each_sweep(
    city: Connection, tmp_path: Path, low: float, full: float, state: str
) -> None:
    done = sweep(city, tmp_path / "not" / "yet", NOW, EvidenceConfig(low_mb=low, full_mb=full))
    row = city.execute("SELECT * FROM analysis.evidence_room").fetchone()
    assert row is not None
    assert (row["state"], row["free_bytes"], row["measured_at"]) == (state, done.room.free, NOW)
    assert 0 < row["free_bytes"] <= row["total_bytes"]


# --- geoapp evidence -------------------------------------------------------------------------------------------


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, evidence_url: str) -> Iterator[Path]:
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path))
    monkeypatch.setenv("GEOAPP_DATABASE_URL", evidence_url)
    settings.cache_clear()
    yield tmp_path / "evidence"
    settings.cache_clear()
    structlog.reset_defaults()


def call(*arguments: str) -> Result:
    return CliRunner().invoke(evidence_commands.app, list(arguments))


def test_commands_hold_release_sweep_check_and_list(city: Connection, installation: Path) -> None:
    number = incident_with_frames(city, installation)
    assert "保全" in call("hold", str(number), "--why", "法院调证").output
    listed = json.loads(call("list", "--held", "--json").stdout)
    assert [(r["incident_no"], r["frames"], r["is_held"]) for r in listed["incidents"]] == [(number, 2, True)]
    assert "180" in call("list").output
    row = city.execute("SELECT held_by FROM watch.legal_hold").fetchone()
    assert row is not None
    assert row["held_by"].startswith("command line")
    assert json.loads(call("sweep", "--json").stdout)["deleted"] == 0
    assert call("release", str(number), "--why", "案件办结").exit_code == 0
    assert isinstance(call("release", str(number), "--why", "案件办结").exception, Refused)
    assert json.loads(call("sweep", "--json").stdout)["deleted"] == 2
    assert call("check").exit_code == 0
    (installation / "stray.jpg").write_bytes(b"x")
    os.utime(installation / "stray.jpg", (1e9, 1e9))
    broken = call("check")
    assert "stray.jpg" in broken.output
    assert isinstance(broken.exception, Refused)


@pytest.mark.parametrize(
    "arguments",
    [
        ("hold", "999", "--why", "法院调证"),
        ("hold", "1", "--why", "x"),
        ("release", "999", "--why", "案件办结"),
    ],
)
def test_wrong_commands_are_refused_with_the_reason(
    city: Connection, installation: Path, arguments: tuple[str, ...]
) -> None:
    refused = call(*arguments).exception
    assert isinstance(refused, Refused)
    assert "/" in str(refused)
