"""`geoapp audit`: the audit on the command line, as the database's owner sees it (all of it)."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table

from geoapp.access.audit import Row, Search, differences, found
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused

app = typer.Typer(help="审计记录 / the audit: who did what.", no_args_is_help=True)


@app.callback()
def audit() -> None:
    """审计记录 / The audit: who did what."""


@app.command("list")
def list_records(
    since: str | None = typer.Option(
        None, help="From this time on: 2026-11-22 or 2026-11-22T08:00 (city's zone)."
    ),
    until: str | None = typer.Option(None, help="Up to, not including, this time."),
    login: str = typer.Option("", help="How the login begins."),
    action: str = typer.Option("", help="insert, update, delete, sign_in, sign_in_refused, export, …"),
    subject: str = typer.Option(
        "", help="A table or what else was acted on: access.account, watch.incident, …"
    ),
    town: str = typer.Option("", help="12-digit code of a town."),
    text: str = typer.Option("", help="Part of an id, a reason, an address or a value."),
    refused: bool = typer.Option(False, "--refused", help="Refusals only."),
    limit: int = typer.Option(50, min=1, max=10_000),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """列出审计记录，最新在前 / List records, newest first."""
    with connect(database_url()) as connection:
        held = connection.execute("SELECT timezone FROM territory.city").fetchone()
        zone = ZoneInfo(held["timezone"] if held else "Asia/Shanghai")
        search = Search(
            since=moment(since, zone),
            until=moment(until, zone),
            login=login,
            action=action,
            subject=subject,
            town=town,
            text=text,
            refused_only=refused,
        )
        rows = found(connection, search, limit)
    if as_json:
        typer.echo(json.dumps([_plain(row, zone) for row in rows], ensure_ascii=False, default=str))
        return
    table = Table(box=None, pad_edge=False)
    for name in ("时间 / at", "谁 / who", "动作 / action", "对象 / subject", "内容 / what", "IP"):
        table.add_column(name, overflow="fold")
    for row in rows:
        changed = "; ".join(
            f"{name}: {_short(old)} → {_short(new)}" for name, old, new in differences(row)[:4]
        )
        table.add_row(
            row["at"].astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
            row["login"] or row["db_role"],
            row["action"] + ("" if row["ok"] else " ✗"),
            " ".join(filter(None, [row["subject"], row["subject_id"]])),
            changed + (f" ({row['reason']})" if row["reason"] else ""),
            row["ip"] or "",
        )
    Console().print(table if rows else "没有符合条件的记录 / no record matches.")


def moment(text: str | None, zone: ZoneInfo) -> datetime | None:
    """A moment as typed, in the city's zone where it names none. Raises Refused where it cannot be read."""
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{text}: 时间看不懂 / not a time. 例如 / for example 2026-11-22 or 2026-11-22T08:00."
        ) from None
    return read if read.tzinfo else read.replace(tzinfo=zone)


def _plain(row: Row, zone: ZoneInfo) -> Row:
    return row | {"at": row["at"].astimezone(zone).isoformat()}


def _short(value: object) -> str:
    text = (
        "—" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )
    return text if len(text) <= 60 else text[:59] + "…"
