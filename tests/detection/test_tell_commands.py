"""`geoapp tell` as an operator meets it."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import clone, drop
from told import HttpReceiver, happen, reply
from typer.testing import CliRunner, Result

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings
from geoapp.watch.telling.commands import app

TOKEN = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"


@pytest.fixture(scope="module")
def url(
    cluster: PrivateCluster, city_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    name = clone(cluster, city_template)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOAPP_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GEOAPP_DATABASE_URL", cluster.url(name))
        patch.setenv("GEOAPP_PUBLIC_URL", "https://map.example.org")
        settings.cache_clear()
        yield cluster.url(name)
    settings.cache_clear()
    drop(cluster, name)


@pytest.fixture
def hook(url: str) -> Iterator[HttpReceiver]:
    with connect(url, autocommit=True) as owner:
        owner.execute("TRUNCATE watch.delivery, watch.receiver, watch.outbox RESTART IDENTITY")
    held = HttpReceiver()
    held.replies["/send"] = [reply(200, {"errcode": 0})]
    yield held
    held.close()


def tell(*words: str, given: str = "") -> Result:
    return CliRunner().invoke(app, list(words), input=given)


def add_group(hook: HttpReceiver) -> None:
    done = tell(
        "add", "group", "wecom", hook.url("/send"), "--quiet", "22:00-07:00", "--json", given=f"{TOKEN}\n"
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"added": "group", "secrets": ["token"]}


def test_from_adding_to_the_log(hook: HttpReceiver, url: str) -> None:
    add_group(hook)
    assert tell("test", "group").exit_code == 0
    assert "测试消息" in hook.asked[0].json["markdown"]["content"]
    with connect(url, autocommit=True) as owner:
        incident = happen(owner, "fire", at=owner.execute("SELECT now() AS at").fetchone()["at"])  # type: ignore[index]
    done = tell("run", "--once", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.strip().splitlines()[-1])["delivered"] == 1
    assert f"https://map.example.org/review?incident={incident}" in hook.asked[1].json["markdown"]["content"]
    (row,) = json.loads(tell("list", "--json").stdout)
    assert (row["name"], row["kind"], row["state"], row["waiting"]) == ("group", "wecom", "ok", 0)
    assert row["quiet_from"] == "22:00:00"
    log = json.loads(tell("log", "group", "--json").stdout)
    assert sorted((r["topic"], r["state"]) for r in log) == [("incident", "delivered"), ("test", "delivered")]
    for words in (("list",), ("list", "--json"), ("log",), ("log", "--json")):
        shown = tell(*words)
        assert shown.exit_code == 0
        assert "group" in shown.output
        assert TOKEN not in shown.output
    with connect(url) as owner:
        sealed = owner.execute(
            "SELECT subject_kind, field, sealed FROM access.secret WHERE subject_kind = 'receiver'"
        ).fetchall()
    assert [(r["subject_kind"], r["field"]) for r in sealed] == [("receiver", "token")]
    assert TOKEN.encode() not in bytes(sealed[0]["sealed"])


def test_a_test_that_is_not_taken_is_status_1_with_the_answer(hook: HttpReceiver) -> None:
    hook.replies["/send"] = [reply(200, {"errcode": 93000, "errmsg": "invalid webhook url"})]
    add_group(hook)
    done = tell("test", "group")
    assert isinstance(done.exception, Refused)
    assert "93000" in str(done.exception)
    (log,) = json.loads(tell("log", "--json").stdout)
    assert log["state"] == "refused"


def test_pause_resume_remove(hook: HttpReceiver) -> None:
    add_group(hook)

    def state() -> str | None:
        rows = json.loads(tell("list", "--json").stdout)
        return rows[0]["state"] if rows else None

    assert tell("pause", "group").exit_code == 0
    assert state() == "paused"
    assert tell("resume", "group").exit_code == 0
    assert state() == "never"
    assert tell("remove", "group").exit_code == 0
    assert state() is None
    for verb in ("pause", "resume", "remove", "test", "again"):
        assert isinstance(tell(verb, "group").exception, Refused), verb


def test_what_is_changed_changes_and_the_rest_stays(hook: HttpReceiver, url: str) -> None:
    add_group(hook)

    def held() -> dict[str, Any]:
        (row,) = json.loads(tell("list", "--json").stdout)
        with connect(url) as owner:
            found = owner.execute("SELECT * FROM watch.receiver WHERE id = %s", (row["id"],)).fetchone()
            sealed = owner.execute(
                "SELECT field, sealed FROM access.secret WHERE subject_kind = 'receiver'"
            ).fetchall()
        assert found is not None
        return {**found, "sealed": sealed}

    before = held()
    done = tell(
        "change", "group", "--class", "smoke", "--quiet", "", "--cooldown", "60", "--only-confirmed", "--json"
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["fields"] == [
        "classes",
        "cooldown_s",
        "only_confirmed",
        "quiet_from",
        "quiet_to",
    ]
    after = held()
    moved = {name for name in before if before[name] != after[name]} - {"next_try_at"}
    assert moved == {"classes", "cooldown_s", "only_confirmed", "quiet_from", "quiet_to"}
    assert (after["classes"], after["quiet_from"], after["cooldown_s"]) == (["smoke"], None, 60.0)
    assert tell("change", "group", "--class", "all", "--unconfirmed-too").exit_code == 0
    assert (held()["classes"], held()["only_confirmed"]) == (None, False)
    # A new token in the old place; a new address asks for the token, and the old one is gone.
    assert tell("change", "group", "--secret", "token", given="another\n").exit_code == 0
    renewed = held()["sealed"]
    assert len(renewed) == 1
    assert bytes(renewed[0]["sealed"]) != bytes(before["sealed"][0]["sealed"])
    elsewhere = hook.url("/elsewhere")
    assert isinstance(tell("change", "group", "--address", elsewhere).exception, Refused)
    assert held()["address"] == before["address"]
    assert tell("change", "group", "--address", elsewhere, given=f"{TOKEN}\n").exit_code == 0
    assert (held()["address"], len(held()["sealed"])) == (elsewhere, 1)
    for words, said in (
        (("group",), "nothing to change"),
        (("nobody", "--class", "fire"), "no receiver nobody"),
        (("group", "--class", "flood"), "is not one of"),
        (("group", "--town", "1"), "no town 1"),
        (("group", "--address", f"https://127.0.0.1/send?key={TOKEN}"), "sealed"),
        (("group", "--to", "li@example.org"), "for e-mail"),
    ):
        refused = tell("change", *words, given="x\n")
        assert isinstance(refused.exception, Refused), words
        assert said in str(refused.exception)
        assert TOKEN not in str(refused.exception) + refused.output


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (("group", "wecom", "https://127.0.0.1/send"), "", "token"),
        (("group", "wecom", f"https://127.0.0.1/send?key={TOKEN}"), "x\n", "sealed"),
        (("Group", "wecom", "https://127.0.0.1/send"), "x\n", "small letters"),
        (("group", "webhook", "https://127.0.0.1", "--town", "1"), "", "no town 1"),
        (("group", "webhook", "https://127.0.0.1", "--quiet", "evening"), "", "22:00-07:00"),
        (("group", "webhook", "https://127.0.0.1", "--secret", "token"), "x\n", "no use for"),
    ],
)
def test_what_cannot_be_added_is_refused_in_words(
    hook: HttpReceiver, words: tuple[str, ...], given: str, said: str
) -> None:
    done = tell("add", *words, given=given)
    assert isinstance(done.exception, Refused)
    assert said in str(done.exception)
    assert TOKEN not in str(done.exception) + done.output
    assert json.loads(tell("list", "--json").stdout) == []


def test_two_receivers_of_one_name_are_refused(hook: HttpReceiver) -> None:
    add_group(hook)
    done = tell("add", "group", "wecom", hook.url("/send"), given="another\n")
    assert isinstance(done.exception, Refused)
    assert "already" in str(done.exception)


def test_the_log_is_seen_by_those_who_answer_and_no_others(hook: HttpReceiver, url: str) -> None:
    add_group(hook)
    with connect(url, autocommit=True) as owner:
        happen(owner, "fire", at=owner.execute("SELECT now() AS at").fetchone()["at"])  # type: ignore[index]
    assert tell("run", "--once").exit_code == 0
    with connect(url, autocommit=True) as owner:
        for role, may in (
            ("duty_officer", True),
            ("committee", True),
            ("admin", True),
            ("enterprise", False),
        ):
            with owner.transaction():
                owner.execute(f"SET LOCAL ROLE geoapp_{role}".encode())
                if may:
                    owner.execute("SELECT receiver, state FROM analysis.delivery")
                else:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege), owner.transaction():
                        owner.execute("SELECT receiver, state FROM analysis.delivery")
        with owner.transaction():
            owner.execute("SET LOCAL ROLE geoapp_duty_officer")
            with pytest.raises(psycopg.errors.InsufficientPrivilege), owner.transaction():
                owner.execute("SELECT address, recipients FROM watch.receiver")
