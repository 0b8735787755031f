"""`geoapp detect mode`, `mask` and `negatives`: what the watch pays attention to, and what it learns from rejections."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from geoapp.errors import Refused
from geoapp.settings import settings

app = typer.Typer()
mask_app = typer.Typer(help="误报遮罩 / masks from false alarms.", no_args_is_help=True)
app.add_typer(mask_app, name="mask")
JSON = typer.Option(False, "--json", help="Print JSON.")
_console = Console(stderr=True)


@app.command()
def mode(
    camera: list[str] = typer.Argument(None, help="gb_id of a camera (several allowed); none: list all."),
    value: str | None = typer.Option(None, "--set", help="measure, shadow, alert or default."),
    class_name: str | None = typer.Option(
        None, "--class", help="fire, smoke, welding_arc or sparks; all where it is not given."
    ),
    reason: str = typer.Option("", "--reason", help="Why; kept with who and when."),
    history: bool = typer.Option(False, "--history", help="List what was set before as well."),
    as_json: bool = JSON,
) -> None:
    """摄像机按类别的模式 / How boxes of a camera and class count: measure, shadow, alert; without --set a list."""
    from detection.modes import list_modes, set_mode
    from geoapp.database.connection import connect, database_url

    cameras = camera or []
    with connect(database_url(), autocommit=True) as connection:
        if value is None:
            rows = list_modes(connection, cameras or None, history=history)
            columns = ["gb_id", "name_zh", "class", "mode", "reason", "set_at", "set_by"]
            _show(
                rows,
                columns,
                as_json,
                "没有单独设置，按巡查配置 / nothing is set; the watch's settings hold.",
            )
            return
        if not cameras:
            raise Refused(
                "请指明摄像机 / Name the cameras whose mode is set: geoapp detect mode GB_ID --set …"
            )
        count = set_mode(connection, cameras, class_name, value, reason=reason, by=_operator(), at=_now())
    if as_json:
        typer.echo(json.dumps({"cameras": count, "class": class_name, "mode": value}))
    else:
        _console.print(f"已设置 {count} 台，下次查看起生效 / set for {count}, from the next look on.")


@mask_app.command("list")
def masks(
    everything: bool = typer.Option(False, "--all", help="Refused, ended and expired ones as well."),
    as_json: bool = JSON,
) -> None:
    """遮罩清单 / Masks that wait for a decision or hold, and what they suppressed."""
    from detection.masks import list_masks
    from geoapp.database.connection import connect, database_url

    with connect(database_url(), autocommit=True) as connection:
        rows = list_masks(connection, at=_now(), everything=everything)
    columns = [
        "id",
        "gb_id",
        "class",
        "cause",
        "state",
        "incident_no",
        "until",
        "suppressed",
        "last_suppressed_at",
    ]
    _show(rows, columns, as_json, "没有遮罩 / no masks.")


@mask_app.command()
def accept(
    number: int = typer.Argument(..., help="Its number (geoapp detect mask list)."),
    days: float | None = typer.Option(None, "--days", min=0.01, max=366, help="How long it holds."),
    as_json: bool = JSON,
) -> None:
    """启用遮罩，到期失效 / From now on boxes under it concern no incident, until it expires."""
    from detection.config import MasksConfig

    _decide(number, "accept", MasksConfig().days if days is None else days, as_json)


@mask_app.command()
def refuse(number: int = typer.Argument(...), as_json: bool = JSON) -> None:
    """不采用 / A proposed mask is not wanted."""
    _decide(number, "refuse", 0.0, as_json)


@mask_app.command()
def end(number: int = typer.Argument(...), as_json: bool = JSON) -> None:
    """停用 / A mask holds no longer."""
    _decide(number, "end", 0.0, as_json)


@app.command()
def negatives(
    folder: Path | None = typer.Option(None, "--folder", help="Where to; default GEOAPP_HOME/negatives."),
    as_json: bool = JSON,
) -> None:
    """误报画面作为训练负样本 / Frames of false alarms as a data set for training; again it changes nothing."""
    from detection.negatives import write_negatives
    from geoapp.database.connection import connect, database_url

    configured = settings()
    where = folder or configured.home_path / "negatives"
    with connect(database_url(), autocommit=True) as connection:
        try:
            done = write_negatives(connection, configured.evidence_path, where)
        except OSError as fault:
            raise Refused(
                f"{fault.filename or where}: 写不了 / cannot be written: {fault.strerror}"
            ) from None
    if as_json:
        typer.echo(json.dumps({"folder": str(where)} | asdict(done), ensure_ascii=False))
        return
    _console.print(
        f"{where}: 新增 {done.written}，保留 {done.kept}，移除 {done.removed} / "
        f"{done.written} written, {done.kept} kept, {done.removed} removed"
    )
    for path in done.missing:
        _console.print(f"  画面缺失或已改变 / missing or changed: {path}")


def _decide(number: int, decision: str, days: float, as_json: bool) -> None:
    from detection.masks import decide_mask
    from geoapp.database.connection import connect, database_url

    with connect(database_url(), autocommit=True) as connection:
        row = decide_mask(connection, number, decision, days=days, by=_operator(), at=_now())
    if as_json:
        typer.echo(json.dumps(row, default=str))
    else:
        until = f", {row['until']:%Y-%m-%d %H:%M}" if row["state"] == "active" else ""
        _console.print(f"遮罩 / mask {row['id']}: {row['state']}{until}")


def _show(rows: list[dict[str, Any]], columns: list[str], as_json: bool, empty: str) -> None:
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, default=str))
        return
    if not rows:
        _console.print(empty)
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if row[name] is None else str(row[name]) for name in columns))
    Console().print(table)


def _operator() -> str:
    try:
        return f"command line: {getpass.getuser()}"
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "command line"


def _now() -> datetime:
    return datetime.now(UTC)
