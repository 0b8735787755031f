"""The way back of a backup: it is put in the place of the database that is there, whole or not at all."""

import hashlib
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from geoapp.database import migrations
from geoapp.database.backup import city_facts, has_table, record
from geoapp.database.backup_file import Header, parts_of, read_header
from geoapp.database.cluster import find_server
from geoapp.database.connection import connect
from geoapp.database.pg_dump import undump
from geoapp.errors import Refused

# Audit records that the running system may add between the swap and the copy of the newest ones; ids stay unique.
_AUDIT_GAP = 10_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class Restored:
    """What a restore did, and what a person should know about it."""

    header: Header
    revision: str
    accounts: int
    new_roles: list[str]
    audit_kept: int
    notices: list[str]


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
    for part in parts_of(file):
        digest.update(part)
    if digest.hexdigest() != header.sha256:
        raise Refused(
            f"{file}: 内容已损坏（校验和不符）/ is damaged: its checksum differs. Nothing was changed."
        )
    with connect(url) as connection:
        facts = city_facts(connection)
        accounts = (
            has_table(connection, "access.account")
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
            undump(new_url, file, find_server(pg_bin))
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
                    record(connection, "restore", file, header)
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


def _with_database(url: str, name: str) -> str:
    """The same server, another database."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _bring_up(url: str, header: Header) -> str:
    """To this program's revision, with definitions and marks of its own (pg_dump leaves some out: leakproof, rights on the
    database). Raises Refused where the city is not the one of the header."""
    with connect(url) as connection:
        facts = city_facts(connection)
        if facts is None or facts["city_code"] != header.city_code:
            raise Refused("备份里没有它所说的城市 / The backup does not hold the city that it names.")
        connection.execute("COMMENT ON SCHEMA tiles IS NULL")  # definitions are applied where this differs
    revision = migrations.migrate(url, srid=header.metric_srid)
    assert revision is not None
    return revision


def _make_room_for_audit(old_url: str, new_url: str) -> int | None:
    """Newest audit id of the backup, after which the old database's records are carried over; None where it has none."""
    with connect(old_url) as old, connect(new_url) as new:
        if not has_table(old, "access.audit"):
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
