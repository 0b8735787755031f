"""The list of feeds: added, paused, resumed, removed; their secrets are sealed apart from it."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from etl.city_store import stored_city
from etl.feeds.addresses import is_address, split_database_address, split_web_address
from etl.feeds.schedule import first_due, late_after, parse_every
from etl.manifest import Manifest
from geoapp.access import sealing
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = [
    "SECRET_FIELD",
    "SECRET_KIND",
    "add_feed",
    "feed_states",
    "is_database",
    "pause_feed",
    "remove_feed",
    "resume_feed",
    "with_addresses",
]

Connection = psycopg.Connection[dict[str, Any]]
SECRET_KIND, SECRET_FIELD = "feed", "addresses"


def add_feed(
    connection: Connection,
    name: str,
    manifest: Manifest,
    *,
    manifest_name: str,
    source: str,
    every: str,
    moment: datetime,
    by: str,
    sections: Sequence[str] = (),
    into_sample: bool = False,
    most_rejected: float = 0.2,
) -> None:
    """Adds a feed, in the caller's transaction. `source`: a folder, or an http(s) address.

    The manifest is copied, of `sections` only where some are named. Addresses that hold an account or parameters are
    sealed as a whole; what is stored openly is without them. Raises Refused for what could never be loaded.
    """
    schedule = parse_every(every)
    _refuse_other_city(connection, manifest)
    chosen = _of_sections(manifest, sections)
    bare, addresses = _without_secrets(chosen)
    kind, shown, secret = _source_of(chosen, source)
    try:
        added = connection.execute(
            read_sql("staging/new_feed").encode(),
            {
                "name": name,
                "kind": kind,
                "source": shown,
                "has_secret": bool(addresses or secret),
                "manifest": Jsonb(_as_json(bare)),
                "manifest_name": manifest_name,
                "timezone": manifest.city.timezone,
                "into_sample": into_sample,
                "every": every.strip(),
                "late_after_s": late_after(schedule).total_seconds(),
                "most_rejected": most_rejected,
                "moment": moment,
                "by": by,
                "next_due_at": first_due(schedule, moment, manifest.city.timezone),
            },
        ).fetchone()
    except psycopg.errors.CheckViolation:
        raise Refused(
            f"{name!r}: 名称只能用小写字母、数字和 . _ -，最多 40 个 / a feed's name has small letters, digits and . _ -, 40 at most, "
            "and --most-rejected is 0 to 100."
        ) from None
    if added is None:
        raise Refused(
            f"{name}: 已有这个名称 / there is a feed of this name; remove it first: geoapp feed remove {name}"
        )
    if addresses or secret:
        sealed = json.dumps({"source": secret, "files": addresses}, ensure_ascii=False)
        sealing.put_secret(connection, SECRET_KIND, name, SECRET_FIELD, sealed, by)
    _record(connection, "feed_add", name, {"kind": kind, "source": shown, "every": every, "by": by})


def pause_feed(connection: Connection, name: str, *, moment: datetime, by: str) -> None:
    """No turns by themselves from now on. Raises Refused where there is no such feed."""
    _change(
        connection,
        name,
        "UPDATE staging.feed SET paused_at = coalesce(paused_at, %(moment)s), paused_by = coalesce(paused_by, %(by)s)"
        " WHERE name = %(name)s RETURNING id",
        {"moment": moment, "by": by},
    )
    _record(connection, "feed_pause", name, {"by": by})


def resume_feed(connection: Connection, name: str, *, moment: datetime, by: str) -> None:
    """Due at once. Raises Refused where there is no such feed."""
    _change(
        connection,
        name,
        "UPDATE staging.feed SET paused_at = NULL, paused_by = NULL, next_due_at = least(next_due_at, %(moment)s)"
        " WHERE name = %(name)s RETURNING id",
        {"moment": moment},
    )
    _record(connection, "feed_resume", name, {"by": by})


def remove_feed(connection: Connection, name: str, *, by: str) -> None:
    """The feed and its secrets go; what it loaded stays, and so does the list of its imports. Raises Refused."""
    _change(connection, name, "DELETE FROM staging.feed WHERE name = %(name)s RETURNING id", {})
    sealing.forget_secrets(connection, SECRET_KIND, name)
    _record(connection, "feed_remove", name, {"by": by})


def feed_states(connection: Connection, *, moment: datetime) -> list[dict[str, Any]]:
    """Every feed as analysis.import_feed shows it at `moment`, by name."""
    return connection.execute("SELECT * FROM analysis.import_feed_at(%s) ORDER BY name", (moment,)).fetchall()


def is_database(file: str) -> bool:
    """Whether a manifest's `file` is a table elsewhere."""
    return file.startswith(("postgresql://", "postgres://"))


def with_addresses(manifest: Manifest, addresses: dict[str, str]) -> Manifest:
    """The manifest with whole addresses in place of those without secrets, {"section/number": address}."""
    whole = manifest.model_copy(deep=True)
    for place, address in addresses.items():
        section, number = place.split("/")
        getattr(whole, section)[int(number)].file = address
    return whole


def _without_secrets(manifest: Manifest) -> tuple[Manifest, dict[str, str]]:
    addresses: dict[str, str] = {}
    bare = manifest.model_copy(deep=True)
    for name in Manifest.model_fields:
        for number, section in enumerate(getattr(bare, name) if name != "city" else ()):
            if not is_database(section.file):
                continue
            section.file, secret = split_database_address(section.file)
            if secret is not None:
                addresses[f"{name}/{number}"] = secret
    return bare, addresses


def _of_sections(manifest: Manifest, sections: Sequence[str]) -> Manifest:
    named = {section.name for section in manifest.in_order()}
    if unknown := set(sections) - named:
        raise Refused(
            f"--section {', '.join(sorted(unknown))}: 清单中没有 / the manifest has no such section; it has: {', '.join(sorted(named))}."
        )
    if not named:
        raise Refused("清单没有任何文件 / the manifest names no file: nothing to load.")
    left_out: dict[str, Any] = {name: [] for name in named if sections and name not in sections}
    return manifest.model_copy(update=left_out)


def _source_of(manifest: Manifest, source: str) -> tuple[str, str, str | None]:
    """(kind, what may be seen of the source, what of it is sealed)."""
    files = [section.file for section in manifest.in_order()]
    if is_address(source):
        shown, secret = split_web_address(source)
        for file in files:
            path = PurePosixPath(file)
            if is_database(file) or path.is_absolute() or ".." in path.parts:
                raise Refused(
                    f"{'postgresql://…' if is_database(file) else file}: 不能随网址取得 / does not come with an address: with --from https://… "
                    "the manifest's files are paths inside the .zip; name the sections that come with it by --section."
                )
        return "http", shown, secret
    tables = [split_database_address(file).shown for file in files if is_database(file)]
    if len(tables) == len(files):
        return "database", ", ".join(dict.fromkeys(_without_account(t) for t in tables)), None
    folder = Path(source).expanduser().resolve()
    if not folder.is_dir():
        raise Refused(f"{folder}: 没有这个文件夹 / there is no such folder; name it with --from.")
    return "folder", str(folder), None


def _without_account(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _as_json(manifest: Manifest) -> dict[str, Any]:
    return manifest.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


def _refuse_other_city(connection: Connection, manifest: Manifest) -> None:
    stored = stored_city(connection)
    if stored is not None and stored.code != manifest.city.code:
        raise Refused(
            f"数据库里是 {stored.name_zh} ({stored.code})，清单是 {manifest.city.name_zh} ({manifest.city.code}) / this database holds "
            f"{stored.name_en}, the manifest is of {manifest.city.name_en}."
        )


def _change(connection: Connection, name: str, statement: str, given: dict[str, Any]) -> None:
    if connection.execute(statement.encode(), given | {"name": name}).fetchone() is None:
        raise no_such_feed(connection, name)


def no_such_feed(connection: Connection, name: str) -> Refused:
    """To be raised; names the feeds that there are."""
    names = [
        row["name"] for row in connection.execute("SELECT name FROM staging.feed ORDER BY name").fetchall()
    ]
    return Refused(
        f"{name}: 没有这个导入 / there is no feed of this name; there are: {', '.join(names) or '-'}."
    )


def _record(connection: Connection, action: str, name: str, detail: dict[str, Any]) -> None:
    connection.execute(
        "SELECT access.record(%s, 'staging.feed', %s, detail => %s)",
        (action, name, json.dumps(detail, ensure_ascii=False)),
    )
