"""Backup and restore: one file that holds the city's whole database, and its way back.

The file begins with a header of HEADER_BYTES, one line of JSON filled up with blanks; then follows what pg_dump writes
(custom format). Neither the key file nor the evidence frames are in it: keep copies of both elsewhere.
"""

import contextlib
import getpass
import hashlib
import json
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from geoapp.database import migrations
from geoapp.database.cluster import find_server
from geoapp.database.connection import connect
from geoapp.errors import Refused

HEADER_BYTES = 4096
_FORMAT = "geoapp backup 1"
_SUFFIX = ".backup"
_CHUNK = 1 << 20
# Audit records that the running system may add between the swap and the copy of the newest ones; ids stay unique.
_AUDIT_GAP = 10_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Header:
    """What a backup says of itself. made_at: ISO 8601 with zone; metric_srid: EPSG code; bytes: of the dump alone.

    key_fingerprint names the key file that opens the sealed values (None: there was none).
    """

    city_code: str
    city_zh: str
    city_en: str
    metric_srid: int
    timezone: str
    revision: str
    made_at: str
    server: str
    sealed_values: int
    key_fingerprint: str | None
    bytes: int
    sha256: str

    @property
    def made_here(self) -> str:
        """When it was made, on the city's clocks."""
        made = datetime.fromisoformat(self.made_at).astimezone(ZoneInfo(self.timezone))
        return f"{made:%Y-%m-%d %H:%M:%S %Z}"


@dataclass(frozen=True)
class Restored:
    """What a restore did, and what a person should know about it."""

    header: Header
    revision: str
    accounts: int
    new_roles: list[str]
    audit_kept: int
    notices: list[str]


def backup_folder(home: Path) -> Path:
    """Where backups lie unless told otherwise."""
    return home / "backups"


def back_up(
    url: str, file: Path | None, *, home: Path, at: datetime, key: str | None, pg_bin: Path | None = None
) -> tuple[Path, Header]:
    """Writes the database at `url` (its owner's address) to `file`, mode 0600, and records that in the audit.

    file: None for a name of its own in `backup_folder(home)`. at: now, aware. key: the fingerprint of the key file in
    use. Raises Refused where the file is there already, no city is stored, or pg_dump does not do it.
    """
    with connect(url) as connection:
        facts = _facts(connection)
    if facts is None:
        raise Refused("没有可备份的城市 / There is no city to back up: this database holds none.")
    if file is None:
        folder = backup_folder(home)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        file = folder / f"geoapp-{facts['city_code']}-{at:%Y%m%dT%H%M%S}{_SUFFIX}"
    if file.exists():
        raise Refused(f"{file} 已存在 / exists already: name another file.")
    draft = file.with_name(file.name + ".part")
    try:
        with _made_for_us_alone(draft) as stream:
            stream.write(b" " * HEADER_BYTES)
            size, digest = _dump(url, stream, find_server(pg_bin))
            header = Header(
                **facts,
                revision=str(migrations.current(url)),
                made_at=at.isoformat(),
                key_fingerprint=key,
                bytes=size,
                sha256=digest,
            )
            stream.seek(0)
            stream.write(_head(header))
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(file)
    except OSError as fault:
        raise Refused(f"{file}: 写不了备份 / the backup cannot be written: {fault.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    with connect(url) as connection:
        _record(connection, "backup", file, header)
    return file, header


def read_header(file: Path) -> Header:
    """The header of a backup. Raises Refused where the file is none, or is cut off."""
    try:
        with file.open("rb") as stream:
            head = stream.read(HEADER_BYTES)
        found = json.loads(head.decode())
        if found.pop("format") != _FORMAT or len(head) != HEADER_BYTES:
            raise ValueError
        header = Header(**found)
        _ = header.made_here, header.metric_srid + header.bytes  # a moment in a zone, and numbers
    except OSError as fault:
        raise Refused(f"{file}: 读不了 / cannot be read: {fault.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, ZoneInfoNotFoundError):
        raise Refused(f"{file}: 不是 GeoApp 的备份 / is not a backup of GeoApp's.") from None
    held = file.stat().st_size - HEADER_BYTES
    if held != header.bytes:
        raise Refused(
            f"{file}: 不完整，{held:,} 字节，应为 {header.bytes:,} / is cut off: {held:,} bytes of {header.bytes:,}."
        )
    return header


def list_backups(home: Path) -> list[tuple[Path, Header | str]]:
    """Backups in the usual folder, newest first: each with its header, or with what is wrong with it."""
    found: list[tuple[Path, Header | str]] = []
    for file in sorted(
        backup_folder(home).glob(f"*{_SUFFIX}"), key=lambda p: p.stat().st_mtime, reverse=True
    ):
        try:
            found.append((file, read_header(file)))
        except Refused as refusal:
            found.append((file, str(refusal)))
    return found


def check_restore(url: str, file: Path) -> tuple[Header, bool]:
    """(header, whether data would be replaced). Raises Refused for a file that is damaged, of a newer program, of another
    city or of another zone than the database at `url`."""
    header = read_header(file)
    if header.revision > migrations.head():
        raise Refused(
            f"备份是版本 {header.revision}，程序只到 {migrations.head()} / The backup is of revision {header.revision}, this program "
            f"knows {migrations.head()}.\n  Update the program; nothing was changed."
        )
    digest = hashlib.sha256()
    for part in _parts_of(file):
        digest.update(part)
    if digest.hexdigest() != header.sha256:
        raise Refused(
            f"{file}: 内容已损坏（校验和不符）/ is damaged: its checksum differs. Nothing was changed."
        )
    with connect(url) as connection:
        facts = _facts(connection)
        accounts = (
            _has(connection, "access.account")
            and connection.execute("SELECT FROM access.account LIMIT 1").fetchone()
        )
    if facts is not None:
        here, there = (facts["city_code"], facts["metric_srid"]), (header.city_code, header.metric_srid)
        if here != there:
            raise Refused(
                f"数据库里是{facts['city_zh']}（{here[0]}，EPSG:{here[1]}），备份是{header.city_zh}（{there[0]}，EPSG:{there[1]}）/ This "
                f"database holds {here[0]} in EPSG:{here[1]}, the backup {there[0]} in EPSG:{there[1]}.\n"
                "  One database holds one city: use another GEOAPP_HOME (or database). Nothing was changed."
            )
    return header, facts is not None or bool(accounts)


def restore(
    url: str,
    file: Path,
    *,
    at: datetime,
    key: str | None,
    pg_bin: Path | None = None,
    say: Say = lambda text: None,
) -> Restored:
    """Puts the backup in the place of the database at `url` (its owner's address; he may make databases).

    It is restored beside the old one, brought to this program's revision and looked at; only then do they change names, at
    once, and the old one is dropped. Audit records that are newer than the backup are carried over. Sessions are ended:
    some may have been ended after the backup. at: now; key: fingerprint of the key file here, None where there is none.
    Raises Refused as check_restore does, and where any step fails: then the old database is as it was, in its place. Only
    where it cannot even be put back there does the refusal name what it is called now, and what to run.
    """
    header, _ = check_restore(url, file)
    name = conninfo_to_dict(url).get("dbname")
    if not isinstance(name, str):
        raise Refused("地址里没有数据库名 / the database's address names no database: GEOAPP_DATABASE_URL.")
    new, old = f"{name}_restoring_{uuid.uuid4().hex[:6]}", f"{name}_before_{at:%Y%m%d%H%M%S}"
    new_url = _with_database(url, new)
    # Without a schema there, `postgres` is where every server lets its owner in.
    with psycopg.connect(make_conninfo(url, dbname="postgres"), autocommit=True) as server:
        known = {row[0] for row in server.execute("SELECT rolname FROM pg_roles")}
        try:
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(new)))
        except psycopg.errors.InsufficientPrivilege:
            raise Refused(
                "恢复要新建数据库，但账号没有权限 / A restore makes a database, and this role may not: ALTER ROLE <it> CREATEDB."
            ) from None
        try:
            server.execute(
                sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(sql.Identifier(new))
            )
            say("pg_restore …")
            migrations.make_roles(new_url)
            _undump(new_url, file, find_server(pg_bin))
            say("migrate …")
            revision = _bring_up(new_url, header)
            kept = _make_room_for_audit(url, new_url)
            say("…")
            # As much as can be done beside the old database is; what is written there meanwhile comes after the swap.
            with connect(new_url) as connection:
                carried = _carry_audit(url, connection, kept)
                connection.execute(
                    "UPDATE access.session SET ended_at = %s, ended_why = 'restored' WHERE ended_at IS NULL",
                    (at,),
                )
            _swap(server, name, new, old)
            try:
                # One transaction, roles included: it is done whole, or the old database comes back.
                with connect(url) as connection:
                    carried += _carry_audit(_with_database(url, old), connection, kept)
                    connection.execute("SELECT access.follow_role(a) FROM access.account AS a")
                    _record(connection, "restore", file, header)
                    logins = connection.execute(
                        "SELECT db_role, has_sql_login FROM access.account ORDER BY 1"
                    ).fetchall()
            except BaseException as fault:
                _swap_back(server, name, new, old)
                if isinstance(fault, psycopg.Error):
                    raise Refused(
                        "恢复的最后一步失败，原数据库已换回 / The last step of the restore failed; the database of before is back:"
                        f" {str(fault).strip().splitlines()[0]}"
                    ) from None
                raise
        except BaseException:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(new)))
            raise
        left_over = _dropped(server, old)
    made = [row["db_role"] for row in logins if row["db_role"] not in known]
    return Restored(
        header=header,
        revision=revision,
        accounts=len(logins),
        new_roles=made,
        audit_kept=carried,
        notices=[
            *_notices(
                header, key, [r["db_role"] for r in logins if r["has_sql_login"] and r["db_role"] in made]
            ),
            *left_over,
        ],
    )


def _notices(header: Header, key: str | None, sql_logins: list[str]) -> list[str]:
    said = [
        f"账号、密码、令牌是 {header.made_here} 的状态，其后的停用、改密和撤销要再做一次；所有会话已结束 / Accounts, passwords and tokens are as "
        "of the backup: what was disabled, changed or revoked since must be so again. All sessions have been ended."
    ]
    if header.sealed_values and header.key_fingerprint != key:
        here = key or "没有 / none"
        said.append(
            f"密钥文件不符：{header.sealed_values} 个加密值要用密钥 {header.key_fingerprint}，本机是 {here} / THE KEY FILE HERE IS NOT THE ONE "
            f"NEEDED: {header.sealed_values} sealed value(s) open with key file {header.key_fingerprint} only, here is {here}. It is never in "
            "a backup: put it back from its own copy (GEOAPP_KEY_FILE), or set the credentials again."
        )
    if sql_logins:
        said.append(
            f"这些 SQL 账号要重设密码 / SQL logins that need a password again (it is not in the backup): {', '.join(sql_logins)}"
        )
    said.append(
        "取证画面不在备份里 / Evidence frames are not in a backup: copy the folder evidence/ back as well."
    )
    return said


# -- the file ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _made_for_us_alone(path: Path) -> Iterator[IO[bytes]]:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
        yield stream


def _head(header: Header) -> bytes:
    line = json.dumps({"format": _FORMAT} | asdict(header), ensure_ascii=False).encode()
    if len(line) >= HEADER_BYTES:
        raise ValueError("the header does not fit")
    return line.ljust(HEADER_BYTES - 1) + b"\n"


def _parts_of(file: Path) -> Iterator[bytes]:
    """The dump, without the header."""
    with file.open("rb") as stream:
        stream.seek(HEADER_BYTES)
        while part := stream.read(_CHUNK):
            yield part


# -- pg_dump and pg_restore -------------------------------------------------------------------------------------


def _program(url: str, server: Path, name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment; the password is in the environment only, where other accounts do not see it."""
    parts = conninfo_to_dict(url)
    secret = parts.pop("password", None)
    address = make_conninfo(**{key: str(value) for key, value in parts.items() if value is not None})
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}
    environment |= {key: value for key, value in os.environ.items() if key.startswith("PG")}
    if secret is not None:
        environment["PGPASSWORD"] = str(secret)
    return [str(server / name), f"--dbname={address}", "--no-password", *arguments], environment


def _dump(url: str, stream: IO[bytes], server: Path) -> tuple[int, str]:
    """pg_dump into the stream; size and SHA-256 of what it wrote. Rows that a policy hides would make it fail, not be
    left out (row_security is off in it)."""
    command, environment = _program(url, server, "pg_dump", "--format=custom", "--no-owner")
    size, digest = 0, hashlib.sha256()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        try:
            while part := running.stdout.read(_CHUNK):
                stream.write(part)
                digest.update(part)
                size += len(part)
        except BaseException:
            running.kill()
            raise
        said = running.stderr.read()
    if running.returncode != 0:
        raise Refused(f"pg_dump 失败 / pg_dump failed: {_last_line(said)}")
    return size, digest.hexdigest()


def _undump(url: str, file: Path, server: Path) -> None:
    command, environment = _program(url, server, "pg_restore", "--no-owner", "--exit-on-error")
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended early: what it said follows
                for part in _parts_of(file):
                    running.stdin.write(part)
                running.stdin.close()
        except BaseException:
            running.kill()
            raise
        said = running.stderr.read()
    if running.returncode != 0:
        raise Refused(
            f"pg_restore 失败，原数据库未动 / pg_restore failed, the database is as it was: {_last_line(said)}"
        )


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if "error" in line.lower()]
    return lines[0] if lines else "—"


# -- the database -----------------------------------------------------------------------------------------------


def _has(connection: psycopg.Connection[dict[str, Any]], table: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) AS t", (table,)).fetchone()
    return row is not None and row["t"] is not None


def _facts(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, Any] | None:
    """Header fields that the database knows; None where it holds no city."""
    if not _has(connection, "territory.city"):
        return None
    row = connection.execute(
        "SELECT c.code AS city_code, c.name_zh AS city_zh, c.name_en AS city_en, c.metric_srid, c.timezone,"
        " current_setting('server_version') AS server FROM territory.city AS c"
    ).fetchone()
    if row is None:
        return None
    sealed = None
    if _has(connection, "access.secret"):
        sealed = connection.execute("SELECT count(*) AS n FROM access.secret").fetchone()
    return row | {"sealed_values": sealed["n"] if sealed else 0}


def _with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _bring_up(url: str, header: Header) -> str:
    """To this program's revision, with definitions and marks of its own (pg_dump leaves some out: leakproof, rights on the
    database). Raises Refused where the city is not the one of the header."""
    with connect(url) as connection:
        facts = _facts(connection)
        if facts is None or facts["city_code"] != header.city_code:
            raise Refused("备份里没有它所说的城市 / The backup does not hold the city that it names.")
        connection.execute("COMMENT ON SCHEMA tiles IS NULL")  # definitions are applied where this differs
    revision = migrations.migrate(url, srid=header.metric_srid)
    assert revision is not None
    return revision


def _make_room_for_audit(old_url: str, new_url: str) -> int | None:
    """Newest audit id of the backup, after which the old database's records are carried over; None where it has none."""
    with connect(old_url) as old, connect(new_url) as new:
        if not _has(old, "access.audit"):
            return None
        there = old.execute("SELECT coalesce(max(id), 0) AS id FROM access.audit").fetchone()
        here = new.execute("SELECT coalesce(max(id), 0) AS id FROM access.audit").fetchone()
        assert there is not None
        assert here is not None
        new.execute(
            "SELECT setval(pg_get_serial_sequence('access.audit', 'id'), %s)",
            (max(there["id"], here["id"]) + _AUDIT_GAP,),
        )
        return int(here["id"])


def _swap(server: psycopg.Connection[Any], name: str, new: str, old: str) -> None:
    """Old becomes `old`, new becomes `name`, in one transaction. Programs that were connected come back to the new one."""
    # The services' own logins are the installation's, not the city's: they may connect as before.
    logins = server.execute(
        "SELECT r.rolname FROM pg_database AS d CROSS JOIN aclexplode(d.datacl) AS a JOIN pg_roles AS r ON r.oid = a.grantee"
        " WHERE d.datname = %s AND a.privilege_type = 'CONNECT' AND r.rolname ~ '^geoapp_(web|watch)_[0-9a-f]{16}$'",
        (name,),
    ).fetchall()
    for (login,) in logins:
        server.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(new), sql.Identifier(login))
        )
    done = threading.Event()
    away = threading.Thread(
        target=_send_away, args=(server.info.dsn, server.info.password, (name, new), done)
    )
    away.start()
    try:
        with server.transaction():
            # From here no new connection gets in, and the server waits up to 5 s for those that there are.
            for held, wanted in ((name, old), (new, name)):
                server.execute(
                    sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                        sql.Identifier(held), sql.Identifier(wanted)
                    )
                )
    except psycopg.errors.ObjectInUse:
        raise Refused(
            "还有程序连着数据库，未恢复 / Programs stay connected to the database; nothing was changed. Stop geoapp serve and "
            "geoapp detect run, then restore again."
        ) from None
    finally:
        done.set()
        away.join()


def _swap_back(server: psycopg.Connection[Any], name: str, new: str, old: str) -> None:
    """The old database gets its name again. Raises Refused, naming it, where that cannot be done."""
    try:
        _swap(server, name, old, new)
    except (Refused, psycopg.Error):
        raise Refused(
            f"恢复未完成，原数据库仍完整，现名 {old} / The restore was not finished. The database of before is whole, but it is called"
            f" {old} now, and an unfinished restore is in its place. Stop geoapp serve and geoapp detect run, then as the owner:\n"
            f'  ALTER DATABASE "{name}" RENAME TO "{new}"; ALTER DATABASE "{old}" RENAME TO "{name}";'
        ) from None


def _dropped(server: psycopg.Connection[Any], old: str) -> list[str]:
    """Drops the database of before; where that fails, a notice with its name (the restore itself is done)."""
    try:
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(old)))
    except psycopg.Error as fault:
        return [
            f'原数据库未能删除 / The database of before is left over as {old} ({str(fault).strip().splitlines()[0]}): DROP DATABASE "{old}";'
        ]
    return []


def _send_away(address: str, password: str, names: tuple[str, str], done: threading.Event) -> None:
    """Ends the sessions of these databases, again and again until told that it is done."""
    with psycopg.connect(address, password=password, autocommit=True) as connection:
        while not done.wait(0.05):
            connection.execute(
                "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a WHERE a.datname = ANY (%s)",
                (list(names),),
            )


def _carry_audit(old_url: str, new: psycopg.Connection[dict[str, Any]], after: int | None) -> int:
    """Audit records after an id that the new database does not hold, from the old one into it; how many."""
    if after is None:
        return 0
    with connect(old_url) as old:
        columns = old.execute(
            "SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) AS names"
            " FROM information_schema.columns WHERE table_schema = 'access' AND table_name = 'audit'"
        ).fetchone()
        assert columns is not None
        names = sql.SQL(columns["names"])
        held = new.execute("SELECT id FROM access.audit WHERE id > %s", (after,)).fetchall()
        taken = sql.SQL(
            "COPY (SELECT {} FROM access.audit WHERE id > {} AND id <> ALL ({}::bigint[])) TO STDOUT"
        ).format(names, sql.Literal(after), sql.Literal([row["id"] for row in held]))
        given = sql.SQL("COPY access.audit ({}) FROM STDIN").format(names)
        with old.cursor().copy(taken) as source, new.cursor() as cursor:
            with cursor.copy(given) as target:
                for part in source:
                    target.write(part)
            return cursor.rowcount


def _record(connection: psycopg.Connection[dict[str, Any]], action: str, file: Path, header: Header) -> None:
    if not _has(connection, "access.audit"):
        return
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = None
    detail = {"file": file.name, "system_user": user, "made_at": header.made_at, "sha256": header.sha256}
    connection.execute(
        "SELECT access.record(%s, 'database', %s, detail => %s)",
        (action, header.city_code, json.dumps(detail, ensure_ascii=False)),
    )
