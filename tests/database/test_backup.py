"""A backup and its way back: all of the city with its rights, or nothing changed."""

import json
import os
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner, Result

from geoapp.access import sealing, service_role
from geoapp.access.accounts import add_account
from geoapp.access.caller import Caller
from geoapp.access.sessions import caller_of_session, open_session
from geoapp.database import backup, commands, migrations, pg_dump, restore
from geoapp.database.backup_file import HEADER_BYTES
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]
TOWN = "310116103000"
AT = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path, city_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation with the small city."""
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEOAPP_DATABASE_URL", city_url)
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


def rows(url: str, question: str) -> list[dict[str, Any]]:
    with connect(url) as connection:
        return connection.execute(question.encode()).fetchall()


def contents(url: str) -> dict[str, tuple[int, str]]:
    """Every table's rows: how many, and a sum over their text."""
    with connect(url) as connection:
        tables = connection.execute(
            "SELECT format('%%I.%%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN"
            " ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'access', 'analysis', 'staging')"
            " AND tablename NOT IN ('audit', 'session') ORDER BY 1".replace("%%", "%").encode()
        ).fetchall()
        return {
            t["name"]: tuple(
                connection.execute(
                    f"SELECT count(*) AS n, coalesce(md5(string_agg(t::text, '' ORDER BY t::text)), '') AS d FROM {t['name']} AS t".encode()
                ).fetchone().values()  # type: ignore[union-attr]
            )
            for t in tables
        }  # fmt: skip


def rights(url: str) -> list[tuple[Any, ...]]:
    """Policies, grants, functions' marks and triggers: what keeps rows apart."""
    found: list[tuple[Any, ...]] = []
    for question in (
        "SELECT polrelid::regclass::text, polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid),"
        " pg_get_expr(polwithcheck, polrelid), polroles::regrole[]::text FROM pg_policy",
        "SELECT c.oid::regclass::text, c.relrowsecurity, c.relowner::regrole::text, c.reloptions::text, e.* FROM pg_class AS c"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace LEFT JOIN LATERAL (SELECT array_agg(grantee::regrole::text || privilege_type ORDER BY 1)"
        "::text FROM aclexplode(c.relacl)) AS e ON true WHERE n.nspname IN ('territory', 'registry', 'duty', 'watch', 'access', 'analysis', 'tiles')",
        "SELECT attrelid::regclass::text, attname, (SELECT array_agg(grantee::regrole::text || privilege_type ORDER BY 1)::text"
        " FROM aclexplode(attacl)) FROM pg_attribute WHERE attacl IS NOT NULL",
        "SELECT p.oid::regprocedure::text, p.prosecdef, p.proleakproof, p.proconfig::text, (SELECT array_agg(grantee::regrole::text ||"
        " privilege_type ORDER BY 1)::text FROM aclexplode(p.proacl)) FROM pg_proc AS p",
        "SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT lanname, lanacl::text FROM pg_language WHERE lanname = 'plpgsql'",
    ):
        found += sorted(tuple(map(str, r.values())) for r in rows(url, question))
    return found


def sign_in(url: str, login: str, roles: list[str], areas: list[str]) -> tuple[str, Caller]:
    with connect(url) as owner:
        made = add_account(owner, login, login, roles, areas=areas, password_hash="$argon2id$x")
        token = open_session(owner, made, method="password", at=AT)
        found = caller_of_session(owner, token, AT)
        assert found is not None
        return token, found


def see(url: str, who: Caller) -> int:
    with connect(url) as connection:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who.db_role)))
        row = connection.execute("SELECT count(*) AS n FROM registry.site").fetchone()
        assert row is not None
        return int(row["n"])


def test_a_city_goes_out_and_comes_back_whole(home: Path, city_url: str) -> None:
    token, officer = sign_in(city_url, "back.officer", ["duty_officer"], [TOWN])
    with connect(city_url) as owner:
        sealing.put_secret(owner, "camera", "31011600001320000001", "password", "S3cret!", "test")
        # A clone has no rights as a database of its own; a city that was migrated has.
        owner.execute("COMMENT ON SCHEMA tiles IS NULL")
    migrations.migrate(city_url, srid=4549)
    with connect(service_role.watch_url()):
        pass
    before, kept, seen = contents(city_url), rights(city_url), see(city_url, officer)
    assert 0 < seen < rows(city_url, "SELECT count(*) AS n FROM registry.site")[0]["n"]
    file, header = backup.back_up(city_url, None, home=home, at=AT, key=sealing.key_fingerprint())

    # What happens afterwards: data is lost, an account is gone from this server, things are recorded.
    with connect(city_url) as owner:
        owner.execute("DELETE FROM inspection.hazard")
        owner.execute("UPDATE registry.site SET name_zh = '改了'")
        owner.execute("SELECT access.record('look', 'after the backup')")
    audited = {r["id"] for r in rows(city_url, "SELECT id FROM access.audit")}
    with connect(city_url) as owner:
        for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
            owner.execute(sql.SQL(statement).format(sql.Identifier(officer.db_role)))

    said: list[str] = []
    done = restore.restore(city_url, file, at=AT, key=sealing.key_fingerprint(), say=said.append)
    assert contents(city_url) == before
    assert rights(city_url) == kept
    assert done.header == header
    assert (done.revision, done.accounts, done.new_roles) == (migrations.head(), 1, [officer.db_role])
    # The role that was gone is made again and sees its town, no more.
    assert see(city_url, officer) == seen
    # The session came back, ended; nobody stays signed in by an old cookie.
    assert rows(city_url, "SELECT account_id, ended_why FROM access.session") == [
        {"account_id": officer.account_id, "ended_why": "restored"}
    ]
    with connect(city_url) as owner:
        assert caller_of_session(owner, token, AT) is None
        secret = sealing.secret_of(owner, "camera", "31011600001320000001", "password")
        assert secret is not None
        assert secret.get_secret_value() == "S3cret!"
    # The audit has lost nothing, still takes nothing back, and goes on.
    now = rows(city_url, "SELECT id, action FROM access.audit ORDER BY id")
    assert audited <= {r["id"] for r in now}
    assert [r["action"] for r in now if r["id"] not in audited] == ["restore"]
    assert done.audit_kept >= 3
    for attempt in ("UPDATE access.audit SET ok = true", "DELETE FROM access.audit", "TRUNCATE access.audit"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(city_url, attempt)
    with connect(city_url) as owner:
        owner.execute(
            "UPDATE registry.site SET name_zh = name_zh || 'x' WHERE id = (SELECT min(id) FROM registry.site)"
        )
    assert rows(city_url, "SELECT action FROM access.audit ORDER BY id DESC LIMIT 1") == [
        {"action": "update"}
    ]
    leakproof = "SELECT proleakproof AS p FROM pg_proc WHERE oid = 'geometry_overlaps(geometry, geometry)'::regprocedure"
    assert rows(city_url, leakproof) == [{"p": True}]
    # The services come back by themselves; strangers of the same server do not get in; nothing is left over.
    with connect(service_role.running_watch_url()) as watch:
        assert watch.execute("SELECT count(*) AS n FROM registry.camera").fetchone() == {"n": 60}
    assert rows(
        city_url, "SELECT has_database_privilege('public', current_database(), 'CONNECT, TEMPORARY') AS p"
    ) == [{"p": False}]
    name = conninfo_to_dict(city_url)["dbname"]
    assert rows(city_url, f"SELECT datname FROM pg_database WHERE datname LIKE '{name}%'") == [
        {"datname": name}
    ]
    assert not [n for n in done.notices if "KEY FILE" in n]


def test_a_backup_is_for_its_owner_alone_and_holds_no_address(home: Path, city_url: str) -> None:
    umask = os.umask(0)
    try:
        file, header = backup.back_up(city_url, None, home=home, at=AT, key=None)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]
    with file.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    password = str(conninfo_to_dict(city_url)["password"])
    assert password.encode() not in file.read_bytes()
    assert (json.loads(head)["city_code"], header.metric_srid, header.key_fingerprint) == (
        "310116",
        4549,
        None,
    )
    assert rows(
        city_url, "SELECT action, detail ->> 'file' AS file FROM access.audit ORDER BY id DESC LIMIT 1"
    ) == [{"action": "backup", "file": file.name}]


@pytest.fixture
def file(home: Path, city_url: str) -> Path:
    """A backup of the city, with a sealed value in it."""
    with connect(city_url) as owner:
        sealing.put_secret(owner, "camera", "31011600001320000001", "password", "S3cret!", "test")
    return backup.back_up(city_url, None, home=home, at=AT, key=sealing.key_fingerprint())[0]


def forge(file: Path, **changes: Any) -> None:
    """The same backup with another header."""
    data = file.read_bytes()
    header = json.loads(data[:HEADER_BYTES]) | changes
    file.write_bytes(json.dumps(header).encode().ljust(HEADER_BYTES) + data[HEADER_BYTES:])


def test_what_does_not_fit_is_refused_before_anything_is_touched(city_url: str, file: Path) -> None:
    whole = file.read_bytes()
    at = HEADER_BYTES + 1000
    before = rows(city_url, "SELECT oid FROM pg_database WHERE datname = current_database()")
    for changes, words in (
        ({"revision": "9999"}, "Update the program"),
        ({"city_code": "231000"}, "One database holds one city"),
        ({"metric_srid": 4552}, "One database holds one city"),
        ({"sha256": "0" * 64}, "damaged"),
        ({"bytes": 1}, "cut off"),
        ({"format": "something else"}, "is not a backup"),
        ({"surprise": 1}, "is not a backup"),
        ({"made_at": "yesterday"}, "is not a backup"),
        ({"timezone": "Nowhere/At_all"}, "is not a backup"),
        ({"bytes": "many"}, "is not a backup"),
    ):
        file.write_bytes(whole)
        forge(file, **changes)
        with pytest.raises(Refused, match=words):
            restore.restore(city_url, file, at=AT, key=None)
    for spoilt, words in (
        (whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], "damaged"),
        (whole[:-10], "cut off"),
        (b"not a backup", "is not a backup"),
        (b"", "is not a backup"),
        (b"[1]".ljust(HEADER_BYTES), "is not a backup"),
    ):
        file.write_bytes(spoilt)
        with pytest.raises(Refused, match=words):
            restore.restore(city_url, file, at=AT, key=None)
    file.unlink()
    with pytest.raises(Refused, match="cannot be read"):
        restore.restore(city_url, file, at=AT, key=None)
    assert rows(city_url, "SELECT oid FROM pg_database WHERE datname = current_database()") == before


def test_a_dump_that_does_not_go_in_leaves_all_as_it_was(
    city_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    rubbish = b"PGDMP but not really"
    file.write_bytes(file.read_bytes()[:HEADER_BYTES] + rubbish)
    forge(file, bytes=len(rubbish), sha256=hashlib.sha256(rubbish).hexdigest())
    before = contents(city_url)
    with pytest.raises(Refused, match="pg_restore failed"):
        restore.restore(city_url, file, at=AT, key=None)
    assert contents(city_url) == before
    name = conninfo_to_dict(city_url)["dbname"]
    assert len(rows(city_url, f"SELECT FROM pg_database WHERE datname LIKE '{name}%'")) == 1


def test_when_the_last_step_fails_the_database_of_before_is_back(
    city_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(city_url) as owner:
        owner.execute("UPDATE registry.site SET name_zh = '改了'")
        add_account(owner, "since", "备份之后", ["analyst"])
    before, oid = contents(city_url), "SELECT oid FROM pg_database WHERE datname = current_database()"
    roles = "SELECT member::regrole::text, roleid::regrole::text FROM pg_auth_members ORDER BY 1, 2"
    was, held = rows(city_url, oid), rows(city_url, roles)
    audited = rows(city_url, "SELECT id FROM access.audit ORDER BY id")

    def fails(connection: Connection, *_: Any) -> None:
        connection.execute("SELECT 1 / 0")

    monkeypatch.setattr(restore, "record", fails)
    with pytest.raises(Refused, match="the database of before is back: division by zero"):
        restore.restore(city_url, file, at=AT, key=None)
    assert rows(city_url, oid) == was
    assert contents(city_url) == before
    assert rows(city_url, roles) == held
    assert rows(city_url, "SELECT id FROM access.audit ORDER BY id") == audited
    name = conninfo_to_dict(city_url)["dbname"]
    assert len(rows(city_url, f"SELECT FROM pg_database WHERE datname LIKE '{name}%'")) == 1


def test_what_cannot_be_put_back_is_named_with_what_to_run(
    cluster: PrivateCluster, city_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, swaps = restore._swap, []

    def once(*names: Any) -> None:
        swaps.append(names)
        if len(swaps) > 1:
            raise Refused("programs stay connected")
        real(*names)

    monkeypatch.setattr(restore, "_swap", once)
    monkeypatch.setattr(restore, "record", lambda connection, *_: connection.execute("SELECT 1 / 0"))
    was = rows(city_url, "SELECT oid FROM pg_database WHERE datname = current_database()")
    with pytest.raises(Refused, match="ALTER DATABASE") as said:
        restore.restore(city_url, file, at=AT, key=None)
    statements = str(said.value).splitlines()[-1].strip()
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as server:
        for statement in filter(None, statements.split(";")):
            server.execute(statement.encode())
        assert rows(city_url, "SELECT oid FROM pg_database WHERE datname = current_database()") == was
        left = str(swaps[0][2])
        server.execute(f'DROP DATABASE "{left}" WITH (FORCE)'.encode())


def test_into_a_database_without_a_schema_by_no_visible_password(
    cluster: PrivateCluster, city_url: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands_run: list[list[str]] = []
    real = pg_dump.subprocess.Popen

    def watched(command: list[str], **options: Any) -> Any:
        commands_run.append(command)
        return real(command, **options)

    monkeypatch.setattr(pg_dump.subprocess, "Popen", watched)
    expected = contents(city_url)
    name = f"fresh_{os.getpid()}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
        try:
            done = restore.restore(cluster.url(name), file, at=AT, key=None)
            assert contents(cluster.url(name)) == expected
            assert done.audit_kept == 0
            assert [n for n in done.notices if "KEY FILE HERE IS NOT" in n]
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
    assert "pg_restore" in str(commands_run)
    assert str(conninfo_to_dict(city_url)["password"]) not in str(commands_run)


def test_while_programs_keep_coming_back(city_url: str, file: Path) -> None:
    """A watch and a map that reconnect all the time are put off, not broken."""
    stop, faults = threading.Event(), []

    def come_back() -> None:
        while not stop.is_set():
            try:
                with psycopg.connect(city_url, autocommit=True) as connection:
                    while not stop.wait(0.02):
                        connection.execute("SELECT count(*) FROM registry.site")
            except psycopg.Error:
                stop.wait(0.05)
            except Exception as fault:
                faults.append(fault)

    guests = [threading.Thread(target=come_back) for _ in range(3)]
    for guest in guests:
        guest.start()
    try:
        done = restore.restore(city_url, file, at=AT, key=None)
    finally:
        stop.set()
        for guest in guests:
            guest.join()
    assert done.revision == migrations.head()
    assert faults == []


# -- the commands -----------------------------------------------------------------------------------------------


def call(*arguments: str) -> Result:
    return CliRunner().invoke(commands.app, list(arguments))


def test_the_commands(home: Path, city_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(city_url) as owner:
        sealing.put_secret(owner, "camera", "31011600001320000001", "password", "S3cret!", "test")
    done = call("backup", "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert made["city_code"] == "310116"
    (home / "backups" / "old.backup").write_bytes(b"rubbish")
    shown = call("backups")
    assert shown.exit_code == 0
    assert made["revision"] in shown.stdout
    assert "not a backup" in " ".join(shown.stdout.split()) or "is not" in shown.stdout
    assert str(conninfo_to_dict(city_url)["password"]) not in shown.stdout + done.stdout
    listed = json.loads(call("backups", "--json").stdout)
    assert {Path(entry["file"]).name: "problem" in entry for entry in listed} == {
        Path(made["file"]).name: False,
        "old.backup": True,
    }
    again = call("backup", made["file"])
    assert isinstance(again.exception, Refused)
    asked = call("restore", made["file"])
    assert isinstance(asked.exception, Refused)
    assert "--yes" in str(asked.exception)
    # On a machine with another key file, or none: said plainly, and no fresh one is made that would open nothing.
    monkeypatch.setenv("GEOAPP_KEY_FILE", str(home / "other.key"))
    settings.cache_clear()
    back = call("restore", made["file"], "--yes")
    assert back.exit_code == 0, back.output
    assert "KEY FILE HERE IS NOT THE ONE" in back.output
    assert made["key_fingerprint"] in back.output
    assert not (home / "other.key").exists()


def test_an_empty_database_has_nothing_to_back_up(empty_url: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no city"):
        backup.back_up(empty_url, None, home=tmp_path, at=AS_OF, key=None)
    assert list(tmp_path.iterdir()) == []
