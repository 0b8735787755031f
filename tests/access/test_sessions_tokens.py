"""Sessions and tokens end when they should, and never come back; the web process's login reaches nothing by itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from geoapp.access import account_changes
from geoapp.access.accounts import add_account
from geoapp.access.caller import Caller, Connection, NotSignedIn, Pool, acting, calling
from geoapp.access.sessions import (
    SLIDE_EVERY,
    caller_of_session,
    csrf_of,
    end_session,
    end_sessions,
    open_session,
    token_hash,
)
from geoapp.access.tokens import LONGEST, caller_of_token, make_token, revoke_tokens
from geoapp.access.web_role import web_url
from geoapp.database.connection import connect, open_pool
from geoapp.errors import Refused
from geoapp.settings import settings

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
# As they are unless an installation says otherwise.
IDLE, ABSOLUTE = timedelta(minutes=120), timedelta(hours=12)


@pytest.fixture
def owner(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The owner's autocommit connection to an installation of its own."""
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEOAPP_DATABASE_URL", empty_url)
    monkeypatch.delenv("GEOAPP_KEY_FILE", raising=False)
    settings.cache_clear()
    with connect(empty_url, autocommit=True) as connection:
        yield connection
    settings.cache_clear()


@pytest.fixture
def officer(owner: Connection) -> int:
    """An account."""
    return add_account(owner, "li.ming", "李明", ["duty_officer"])


@pytest.fixture
def pool(owner: Connection, empty_url: str) -> Iterator[Pool]:
    """The web process's own connections."""
    with open_pool(web_url(empty_url), size=2) as made:
        yield made


@pytest.fixture
def web(pool: Pool) -> Iterator[Connection]:
    """One of them."""
    with pool.connection() as connection:
        yield connection


def opened(web: Connection, account: int, at: datetime = AT) -> str:
    token = open_session(web, account, method="password", at=at, ip="10.1.0.7")
    assert caller_of_session(web, token, at) is not None
    return token


# -- sessions ------------------------------------------------------------------------------------------------------


def test_a_session_ends_when_it_is_not_used(web: Connection, officer: int) -> None:
    token = opened(web, officer)
    assert caller_of_session(web, token, AT + IDLE) is None
    token = opened(web, officer)
    for step in range(1, 5):
        assert caller_of_session(web, token, AT + step * (IDLE - SECOND)) is not None
    assert caller_of_session(web, token, AT + 5 * IDLE) is None


def test_a_session_ends_in_any_case(web: Connection, officer: int) -> None:
    token = opened(web, officer)
    at = AT
    while at + IDLE / 2 < AT + ABSOLUTE:
        at += IDLE / 2
        assert caller_of_session(web, token, at) is not None
    assert caller_of_session(web, token, AT + ABSOLUTE) is None


def test_use_is_written_at_most_once_a_minute(web: Connection, owner: Connection, officer: int) -> None:
    token = opened(web, officer)
    caller_of_session(web, token, AT + SLIDE_EVERY)
    web.commit()
    assert used_at(owner) == AT
    caller_of_session(web, token, AT + SLIDE_EVERY + SECOND)
    web.commit()
    assert used_at(owner) == AT + SLIDE_EVERY + SECOND


def test_what_a_page_asks_by_itself_is_no_use(web: Connection, owner: Connection, officer: int) -> None:
    token = opened(web, officer)
    at = AT
    while at + timedelta(minutes=10) < AT + IDLE:
        at += timedelta(minutes=10)
        assert caller_of_session(web, token, at, slides=False) is not None
    web.commit()
    assert used_at(owner) == AT
    assert caller_of_session(web, token, AT + IDLE, slides=False) is None


def test_how_long_sessions_last_is_a_setting(
    web: Connection, officer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOAPP_SESSION_IDLE_MINUTES", "720")
    monkeypatch.setenv("GEOAPP_SESSION_HOURS", "13")
    settings.cache_clear()
    token = opened(web, officer)
    assert caller_of_session(web, token, AT + timedelta(hours=11, minutes=59)) is not None
    assert caller_of_session(web, token, AT + timedelta(hours=13) - SECOND) is not None
    assert caller_of_session(web, token, AT + timedelta(hours=13)) is None
    for wrong in ("0", "100000"):
        monkeypatch.setenv("GEOAPP_SESSION_IDLE_MINUTES", wrong)
        settings.cache_clear()
        with pytest.raises(Refused, match="GEOAPP_SESSION_IDLE_MINUTES"):
            settings()


def used_at(owner: Connection) -> datetime | None:
    row = owner.execute("SELECT last_used_at FROM access.session").fetchone()
    return None if row is None else row["last_used_at"]


def test_a_cookie_that_is_replayed_after_sign_out_is_nobody(web: Connection, officer: int) -> None:
    token = opened(web, officer)
    found = caller_of_session(web, token, AT)
    assert found is not None
    assert found.session_id is not None
    end_session(web, found.session_id, "signed_out", AT)
    assert caller_of_session(web, token, AT) is None
    assert caller_of_session(web, token, AT + SECOND) is None


def test_disabling_ends_sessions_at_once_and_enabling_brings_none_back(
    web: Connection, owner: Connection, officer: int
) -> None:
    token = opened(web, officer)
    web.commit()
    account_changes.disable(owner, officer, AT)
    assert caller_of_session(web, token, AT) is None
    web.commit()
    account_changes.enable(owner, officer)
    assert caller_of_session(web, token, AT) is None
    opened(web, officer)


def test_a_disabled_accounts_role_is_taken_from_the_web_process(
    pool: Pool, web: Connection, owner: Connection, officer: int
) -> None:
    me = caller_of_session(web, opened(web, officer), AT)
    web.commit()
    account_changes.disable(owner, officer, AT)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(pool, me):
        pass


def test_all_but_this_one(web: Connection, officer: int) -> None:
    tokens = [opened(web, officer) for _ in range(3)]
    kept = caller_of_session(web, tokens[1], AT)
    assert kept is not None
    assert end_sessions(web, officer, "password_changed", AT, but=kept.session_id) == 2
    assert [caller_of_session(web, token, AT) is not None for token in tokens] == [False, True, False]
    assert end_sessions(web, officer, "by_admin", AT) == 1
    assert end_sessions(web, officer, "by_admin", AT) == 0


def test_an_ended_session_stays_ended_whoever_tries(
    pool: Pool, web: Connection, owner: Connection, officer: int
) -> None:
    chief = add_account(owner, "chief", "主任", ["admin"])
    token, by_admin = opened(web, officer), opened(web, chief)
    me, admin = caller_of_session(web, token, AT), caller_of_session(web, by_admin, AT)
    secret = make_token(owner, officer, "x", ["read"], at=AT, expires_at=AT + timedelta(days=1))
    end_sessions(web, officer, "signed_out", AT)
    revoke_tokens(owner, officer, AT)
    web.commit()
    for who in (me, admin):
        for statement in (
            "UPDATE access.session SET ended_at = NULL, ended_why = NULL",
            "UPDATE access.token SET revoked_at = NULL",
        ):
            try_as(pool, who, statement)
    assert caller_of_session(web, token, AT) is None
    assert caller_of_token(web, secret, AT) is None


def try_as(pool: Pool, who: Caller | None, statement: str) -> None:
    """Tries; that rows are not seen or are refused is the same here."""
    try:
        with acting(pool, who) as connection:
            connection.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        pass


@given(st.text(max_size=60) | st.text(alphabet="abcXYZ019-_", min_size=43, max_size=43))
@how(max_examples=50, deadline=None)
def test_a_forged_cookie_never_reaches_the_wrong_row(forged: str) -> None:
    class Asked:
        def execute(self, _: bytes, values: dict[str, object]) -> "Asked":
            assert values["token_hash"] == token_hash(forged)
            return self

        def fetchone(self) -> None:
            return None

    assert caller_of_session(Asked(), forged, AT) is None  # type: ignore[arg-type]
    assert caller_of_token(Asked(), forged, AT) is None  # type: ignore[arg-type]


def test_a_changed_cookie_is_nobody(web: Connection, officer: int) -> None:
    token = opened(web, officer)
    for forged in (
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        token.swapcase(),
        token + "A",
        "",
        token[1:],
    ):
        assert caller_of_session(web, forged, AT) is None
    assert caller_of_session(web, token_hash(token).hex()[:43], AT) is None


def test_the_csrf_token_belongs_to_the_session_and_does_not_tell_it(web: Connection, officer: int) -> None:
    one, other = opened(web, officer), opened(web, officer)
    assert csrf_of(one) == csrf_of(one)
    assert csrf_of(one) != csrf_of(other)
    assert one not in csrf_of(one)


# -- tokens --------------------------------------------------------------------------------------------------------


def test_a_token_ends_at_its_end_and_when_it_is_revoked(
    web: Connection, owner: Connection, officer: int
) -> None:
    ends = AT + timedelta(days=90)
    token = make_token(owner, officer, "script", ["read", "metrics"], at=AT, expires_at=ends)
    found = caller_of_token(web, token, ends - SECOND)
    assert found is not None
    assert (found.account_id, found.token_scopes, found.session_id) == (officer, ("read", "metrics"), None)
    assert caller_of_token(web, token, ends) is None
    web.commit()  # it has noted the use of the token
    assert revoke_tokens(owner, officer, AT, token_id=found.token_id) == 1
    assert caller_of_token(web, token, AT) is None
    assert revoke_tokens(owner, officer, AT, token_id=found.token_id) == 0


def test_a_disabled_accounts_token_is_nobodys(web: Connection, owner: Connection, officer: int) -> None:
    token = make_token(owner, officer, "script", ["read"], at=AT, expires_at=AT + timedelta(days=1))
    account_changes.disable(owner, officer, AT)
    assert caller_of_token(web, token, AT) is None


def test_one_accounts_tokens_are_revoked_and_no_others(
    web: Connection, owner: Connection, officer: int
) -> None:
    other = add_account(owner, "wang.wu", "王五", ["analyst"])
    until = AT + timedelta(days=1)
    mine = [make_token(owner, officer, f"t{n}", ["read"], at=AT, expires_at=until) for n in range(2)]
    theirs = make_token(owner, other, "t", ["read"], at=AT, expires_at=until)
    found = caller_of_token(web, theirs, AT)
    assert found is not None
    assert revoke_tokens(owner, officer, AT, token_id=found.token_id) == 0
    assert revoke_tokens(owner, officer, AT) == 2
    assert [caller_of_token(web, token, AT) for token in mine] == [None, None]
    assert caller_of_token(web, theirs, AT) is not None


@pytest.mark.parametrize(
    ("scopes", "name", "lasts"),
    [
        (["all"], "x", timedelta(days=1)),
        ([], "x", timedelta(days=1)),
        (["read"], "", timedelta(days=1)),
        (["read"], "x" * 101, timedelta(days=1)),
        (["read"], "x\x00y", timedelta(days=1)),
        (["read"], "x", timedelta(0)),
        (["read"], "x", LONGEST + SECOND),
    ],
)
def test_what_is_no_token_is_refused(
    owner: Connection, officer: int, scopes: list[str], name: str, lasts: timedelta
) -> None:
    with pytest.raises(Refused):
        make_token(owner, officer, name, scopes, at=AT, expires_at=AT + lasts)
    assert owner.execute("SELECT count(*) AS n FROM access.token").fetchone() == {"n": 0}


# -- the web process's own login -----------------------------------------------------------------------------------


def test_the_web_process_by_itself_reads_nothing_of_the_city(web: Connection) -> None:
    tables = web.execute(
        "SELECT n.nspname || '.' || quote_ident(c.relname) AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm')"
        " AND n.nspname IN ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'analysis', 'staging')"
    ).fetchall()
    assert len(tables) > 40
    for row in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege), web.transaction():
            web.execute(f"SELECT FROM {row['name']} LIMIT 1".encode())


def test_the_web_process_is_no_superuser_and_takes_accounts_roles_only(
    web: Connection, owner: Connection, officer: int
) -> None:
    row = web.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles WHERE rolname = session_user"
    ).fetchone()
    assert row is not None
    assert not any(row.values())
    role = owner.execute("SELECT db_role FROM access.account WHERE id = %s", (officer,)).fetchone()
    assert role is not None
    with web.transaction():
        web.execute(f'SET LOCAL ROLE "{role["db_role"]}"'.encode())
    for other in ("geoapp", "geoapp_watch", "geoapp_view", "pg_read_all_data", "pg_execute_server_program"):
        with pytest.raises(psycopg.Error), web.transaction():
            web.execute(f'SET LOCAL ROLE "{other}"'.encode())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access.account SET roles = '{admin}'",
        "UPDATE access.account SET disabled_at = NULL",
        "INSERT INTO access.account (login, name_zh, roles, scope, db_role) VALUES ('x1', 'x', '{admin}', 'district', 'geoapp_x1_abcdef')",
        "DELETE FROM access.account",
        "UPDATE access.account_area SET area_code = area_code",
        "DELETE FROM access.audit",
        "INSERT INTO access.audit (db_role, action) VALUES ('geoapp', 'x')",
        "SELECT * FROM access.audit",
        "SELECT sealed FROM access.secret",
        "DELETE FROM access.session",
        "CREATE TABLE access.mine (x int)",
        "CREATE ROLE mine",
    ],
)
def test_what_the_web_process_may_not_do(web: Connection, officer: int, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        web.execute(statement.encode())


def test_a_role_does_not_stay_on_a_pooled_connection(pool: Pool, web: Connection, officer: int) -> None:
    me = caller_of_session(web, opened(web, officer), AT)
    assert me is not None
    web.commit()
    with acting(pool, me) as connection:
        held = id(connection)
        row = connection.execute("SELECT current_user::text AS me").fetchone()
        assert row == {"me": me.db_role}
    with pytest.raises(ZeroDivisionError), acting(pool, me):
        raise ZeroDivisionError
    with pool.connection() as connection:
        assert id(connection) == held
        assert connection.execute("SELECT current_setting('role') AS role").fetchone() == {"role": "none"}
    with pytest.raises(NotSignedIn), calling(None), acting(pool):
        pass


def test_the_web_logins_password_is_not_in_the_database(owner: Connection, empty_url: str) -> None:
    password = str(psycopg.conninfo.conninfo_to_dict(web_url(empty_url))["password"])
    row = owner.execute(
        "SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'geoapp_web_%'"
    ).fetchall()
    assert row
    assert all(
        r["rolpassword"].startswith("SCRAM-SHA-256$") and password not in r["rolpassword"] for r in row
    )
    assert web_url(empty_url) == web_url(empty_url)
    settings.cache_clear()


def test_a_configured_web_address_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOAPP_WEB_DATABASE_URL", "postgresql://web:x@db/jin")
    settings.cache_clear()
    try:
        assert web_url("postgresql://owner:y@db/jin") == "postgresql://web:x@db/jin"
    finally:
        monkeypatch.delenv("GEOAPP_WEB_DATABASE_URL")
        settings.cache_clear()
