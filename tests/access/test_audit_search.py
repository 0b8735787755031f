"""The audit, searched by its parts; who sees which records; the command line."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool
from signed_in import caller
from typer.testing import CliRunner

from geoapp.access.audit import PAGE, Search, differences, exported, found, page
from geoapp.access.audit_commands import app
from geoapp.access.caller import Caller, acting
from geoapp.database.connection import connect, open_pool


def towns(owner: psycopg.Connection[dict[str, Any]]) -> list[str]:
    rows = owner.execute(
        "SELECT code FROM territory.unit WHERE level = 'town' ORDER BY code LIMIT 2"
    ).fetchall()
    return [r["code"] for r in rows]


def records(connection: Any, **parts: Any) -> list[str]:
    """Subject ids of what is found among this module's records."""
    return [str(r["subject_id"]) for r in found(connection, Search(subject="thing", **parts))]


def record(connection: Any, action: str, subject_id: str, **more: Any) -> None:
    connection.execute(
        "SELECT access.record(%(action)s, 'thing', %(id)s, town_code => %(town)s, reason => %(reason)s, detail => %(detail)s,"
        " ok => %(ok)s, ip => %(ip)s::inet, login => %(login)s)",
        {"town": None, "reason": None, "detail": None, "ok": True, "ip": None, "login": None}
        | more
        | {"action": action, "id": subject_id},
    )


def test_each_part_of_a_search_limits_it(city: psycopg.Connection[dict[str, Any]]) -> None:
    one, other = towns(city)
    record(city, "look", "a", town=one, reason="50% 核对", login="wang.fang")
    record(city, "export", "b", town=other, ip="10.1.2.3", login="wang")
    record(city, "sign_in_refused", "c", ok=False, login="li", detail=Jsonb({"cause": "wrong_password"}))
    assert records(city) == ["c", "b", "a"]
    assert records(city, action="export") == ["b"]
    assert records(city, login="WANG") == ["b", "a"]
    assert records(city, login="wang.") == ["a"]
    assert records(city, town=one) == ["a"]
    assert records(city, refused_only=True) == ["c"]
    assert records(city, text="wrong_pass") == ["c"]
    assert records(city, text="10.1.2") == ["b"]
    assert records(city, text="50%") == ["a"]
    assert records(city, text="5_%") == []  # wildcards are taken literally
    assert records(city, text="' OR true --") == []
    now = datetime.now(UTC)
    assert records(city, since=now + timedelta(minutes=1)) == []
    assert records(city, until=now - timedelta(days=1)) == []
    assert records(city, since=now - timedelta(days=1), until=now + timedelta(minutes=1)) == ["c", "b", "a"]


def test_pages_meet_and_a_full_last_page_has_no_next(city: psycopg.Connection[dict[str, Any]]) -> None:
    for n in range(2 * PAGE):
        record(city, "counted", str(n))
    first, before = page(city, Search(action="counted"))
    second, none = page(city, Search(action="counted", before_id=before))
    assert [r["subject_id"] for r in first + second] == [str(n) for n in reversed(range(2 * PAGE))]
    assert none is None
    assert page(city, Search(action="never")) == ([], None)


@pytest.fixture
def pool(city_url: str) -> Any:
    """A pool as the owner; acting() takes the callers' roles."""
    opened: ConnectionPool[Any] = open_pool(city_url, size=2, name="audit-test")
    yield opened
    opened.close()


def seen_by(pool: Any, who: Caller) -> set[str]:
    with acting(pool, who) as connection:
        return set(records(connection))


def test_who_sees_whose_records(city: psycopg.Connection[dict[str, Any]], pool: Any) -> None:
    one, other = towns(city)
    people = {
        "admin": caller(city, "admin", "admin"),
        "district": caller(city, "district", "committee"),
        "town": caller(city, "town", "committee", areas=[one]),
        "officer": caller(city, "officer", "duty_officer", areas=[one]),
        "analyst": caller(city, "analyst", "analyst"),
    }
    record(city, "look", "in one", town=one)
    record(city, "look", "in other", town=other)
    record(city, "look", "nowhere")
    with acting(pool, people["officer"]) as connection:
        record(connection, "look", "officer's", town=other)
    everything = {"in one", "in other", "nowhere", "officer's"}
    assert seen_by(pool, people["admin"]) == everything
    assert seen_by(pool, people["district"]) == everything
    assert seen_by(pool, people["town"]) == {"in one"}
    assert seen_by(pool, people["officer"]) == {"officer's"}
    assert seen_by(pool, people["analyst"]) == set()


def test_an_export_that_may_not_be_gives_no_rows_and_one_that_may_is_on_record(
    city: psycopg.Connection[dict[str, Any]], pool: Any
) -> None:
    officer, analyst = caller(city, "officer", "duty_officer"), caller(city, "analyst", "analyst")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(pool, officer) as connection:
        exported(connection, Search(), "test")
    with acting(pool, analyst) as connection:
        rows = exported(connection, Search(action="look"), "test", "10.0.0.9")
    assert rows == []
    kept = found(city, Search(action="export"))
    assert [(r["login"], r["ip"], r["detail"]["rows"], r["detail"]["action"]) for r in kept] == [
        ("analyst", "10.0.0.9", 0, "look")
    ]


def test_a_record_reads_as_differences(city: psycopg.Connection[dict[str, Any]]) -> None:
    city.execute(
        "UPDATE analysis.parameter SET value = value + 1 WHERE name = (SELECT min(name) FROM analysis.parameter)"
    )
    row = found(city, Search(subject="analysis.parameter"))[0]
    ((name, before, after),) = differences(row)
    assert (name, after - before) == ("value", 1)
    account = caller(city, "someone", "analyst").account_id
    made = found(city, Search(subject="access.account", text="someone"))[0]
    fields = {name: (old, new) for name, old, new in differences(made)}
    assert fields["login"] == (None, "someone")
    assert (None, None) not in fields.values()
    city.execute("UPDATE access.account SET password_hash = 'secret-hash' WHERE id = %s", (account,))
    changed = found(city, Search(subject="access.account"))[0]
    assert differences(changed) == [("password_hash", None, "***")]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_looked_for_as_it_is(text: str) -> None:
    like = Search(text=text).parameters(1)["like"]
    if not text:
        assert like is None
    else:
        plain, rest = "", like[1:-1]
        while rest:
            assert rest[0] not in "%_"  # never a wildcard of its own
            step = 2 if rest[0] == "\\" else 1
            plain, rest = plain + rest[step - 1], rest[step:]
        assert plain == text


def test_the_command_lists_all_and_says_what_it_does_not_understand(
    city_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(city_url, autocommit=True) as owner:
        record(owner, "look", "one", login="wang", reason="核对")
        record(owner, "refuse", "two", ok=False)
    monkeypatch.setattr("geoapp.access.audit_commands.database_url", lambda: city_url)
    told = CliRunner().invoke(app, ["list", "--subject", "thing", "--json"])
    assert told.exit_code == 0, told.output
    rows = json.loads(told.output)
    assert [(r["subject_id"], r["ok"]) for r in rows] == [("two", False), ("one", True)]
    assert rows[0]["at"].endswith("+08:00")
    table = CliRunner().invoke(app, ["list", "--login", "wang"])
    assert "核对" in table.output.replace("\n", "")
    assert "two" not in table.output
    later = CliRunner().invoke(app, ["list", "--since", "2099-01-01", "--json"])
    assert json.loads(later.output) == []
    assert CliRunner().invoke(app, ["list", "--since", "gestern"]).exception is not None
