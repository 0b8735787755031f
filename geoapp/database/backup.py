"""A backup: one file that holds the city's whole database (`backup_file` says how, `restore` is its way back).

Neither the key file nor the evidence frames are in it: keep copies of both elsewhere.
"""

import getpass
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from geoapp.database import migrations
from geoapp.database.backup_file import (
    HEADER_BYTES,
    SUFFIX,
    Header,
    backup_folder,
    head_of,
    made_for_us_alone,
)
from geoapp.database.cluster import find_server
from geoapp.database.connection import connect
from geoapp.database.pg_dump import dump
from geoapp.errors import Refused


def back_up(
    url: str, file: Path | None, *, home: Path, at: datetime, key: str | None, pg_bin: Path | None = None
) -> tuple[Path, Header]:
    """Writes the database at `url` (its owner's address) to `file`, mode 0600, and records that in the audit.

    file: None for a name of its own in `backup_folder(home)`. at: now, aware. key: the fingerprint of the key file in
    use. Raises Refused where the file is there already, no city is stored, or pg_dump does not do it.
    """
    with connect(url) as connection:
        facts = city_facts(connection)
    if facts is None:
        raise Refused("没有可备份的城市 / There is no city to back up: this database holds none.")
    if file is None:
        folder = backup_folder(home)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        file = folder / f"geoapp-{facts['city_code']}-{at:%Y%m%dT%H%M%S}{SUFFIX}"
    if file.exists():
        raise Refused(f"{file} 已存在 / exists already: name another file.")
    draft = file.with_name(file.name + ".part")
    try:
        with made_for_us_alone(draft) as stream:
            stream.write(b" " * HEADER_BYTES)
            size, digest = dump(url, stream, find_server(pg_bin))
            header = Header(
                **facts,
                revision=str(migrations.current(url)),
                made_at=at.isoformat(),
                key_fingerprint=key,
                bytes=size,
                sha256=digest,
            )
            stream.seek(0)
            stream.write(head_of(header))
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(file)
    except OSError as fault:
        raise Refused(f"{file}: 写不了备份 / the backup cannot be written: {fault.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    with connect(url) as connection:
        record(connection, "backup", file, header)
    return file, header


def has_table(connection: psycopg.Connection[dict[str, Any]], table: str) -> bool:
    """Whether the database has the table, named with its schema."""
    row = connection.execute("SELECT to_regclass(%s) AS t", (table,)).fetchone()
    return row is not None and row["t"] is not None


def city_facts(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, Any] | None:
    """Header fields that the database knows; None where it holds no city."""
    if not has_table(connection, "territory.city"):
        return None
    row = connection.execute(
        "SELECT c.code AS city_code, c.name_zh AS city_zh, c.name_en AS city_en, c.metric_srid, c.timezone,"
        " current_setting('server_version') AS server FROM territory.city AS c"
    ).fetchone()
    if row is None:
        return None
    sealed = None
    if has_table(connection, "access.secret"):
        sealed = connection.execute("SELECT count(*) AS n FROM access.secret").fetchone()
    return row | {"sealed_values": sealed["n"] if sealed else 0}


def record(connection: psycopg.Connection[dict[str, Any]], action: str, file: Path, header: Header) -> None:
    """Into the audit, where the database has one: what was done with which file, and by whom at the machine."""
    if not has_table(connection, "access.audit"):
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
