"""`geoapp evidence`: frames that are kept, held, deleted, checked and taken out."""

from __future__ import annotations

import dataclasses
import getpass
import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detection.config import read_config
from detection.lease import Connection, statement
from detection.retention import check as compare
from detection.retention import sweep as sweep_frames
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused
from geoapp.logs import configure_logs
from geoapp.settings import settings

app = typer.Typer(
    help="取证画面：保存期限、保全、核对、导出 / evidence frames: retention, holds, checks, export.",
    no_args_is_help=True,
)
JSON = typer.Option(False, "--json", help="Print JSON.")
INCIDENT = typer.Argument(..., help="Number of the incident, as on the screen (#).", min=1)
WHY = typer.Option(..., "--why", help="The reason, for the record (4 characters at least).")
CONFIG = typer.Option(None, "--config", help="YAML file of the watch's settings.")
_SHOWN = 20


class Blur(StrEnum):
    """What is made unrecognisable in an export."""

    auto = "auto"
    persons = "persons"
    all = "all"


@app.command("list")
def list_evidence(
    incident: int | None = typer.Option(None, "--incident", help="Only this one.", min=1),
    held: bool = typer.Option(False, "--held", help="Only what is under a legal hold."),
    most: int = typer.Option(50, "--most", min=1, help="Rows at most."),
    as_json: bool = JSON,
) -> None:
    """在存画面、到期时间与保全 / Incidents with frames: how many, until when they are kept, what is held."""
    with connect(database_url()) as connection:
        rows = connection.execute(
            statement("evidence_list"), {"incident_no": incident, "only_held": held, "most": most}
        ).fetchall()
        policy = connection.execute(
            "SELECT review, class, days, basis_zh, basis_en FROM watch.retention_policy ORDER BY review, class"
        ).fetchall()
    if as_json:
        _print({"policy": policy, "incidents": rows})
        return
    table = Table("#", "类别 class", "核实 review", "画面 frames", "MB", "到期 kept until", "保全 held")
    for row in rows:
        frames = str(row["frames"])
        if row["not_kept"]:
            frames += f" (+{row['not_kept']} 未存 not kept)"
        until = row["keep_until"]
        table.add_row(
            str(row["incident_no"]),
            row["class"],
            row["review"],
            frames,
            f"{row['bytes'] / 1e6:.1f}",
            "未结束 not closed" if until is None else f"{until:%Y-%m-%d %H:%M %z}",
            "保全 held" if row["is_held"] else "",
        )
    console = Console()
    console.print(table)
    for row in policy:
        console.print(
            escape(
                f"{row['review']} / {row['class']}: {row['days']} 天 days · {row['basis_zh']} · {row['basis_en']}"
            )
        )


@app.command()
def hold(incident: int = INCIDENT, why: str = WHY) -> None:
    """证据保全：在解除前一律不删 / Put an incident under a legal hold: nothing of it is deleted until it is released."""
    with connect(database_url()) as connection:
        connection.execute(
            "INSERT INTO watch.legal_hold (incident_id, reason, held_by) VALUES (%s, %s, %s)",
            (_incident_id(connection, incident), _reason(why), _operator()),
        )
        gone = connection.execute(
            "SELECT count(*) AS n FROM watch.deletion WHERE incident_no = %s AND deleted_at IS NOT NULL",
            (incident,),
        ).fetchone()
    typer.echo(f"#{incident}: 已保全 / is held.")
    if gone and gone["n"]:
        typer.echo(
            f"  此前已按期限删除 {gone['n']} 张画面 / {gone['n']} of its frames were deleted before, by policy."
        )


@app.command()
def release(incident: int = INCIDENT, why: str = WHY) -> None:
    """解除保全 / Release the legal holds of an incident: from now on its policy counts again."""
    with connect(database_url()) as connection:
        done = connection.execute(
            "UPDATE watch.legal_hold SET release_reason = %s, released_by = %s WHERE incident_id = %s AND released_at IS NULL",
            (_reason(why), _operator(), _incident_id(connection, incident)),
        ).rowcount
    if not done:
        raise Refused(f"#{incident}: 没有保全 / is under no legal hold.")
    typer.echo(f"#{incident}: 已解除 {done} 项保全 / {done} legal hold(s) released.")


@app.command()
def sweep(config: Path | None = CONFIG, as_json: bool = JSON) -> None:
    """删除到期画面并记录 / Delete frames whose time is over, on record; finish what was begun; measure the room left."""
    configure_logs()
    with connect(database_url(), autocommit=True) as connection:
        done = sweep_frames(
            connection, settings().evidence_path, datetime.now(UTC), read_config(config).evidence
        )
    if as_json:
        _print(dataclasses.asdict(done))
    else:
        typer.echo(
            f"已删除 deleted {done.deleted} ({done.bytes / 1e6:.1f} MB) · 保全中 held {done.held} · 残留 drafts {done.drafts}\n"
            f"剩余空间 room left {done.room.free / 1e9:.1f} of {done.room.total / 1e9:.1f} GB: {done.room.state}"
        )
    if done.failed:
        raise Refused(
            f"{done.failed} 个文件删不掉，下次再试 / files could not be removed; the next sweep tries again."
        )


@app.command()
def check(as_json: bool = JSON) -> None:
    """核对画面与登记 / Compare every frame with its row and SHA-256, and every file with the rows. Exit 1 where they differ."""
    with connect(database_url()) as connection:
        found = compare(connection, settings().evidence_path, datetime.now(UTC))
    if as_json:
        _print(dataclasses.asdict(found) | {"is_sound": found.is_sound})
    else:
        typer.echo(f"登记 rows {found.rows} · 文件 files {found.files}")
        for words, names in (
            ("画面文件不见了 / rows whose file is gone", found.lost),
            ("画面与 SHA-256 不符 / files that are not the frame that was stored", found.altered),
            ("当时未能存下 / frames that were not kept (disk full)", found.not_kept),
            ("没有登记的文件 / files without a row", found.unknown),
            ("写了一半的文件 / half-written files", found.drafts),
            ("删除未完成 / deletions that were begun (geoapp evidence sweep)", found.unfinished),
        ):
            if names:
                typer.echo(f"{words}: {len(names)}")
                for name in names[:_SHOWN]:
                    typer.echo(f"  {name}")
    if not found.is_sound:
        raise Refused("画面与登记不一致 / frames and register differ.")


@app.command()
def export(
    incident: int = INCIDENT,
    target: Path = typer.Argument(..., help="The ZIP to write."),
    why: str = WHY,
    blur: Blur = typer.Option(
        Blur.auto,
        "--blur",
        help="persons; all = everything but the boxes of the incident; auto = all in public places, persons on a site.",
    ),
    as_json: bool = JSON,
) -> None:
    """导出证据包（人员已模糊）/ Export the frames of an incident, persons blurred, with digests and chain of custody."""
    from detection.evidence_export import export_incident
    from detection.privacy.persons import open_person_finder

    with connect(database_url(), autocommit=True) as connection:
        try:
            done = export_incident(
                connection,
                settings().evidence_path,
                incident,
                target,
                open_finder=lambda: open_person_finder(settings()),
                mode=None if blur is Blur.auto else ("all" if blur is Blur.all else "persons"),
                at=datetime.now(UTC),
                by=_operator(),
                reason=why,
            )
        except OSError as fault:
            raise Refused(f"{target}: 写不了 / cannot be written: {fault.strerror}") from None
    if as_json:
        _print(dataclasses.asdict(done))
        return
    typer.echo(
        f"{done.path}: {done.frames} 张画面 frames, 模糊 blurred {done.mode}, {done.persons} 人 persons\n"
        f"  SHA-256 {done.sha256}\n"
        "  人员检测会漏检，转交前请逐张查看 / A detector misses some persons: look at each frame before passing it on."
    )
    if done.left_out:
        typer.echo(
            f"  {done.left_out} 张未导出，原因见 manifest.json / frames are left out, reasons in manifest.json."
        )


def _incident_id(connection: Connection, number: int) -> Any:
    row = connection.execute("SELECT id FROM watch.incident WHERE incident_no = %s", (number,)).fetchone()
    if row is None:
        raise Refused(f"#{number}: 没有这起事件 / no such incident.")
    return row["id"]


def _reason(why: str) -> str:
    if not 4 <= len(why.strip()) <= 1000:
        raise Refused("请写明事由（4 至 1000 字）/ the reason has 4 to 1000 characters.")
    return why.strip()


def _operator() -> str:
    try:
        return f"command line: {getpass.getuser()}"
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "command line"


def _print(held: object) -> None:
    typer.echo(json.dumps(held, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
