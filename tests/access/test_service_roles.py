"""The watch under its own login: it records what it sees, and reaches nothing else of the city."""

import os
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "detection"))
from watching import add_camera, claim_one, fire_at, gb_id, look

from detection.lease import release, statement
from detection.types import Reason
from geoapp.access import service_role
from geoapp.access.sealing import key_fingerprint
from geoapp.access.web_role import web_url
from geoapp.database.connection import connect
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]
AT = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)


@pytest.fixture
def owner(city_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """The owner's autocommit connection to an installation of its own."""
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEOAPP_DATABASE_URL", city_url)
    monkeypatch.delenv("GEOAPP_WATCH_DATABASE_URL", raising=False)
    settings.cache_clear()
    with connect(city_url, autocommit=True) as connection:
        yield connection
    settings.cache_clear()


@pytest.fixture
def watch(owner: Connection) -> Iterator[Connection]:
    """The watch's autocommit connection to the same database."""
    with connect(service_role.watch_url(), autocommit=True) as connection:
        yield connection


def test_the_login_belongs_to_the_installation(owner: Connection, watch: Connection) -> None:
    row = watch.execute(
        "SELECT current_user AS me, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolreplication"
        " FROM pg_roles AS r WHERE r.rolname = current_user"
    ).fetchone()
    assert row is not None
    assert row.pop("me") == f"geoapp_watch_{key_fingerprint()}"
    assert not any(row.values())


def test_its_password_is_nowhere_but_follows_from_the_key_file(owner: Connection, tmp_path: Path) -> None:
    address = service_role.watch_url()
    password = str(conninfo_to_dict(address)["password"])
    assert len(password) == 64
    stored = owner.execute(
        "SELECT rolpassword AS p FROM pg_authid WHERE rolname = %s", (conninfo_to_dict(address)["user"],)
    ).fetchone()
    assert stored is not None
    assert stored["p"].startswith("SCRAM-SHA-256$")
    assert password not in "".join(p.read_text() for p in (tmp_path / "home").rglob("*") if p.is_file())
    assert stat.S_IMODE(os.stat(settings().key_path).st_mode) == 0o600
    # A watch that is started again, and one that runs already, come to the same address.
    assert service_role.watch_url() == service_role.running_watch_url() == address


def test_the_web_login_is_another_with_another_password(owner: Connection, city_url: str) -> None:
    web, watch = conninfo_to_dict(web_url(city_url)), conninfo_to_dict(service_role.watch_url())
    assert web["user"] != watch["user"]
    assert web["password"] != watch["password"]
    with pytest.raises(psycopg.OperationalError):
        connect(service_role.watch_url(), password=str(web["password"]))


def test_an_address_of_ones_own_is_taken_as_it_is(owner: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEOAPP_WATCH_DATABASE_URL", "postgresql://watch:w@db.example/geoapp")
    monkeypatch.setenv(
        "GEOAPP_DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/none"
    )  # the owner is not asked
    settings.cache_clear()
    assert service_role.watch_url() == "postgresql://watch:w@db.example/geoapp"


def test_a_fire_is_recorded_from_first_sight_to_its_end(
    owner: Connection, watch: Connection, tmp_path: Path
) -> None:
    owner.execute("UPDATE registry.camera SET snapshot_url = NULL")
    add_camera(owner, 1, "http://127.0.0.1:9/a")
    fire = fire_at(12.0, 22.0)
    at = AT
    for boxes in ([fire], [fire], [fire], Reason.HTTP_401, [fire]):
        look(watch, at, boxes, tmp_path)
        at += timedelta(seconds=10)
    incident = owner.execute(
        "SELECT i.* FROM watch.incident AS i JOIN registry.camera AS c ON c.id = i.camera_id WHERE c.gb_id = %s",
        (gb_id(1),),
    ).fetchone()
    assert incident is not None
    assert (incident["state"], incident["class"], incident["review"]) == ("open", "fire", "unreviewed")
    kept = owner.execute(
        "SELECT count(*) AS n FROM watch.evidence WHERE incident_id = %s", (incident["id"],)
    ).fetchone()
    told = owner.execute(
        "SELECT count(*) AS n FROM watch.outbox WHERE incident_id = %s", (incident["id"],)
    ).fetchone()
    assert kept is not None
    assert told is not None
    assert kept["n"] >= 1
    assert told["n"] >= 1
    for _ in range(60):
        look(watch, at, [], tmp_path)
        at += timedelta(seconds=60)
    ended = owner.execute("SELECT state FROM watch.incident WHERE id = %s", (incident["id"],)).fetchone()
    assert ended == {"state": "closed"}
    claim_one(watch, at)
    assert release(watch, owner="test") == 1
    later = datetime.now(UTC) + timedelta(hours=1)  # notices are dated by the server's clock
    watch.execute("SELECT watch.drop_observations(%s)", (later,))
    left = owner.execute(
        "SELECT count(*) AS n FROM watch.observation WHERE captured_at < %s", (later,)
    ).fetchone()
    assert left == {"n": 0}
    assert watch.execute(statement("forgotten_notices"), {"before": later}).rowcount > 0


def test_open_maps_hear_of_it(owner: Connection, watch: Connection, tmp_path: Path) -> None:
    """NOTIFY is sent by a trigger, whoever writes."""
    owner.execute("UPDATE registry.camera SET snapshot_url = NULL")
    add_camera(owner, 1, "http://127.0.0.1:9/a")
    owner.execute("LISTEN geoapp_live")
    look(watch, AT, Reason.HTTP_401, tmp_path)
    assert list(owner.notifies(timeout=5, stop_after=1))


@pytest.mark.parametrize(
    "attempt",
    [
        "UPDATE registry.site SET name_zh = 'x'",
        "UPDATE registry.camera SET snapshot_url = 'http://127.0.0.1/'",
        "DELETE FROM registry.camera",
        "INSERT INTO duty.department (code, name_zh) VALUES ('x', 'x')",
        "SELECT * FROM access.account",
        "SELECT password_hash FROM access.account",
        "SELECT * FROM access.session",
        "SELECT * FROM access.audit",
        "DELETE FROM access.audit",
        "UPDATE access.secret SET sealed = ''",
        "SELECT * FROM registry.site",
        "SELECT * FROM duty.person",
        "SELECT * FROM staging.rejected",
        "UPDATE watch.incident SET review = 'false'",
        "DELETE FROM watch.incident",
        "DELETE FROM watch.evidence",
        "UPDATE watch.evidence SET sha256 = ''",
        "TRUNCATE watch.observation",
        "CREATE TABLE watch.mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE ROLE mine",
        "ALTER TABLE registry.site DISABLE ROW LEVEL SECURITY",
        "SELECT pg_read_file('PG_VERSION')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SET ROLE geoapp",
        "SET ROLE geoapp_admin",
        "SET ROLE geoapp_web",
    ],
)
def test_the_watch_reaches_nothing_else(watch: Connection, attempt: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        watch.execute(attempt.encode())


def test_the_watch_cannot_take_an_accounts_role(owner: Connection, watch: Connection) -> None:
    from signed_in import caller

    someone = caller(owner, "taken.by.watch", "committee")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        watch.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(someone.db_role)))
