"""`geoapp detect mode`, `mask` and `negatives` as people use them: through the program itself, with its exit states."""

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from watching import add_camera, fire_at, gb_id, look

from geoapp import cli
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]
Call = Callable[..., tuple[int, str, str]]
NOW = datetime.now(UTC)


@pytest.fixture
def detect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, watch_url: str
) -> Iterator[Call]:
    """`geoapp detect …`: exit state, standard output, standard error."""
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEOAPP_DATABASE_URL", watch_url)
    monkeypatch.setenv("COLUMNS", "250")
    settings.cache_clear()

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["geoapp", "detect", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    yield call
    settings.cache_clear()


@pytest.fixture
def lamp(ground: Connection, tmp_path: Path) -> Connection:
    """A lamp that was taken for a fire, and called so: a mask is proposed, two frames are kept."""
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    for seconds in (0, 10):
        look(ground, NOW + timedelta(seconds=seconds), [fire_at(12.0, 22.0)], tmp_path / "home" / "evidence")
    ground.execute(
        "UPDATE watch.incident SET review = 'false', review_reason = '灯', false_cause = 'lamp_sun', reviewed_by = 'test',"
        " reviewed_at = now()"
    )
    return ground


# --- mode ---------------------------------------------------------------------------------------------------------------


def test_a_mode_is_set_listed_and_remembered(detect: Call, ground: Connection) -> None:
    for number in (1, 2):
        add_camera(ground, number, "http://127.0.0.1:1/none.jpg")
    state, out, said = detect("mode")
    assert (state, out) == (0, "")
    assert "没有单独设置" in said
    assert "nothing is set" in said
    state, out, said = detect("mode", gb_id(1), gb_id(2), "--set", "shadow", "--reason", "试运行一周")
    assert (state, out) == (0, "")
    assert "已设置 2 台" in said
    assert "set for 2" in said
    asked = ("mode", gb_id(1), "--set", "measure", "--class", "smoke", "--reason", "蒸汽多", "--json")
    state, out, _ = detect(*asked)
    assert (state, json.loads(out)) == (0, {"cameras": 1, "class": "smoke", "mode": "measure"})
    state, out, _ = detect("mode", gb_id(1), "--json")
    rows = [(r["class"], r["mode"], r["reason"]) for r in json.loads(out)]
    assert rows == [("smoke", "measure", "蒸汽多"), (None, "shadow", "试运行一周")]
    assert json.loads(out)[0]["set_by"].startswith("command line")
    detect("mode", gb_id(1), "--set", "alert", "--reason", "试运行结束")
    assert len(json.loads(detect("mode", gb_id(1), "--json")[1])) == 2
    assert len(json.loads(detect("mode", gb_id(1), "--history", "--json")[1])) == 3
    state, table, _ = detect("mode")
    assert state == 0
    assert "试运行结束" in table
    assert gb_id(2) in table


@pytest.mark.parametrize(
    ("arguments", "zh", "en"),
    [
        ((gb_id(1), "--set", "loud", "--reason", "试运行"), "没有这一模式", "no such mode"),
        (
            (gb_id(1), "--set", "shadow", "--class", "fog", "--reason", "试运行"),
            "没有这一类别",
            "no such class",
        ),
        ((gb_id(1), "--set", "shadow"), "请说明原因", "Say why"),
        ((gb_id(1), gb_id(77), "--set", "shadow", "--reason", "试运行"), "没有这些摄像机", gb_id(77)),
        ((gb_id(77),), "没有这些摄像机", "no such cameras"),
        (("--set", "shadow", "--reason", "试运行"), "请指明摄像机", "Name the cameras"),
    ],
)
def test_a_mode_that_cannot_be_set_says_why_and_changes_nothing(
    detect: Call, ground: Connection, arguments: tuple[str, ...], zh: str, en: str
) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    state, out, said = detect("mode", *arguments)
    assert (state, out) == (1, "")
    assert zh in said
    assert en in said
    assert ground.execute("SELECT FROM watch.camera_mode").fetchone() is None


# --- masks --------------------------------------------------------------------------------------------------------------


def test_a_mask_is_accepted_for_a_time_and_ended(detect: Call, lamp: Connection) -> None:
    state, out, _ = detect("mask", "list", "--json")
    (mask,) = json.loads(out)
    assert (state, mask["state"], mask["cause"], mask["gb_id"]) == (0, "proposed", "lamp_sun", gb_id(1))
    number = str(mask["id"])
    state, _, said = detect("mask", "accept", number, "--days", "2")
    assert state == 0
    assert "遮罩 / mask" in said
    assert "active" in said
    row = lamp.execute("SELECT until - decided_at AS held, decided_by FROM watch.mask").fetchone()
    assert row is not None
    assert row["held"] == timedelta(days=2)
    assert row["decided_by"].startswith("command line")
    assert "active" in detect("mask", "list")[1]
    state, out, _ = detect("mask", "end", number, "--json")
    assert (state, json.loads(out)["state"]) == (0, "ended")
    state, out, said = detect("mask", "list")
    assert (state, out) == (0, "")
    assert "没有遮罩 / no masks" in said
    assert [m["state"] for m in json.loads(detect("mask", "list", "--all", "--json")[1])] == ["ended"]


def test_a_mask_holds_as_long_as_the_settings_say_where_nothing_is_said(
    detect: Call, lamp: Connection
) -> None:
    row = lamp.execute("SELECT id FROM watch.mask").fetchone()
    assert row is not None
    assert detect("mask", "accept", str(row["id"]))[0] == 0
    held = lamp.execute("SELECT until - decided_at AS held FROM watch.mask").fetchone()
    assert held == {"held": timedelta(days=30)}


def test_a_decision_that_cannot_be_says_why(detect: Call, lamp: Connection) -> None:
    row = lamp.execute("SELECT id FROM watch.mask").fetchone()
    assert row is not None
    number = str(row["id"])
    for decision, which in (("end", number), ("accept", "999"), ("refuse", "999")):
        state, out, said = detect("mask", decision, which)
        assert (state, out) == (1, "")
        assert "没有这样的遮罩" in said
        assert "no such mask" in said
    assert detect("mask", "refuse", number)[0] == 0
    assert detect("mask", "refuse", number)[0] == 1, "it is refused already"
    state, out, _ = detect("mask", "list", "--all", "--json")
    assert [m["state"] for m in json.loads(out)] == ["refused"]


@pytest.mark.parametrize(
    "arguments",
    [("accept",), ("accept", "first"), ("accept", "1", "--days", "0"), ("accept", "1", "--days", "367"), ("hide", "1")],
)  # fmt: skip
def test_wrong_usage_of_a_mask_is_status_two(detect: Call, arguments: tuple[str, ...]) -> None:
    state, out, said = detect("mask", *arguments)
    assert (state, out) == (2, "")
    assert "Usage" in said


# --- negatives ----------------------------------------------------------------------------------------------------------


def test_negatives_are_written_and_what_is_missing_is_named(
    detect: Call, lamp: Connection, tmp_path: Path
) -> None:
    state, out, said = detect("negatives")
    assert (state, out) == (0, "")
    assert "新增 2，保留 0，移除 0" in said
    assert "2 written, 0 kept, 0 removed" in said
    assert len(list((tmp_path / "home" / "negatives" / "images").glob("*.jpg"))) == 2
    row = lamp.execute("SELECT path FROM watch.evidence ORDER BY captured_at LIMIT 1").fetchone()
    assert row is not None
    (tmp_path / "home" / "evidence" / row["path"]).unlink()
    state, out, _ = detect("negatives", "--folder", str(tmp_path / "other"), "--json")
    told = json.loads(out)
    assert (state, told["written"], told["missing"], told["folder"]) == (
        0,
        1,
        [row["path"]],
        str(tmp_path / "other"),
    )
    _, _, said = detect("negatives", "--folder", str(tmp_path / "third"))
    assert "画面缺失或已改变 / missing or changed" in said
    assert row["path"] in said


def test_a_folder_that_cannot_be_written_is_said(detect: Call, lamp: Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    state, out, said = detect("negatives", "--folder", str(tmp_path / "file"))
    assert (state, out) == (1, "")
    assert "写不了 / cannot be written" in said
    assert "Traceback" not in said
    assert detect("negatives", "--into", "x")[0] == 2
