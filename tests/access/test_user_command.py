"""`geoapp user`, as the owner of an installation uses it."""

import getpass
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from geoapp.access import commands
from geoapp.access.caller import Connection
from geoapp.access.commands import app
from geoapp.access.passwords import verify_password
from geoapp.access.sessions import caller_of_session, open_session
from geoapp.access.sql_login import sql_url
from geoapp.access.tokens import caller_of_token
from geoapp.database.cluster import find_server
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings

PASSWORD = "Huoxian#88Mei"


@pytest.fixture
def owner(empty_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The owner's connection to an empty installation."""
    monkeypatch.setenv("GEOAPP_DATABASE_URL", empty_url)
    settings.cache_clear()
    with connect(empty_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def in_city(city_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The owner's connection to the small sample city."""
    monkeypatch.setenv("GEOAPP_DATABASE_URL", city_url)
    settings.cache_clear()
    with connect(city_url, autocommit=True) as connection:
        yield connection


def user(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=typed)


def done(*arguments: str, typed: str | None = None) -> Any:
    result = user(*arguments, "--json", typed=typed)
    assert result.exit_code == 0, (result.output, result.exception)
    return json.loads(result.output)


def refused(*arguments: str, typed: str | None = None) -> str:
    result = user(*arguments, typed=typed)
    assert isinstance(result.exception, Refused), result.output
    return str(result.exception)


def account(owner: Connection, login: str) -> dict[str, Any]:
    row = owner.execute("SELECT * FROM access.account WHERE login = %s", (login,)).fetchone()
    assert row is not None
    return row


# -- add, list, disable, reset -----------------------------------------------------------------------------------


def test_an_account_with_a_password_from_standard_input(owner: Connection) -> None:
    said = done(
        "add",
        "li.ming",
        "--name",
        "李明",
        "--role",
        "duty_officer",
        "--password-stdin",
        typed=PASSWORD + "\n",
    )
    assert (said["login"], said["scope"], said["areas"]) == ("li.ming", "district", [])
    kept = account(owner, "li.ming")
    assert verify_password(kept["password_hash"], PASSWORD)
    assert not kept["must_change_password"]
    (listed,) = done("list")
    assert (listed["login"], listed["disabled"], listed["open_sessions"]) == ("li.ming", False, 0)
    assert "password_hash" not in listed
    assert "李明" in user("list").output


def test_a_one_time_password_is_printed_once_and_has_to_be_changed(owner: Connection) -> None:
    result = user("add", "li.ming", "--name", "李明", "--role", "planner", "--generate")
    (once,) = re.findall(r"^  ([a-z0-9]{4}(?:-[a-z0-9]{4}){3})$", result.output, re.M)
    kept = account(owner, "li.ming")
    assert verify_password(kept["password_hash"], once)
    assert kept["must_change_password"]
    assert once not in str(owner.execute("SELECT * FROM access.audit").fetchall())


@pytest.mark.parametrize(
    ("arguments", "typed", "why"),
    [
        (["--role", "analyst", "--password-stdin"], "short\n", "at least 10"),
        (["--role", "analyst", "--password-stdin"], "Li.Ming-2026!\n", "login or the name"),
        (["--role", "analyst", "--password-stdin"], "x" * 1_000_000, "at most 128"),
        (["--role", "analyst", "--password-stdin"], "", "at least 10"),
        (["--role", "analyst"], PASSWORD + "\n", "--generate"),
        (["--role", "king", "--generate"], None, "no such role: king"),
        (["--role", "admin", "--area", "310116101000", "--generate"], None, "whole district"),
        (["--role", "enterprise", "--generate"], None, "names its sites"),
        (["--role", "enterprise", "--site", "12", "--generate"], None, "no site '12'"),
        (["--role", "enterprise", "--site", "91310116MA1J8", "--generate"], None, "no site"),
        (["--role", "analyst", "--area", "无此镇", "--generate"], None, "no town or community"),
        (["--role", "analyst", "--area", "310116999000", "--generate"], None, "no such unit"),
        (["--role", "analyst", "--role", "admin", "--sql", "--generate"], None, "only analysts and planners"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_stored(
    owner: Connection, arguments: list[str], typed: str | None, why: str
) -> None:
    assert why in refused("add", "li.ming", "--name", "李明", *arguments, typed=typed)
    assert owner.execute("SELECT count(*) AS n FROM access.account").fetchone() == {"n": 0}


@pytest.mark.parametrize(
    "login", ["Li.Ming", "l", "李明", "lі.ming", "x" * 33, "-x", "a b", "a'; DROP ROLE x; --"]
)
def test_a_login_is_plain_ascii(owner: Connection, login: str) -> None:
    assert "cannot be used" in refused("add", "--name", "x", "--role", "analyst", "--generate", "--", login)


def test_a_login_is_given_once(owner: Connection) -> None:
    done("add", "li.ming", "--name", "李明", "--role", "analyst", "--generate")
    assert "already" in refused("add", "li.ming", "--name", "李明", "--role", "analyst", "--generate")


def test_the_password_is_asked_for_twice_on_a_terminal(
    owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    answers = iter([PASSWORD, "another", PASSWORD, PASSWORD])
    monkeypatch.setattr(getpass, "getpass", lambda _: next(answers))
    monkeypatch.setattr(commands.sys, "stdin", Terminal())  # type: ignore[attr-defined]
    with pytest.raises(Refused, match="not the same"):
        commands._typed_password("li.ming", "李明", from_stdin=False, optional=False)
    assert commands._typed_password("li.ming", "李明", from_stdin=False, optional=False) == PASSWORD


def test_disable_takes_all_away_and_enable_gives_rights_but_no_session_back(owner: Connection) -> None:
    made = done("add", "li.ming", "--name", "李明", "--role", "analyst", "--generate")
    now = datetime.now(UTC)
    cookie = open_session(owner, made["id"], method="password", at=now)
    token = done("token", "li.ming", "--name", "script")["token"]
    done("disable", "li.ming")
    assert caller_of_session(owner, cookie, now) is None
    assert caller_of_token(owner, token, datetime.now(UTC)) is None
    role = account(owner, "li.ming")["db_role"]
    groups = "SELECT count(*) AS n FROM pg_auth_members AS m JOIN pg_roles AS r ON r.oid = m.member WHERE r.rolname = %s"
    assert owner.execute(groups, (role,)).fetchone() == {"n": 0}
    assert "disabled" in refused("token", "li.ming", "--name", "another")
    done("enable", "li.ming")
    assert caller_of_session(owner, cookie, now) is None
    assert caller_of_token(owner, token, datetime.now(UTC)) is not None
    assert owner.execute(groups, (role,)).fetchone() == {"n": 2}


def test_change_gives_another_role_and_place_and_the_session_goes_on(in_city: Connection) -> None:
    towns = in_city.execute(
        "SELECT code, name_zh FROM territory.unit WHERE level = 'town' ORDER BY code LIMIT 2"
    ).fetchall()
    made = done(
        "add", "li.ming", "--name", "李明", "--role", "duty_officer", "--area", towns[0]["code"], "--generate"
    )
    now = datetime.now(UTC)
    cookie = open_session(in_city, made["id"], method="password", at=now)
    said = done("change", "li.ming", "--role", "inspector", "--area", towns[1]["name_zh"])
    assert (said["roles"], said["areas"]) == (["inspector"], [towns[1]["code"]])
    found = caller_of_session(in_city, cookie, now)
    assert found is not None
    assert (found.roles, found.areas) == (("inspector",), (towns[1]["code"],))
    # What is not given stays; the whole district is said in so many words.
    said = done("change", "li.ming", "--name", "李鸣", "--oidc-subject", "u-7")
    assert (said["name_zh"], said["areas"]) == ("李鸣", [towns[1]["code"]])
    assert account(in_city, "li.ming")["oidc_subject"] == "u-7"
    assert "whole district" in refused("change", "li.ming", "--role", "admin")
    assert done("change", "li.ming", "--role", "analyst", "--district")["scope"] == "district"
    for words, why in (
        ([], "nothing to change"),
        (["--district", "--area", towns[0]["code"]], "neither --area nor --site"),
        (["--name", " "], "cannot be empty"),
        (["--role", "enterprise"], "names its sites"),
        (["--area", "999999000000"], "no such unit"),
    ):
        assert why in refused("change", "li.ming", *words)
    row = in_city.execute(
        "SELECT count(*) AS n, count(*) FILTER (WHERE detail ->> 'by_system_user' = %s) AS named FROM access.audit"
        " WHERE action = 'account_changed'",
        (getpass.getuser(),),
    ).fetchone()
    assert row == {"n": 3, "named": 3}


def test_the_last_admin_is_not_disabled_nor_made_something_else(owner: Connection) -> None:
    done("add", "chief", "--name", "主任", "--role", "admin", "--generate")
    for words in (["disable", "chief"], ["change", "chief", "--role", "planner"]):
        assert "the last enabled admin" in refused(*words)
    assert account(owner, "chief")["disabled_at"] is None
    done("add", "deputy", "--name", "副主任", "--role", "admin", "--generate")
    done("change", "chief", "--role", "planner")


def test_an_open_database_connection_ends_with_the_role_it_was_for(in_city: Connection) -> None:
    url = done("add", "zhao", "--name", "赵六", "--role", "analyst", "--generate", "--sql")["sql_url"]
    with psycopg.connect(url, autocommit=True) as connection:
        assert "sql_connections_ended" not in done("change", "zhao", "--role", "planner")
        connection.execute("SELECT 1")
        assert done("change", "zhao", "--role", "inspector")["sql_connections_ended"] == 1
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_reset_ends_sessions_and_tokens(owner: Connection) -> None:
    made = done("add", "li.ming", "--name", "李明", "--role", "analyst", "--generate")
    now = datetime.now(UTC)
    cookie = open_session(owner, made["id"], method="password", at=now)
    token = done("token", "li.ming", "--name", "script")["token"]
    once = done("reset", "li.ming")["one_time_password"]
    assert once != made["one_time_password"]
    assert verify_password(account(owner, "li.ming")["password_hash"], once)
    assert caller_of_session(owner, cookie, now) is None
    assert caller_of_token(owner, token, datetime.now(UTC)) is None


def test_an_unknown_account_is_said_to_be_unknown(owner: Connection) -> None:
    for words in (
        ["disable"],
        ["change", "--name", "x"],
        ["enable"],
        ["reset"],
        ["sql"],
        ["sql", "--off"],
        ["tokens"],
        ["token", "--name", "x"],
    ):
        assert "no account nobody" in refused(words[0], "nobody", *words[1:])
    assert "no token 7" in refused("revoke", "7")


# -- tokens ------------------------------------------------------------------------------------------------------


def test_a_token_is_printed_once_listed_without_its_text_and_revoked(owner: Connection) -> None:
    done("add", "li.ming", "--name", "李明", "--role", "analyst", "--generate")
    said = done(
        "token", "li.ming", "--name", "月报 script", "--scope", "read", "--scope", "export", "--days", "30"
    )
    found = caller_of_token(owner, said["token"], datetime.now(UTC))
    assert found is not None
    assert (found.login, found.token_scopes) == ("li.ming", ("read", "export"))
    assert caller_of_token(owner, said["token"], datetime.now(UTC) + timedelta(days=31)) is None
    (row,) = done("tokens", "li.ming")
    assert row["name"] == "月报 script"
    shown = user("tokens", "li.ming").output + json.dumps(row)
    assert said["token"][3:] not in shown
    assert done("revoke", str(row["id"]))["revoked"]
    assert caller_of_token(owner, said["token"], datetime.now(UTC)) is None
    assert not done("revoke", str(row["id"]))["revoked"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--name", "x", "--scope", "all"], "unknown token scope"),
        (["--name", " "], "a name"),
        (["--name", "a\x1b[2J"], "a name"),
    ],
)
def test_a_token_that_cannot_be(owner: Connection, arguments: list[str], why: str) -> None:
    done("add", "li.ming", "--name", "李明", "--role", "analyst", "--generate")
    assert why in refused("token", "li.ming", *arguments)
    assert done("tokens", "li.ming") == []


# -- areas, sites, SQL -------------------------------------------------------------------------------------------


def town(city: Connection) -> dict[str, Any]:
    row = city.execute(
        "SELECT u.code, u.name_zh, count(s.id) AS sites FROM territory.unit AS u JOIN registry.site AS s"
        " ON s.town_code = u.code WHERE u.level = 'town' GROUP BY u.code ORDER BY count(s.id) DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    return row


def test_an_analyst_by_psql_sees_the_own_town_only_and_no_password(
    in_city: Connection, city_url: str
) -> None:
    own = town(in_city)
    said = done(
        "add", "zhao", "--name", "赵六", "--role", "analyst", "--area", own["name_zh"], "--generate", "--sql"
    )
    assert said["area_names"] == [own["name_zh"]]
    seen = subprocess.run(
        [
            find_server() / "psql", said["sql_url"], "-XAtc",
            "SELECT count(*), count(DISTINCT town_code) FROM analysis.site",
            "-c", "SELECT count(*) FROM access.session",
        ],
        capture_output=True, text=True, timeout=60, check=False, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert seen.returncode == 0, seen.stderr
    lines = seen.stdout.split()
    total = in_city.execute("SELECT count(*) AS n FROM registry.site").fetchone()
    assert total is not None
    inside = int(lines[0].split("|")[0])
    assert own["sites"] <= inside < total["n"]
    assert lines[1] == "0"
    with psycopg.connect(said["sql_url"], autocommit=True) as analyst:
        foreign = analyst.execute(
            "SELECT count(*) FROM registry.site WHERE town_code <> %s AND left(cell_code, 9) <> left(%s, 9)",
            (own["code"], own["code"]),
        ).fetchone()
        assert foreign == (0,)
        for statement in (
            "SELECT password_hash FROM access.account",
            "SELECT token_hash FROM access.session",
            "SELECT sealed FROM access.secret",
            "SELECT contact_phone FROM registry.site",
            "UPDATE registry.site SET name_zh = 'x'",
            "SET ROLE geoapp",
            "CREATE TABLE public.mine (x int)",
            f'ALTER ROLE "{account(in_city, "zhao")["db_role"]}" SUPERUSER',
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                analyst.execute(statement.encode())


def test_a_new_sql_password_ends_the_old_one_and_off_ends_all(in_city: Connection) -> None:
    done("add", "zhao", "--name", "赵六", "--role", "planner", "--generate")
    first = done("sql", "zhao")["sql_url"]
    second = done("sql", "zhao")["sql_url"]
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first)
    with psycopg.connect(second, autocommit=True) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (account(in_city, "zhao")["db_role"],)
        assert done("sql", "zhao", "--off") == {"login": "zhao", "sql": False, "sql_connections_ended": 1}
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(second)
    third = done("sql", "zhao")["sql_url"]
    done("disable", "zhao")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(third)
    assert "disabled" in refused("sql", "zhao")


def test_the_sql_password_is_kept_as_a_verifier_only(in_city: Connection) -> None:
    done("add", "zhao", "--name", "赵六", "--role", "analyst", "--generate")
    url = done("sql", "zhao")["sql_url"]
    password = str(psycopg.conninfo.conninfo_to_dict(url)["password"])
    row = in_city.execute(
        "SELECT rolpassword FROM pg_authid WHERE rolname = %s", (account(in_city, "zhao")["db_role"],)
    ).fetchone()
    assert row is not None
    assert row["rolpassword"].startswith("SCRAM-SHA-256$")
    assert password not in row["rolpassword"]
    assert password not in str(in_city.execute("SELECT * FROM access.audit").fetchall())


def test_an_enterprise_by_its_uscc(in_city: Connection) -> None:
    site = in_city.execute("SELECT id, uscc FROM registry.site WHERE uscc IS NOT NULL LIMIT 1").fetchone()
    assert site is not None
    said = done(
        "add", "firm.one", "--name", "某厂", "--role", "enterprise", "--site", site["uscc"], "--generate"
    )
    assert (said["scope"], said["sites"]) == ("site", [site["id"]])
    assert "only analysts" in refused("sql", "firm.one")


@pytest.mark.parametrize(
    ("owners", "url"),
    [
        (
            "postgresql://geoapp:x@127.0.0.1:5432/geoapp",
            "postgresql://geoapp_a_1:p%2Fw@127.0.0.1:5432/geoapp",
        ),
        (
            "host=db dbname=jin user=o password=x sslmode=require",
            "postgresql://geoapp_a_1:p%2Fw@db/jin?sslmode=require",
        ),
        ("postgresql://o:x@[::1]:5433/jin", "postgresql://geoapp_a_1:p%2Fw@[::1]:5433/jin"),
        (
            "host=/run/pg port=5433 dbname=jin user=o",
            "postgresql://geoapp_a_1:p%2Fw@:5433/jin?host=%2Frun%2Fpg",
        ),
    ],
)
def test_the_address_is_the_owners_with_another_login(owners: str, url: str) -> None:
    assert sql_url(owners, "geoapp_a_1", "p/w") == url
    parsed = psycopg.conninfo.conninfo_to_dict(url)
    assert (parsed["user"], parsed["password"]) == ("geoapp_a_1", "p/w")


# -- on record, and as a command ---------------------------------------------------------------------------------


def test_everything_is_on_record_with_who_sat_there(owner: Connection) -> None:
    made = done("add", "li.ming", "--name", "李明", "--role", "analyst", "--generate")
    token = done("token", "li.ming", "--name", "script")["token"]
    (row,) = done("tokens", "li.ming")
    done("revoke", str(row["id"]))
    url = done("sql", "li.ming")["sql_url"]
    for words in (
        ["sql", "li.ming", "--off"],
        ["reset", "li.ming"],
        ["disable", "li.ming"],
        ["enable", "li.ming"],
    ):
        done(*words)
    rows = owner.execute(
        "SELECT action, subject_id, detail FROM access.audit WHERE detail ->> 'command' = 'geoapp user' ORDER BY id"
    ).fetchall()
    assert [r["action"] for r in rows] == [
        "account_added",
        "token_made",
        "token_revoked",
        "sql_login_given",
        "sql_login_taken",
        "account_reset",
        "account_disabled",
        "account_enabled",
    ]
    assert {r["subject_id"] for r in rows} == {str(made["id"])}
    assert {r["detail"]["by_system_user"] for r in rows} == {getpass.getuser()}
    everything = str(owner.execute("SELECT * FROM access.audit").fetchall())
    for secret in (made["one_time_password"], token, str(psycopg.conninfo.conninfo_to_dict(url)["password"])):
        assert secret not in everything


def test_exit_codes_and_plain_words(owner: Connection) -> None:
    def geoapp(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "geoapp.cli", "user", *words],
            input=typed, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    made = geoapp("add", "li.ming", "--name", "李明", "--role", "analyst", "--password-stdin", typed=PASSWORD)
    assert (made.returncode, made.stderr) == (0, "")
    again = geoapp("disable", "nobody")
    assert (again.returncode, again.stdout) == (1, "")
    assert "Traceback" not in again.stderr
    wrong = geoapp("add", "wang.wu", "--name", "王五", "--role", "analyst", "--password", PASSWORD)
    assert wrong.returncode == 2
    assert PASSWORD not in made.stdout + wrong.stdout + wrong.stderr
