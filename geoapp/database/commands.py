"""`geoapp db`: the database of this installation."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from geoapp.database import migrations
from geoapp.database.backup import back_up
from geoapp.database.backup_file import Header, list_backups
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import database_url
from geoapp.database.restore import check_restore
from geoapp.database.restore import restore as put_back
from geoapp.errors import Refused
from geoapp.settings import settings

app = typer.Typer(help="数据库：启动、停止、升级 / the database: start, stop, migrate.", no_args_is_help=True)
_console = Console(stderr=True)
JSON = typer.Option(False, "--json", help="Print JSON.")


@app.command()
def up(as_json: bool = JSON) -> None:
    """启动私有数据库并升级结构 / Start the private PostGIS (made at the first start) and bring its schema up to date."""
    with _console.status("PostgreSQL …"):
        url = database_url()
        held = migrations.stored_srid(url) or settings().metric_srid
        revision = migrations.migrate(url, srid=held)
    if as_json:
        typer.echo(json.dumps({"running": True, "revision": revision, "metric_srid": held}))
    else:
        typer.echo(
            f"数据库已就绪 / database ready, revision {revision}, EPSG:{held}. geoapp db url prints its address."
        )


@app.command()
def down(as_json: bool = JSON) -> None:
    """停止私有数据库 / Stop the private PostGIS; the data stays."""
    configured = settings()
    if configured.database_url is not None:
        raise Refused(
            "GEOAPP_DATABASE_URL 指向您自己的服务器，不由我停止 / names a server of your own: stop it there."
        )
    stopped = PrivateCluster(configured.home_path, pg_bin=configured.pg_bin).down()
    if as_json:
        typer.echo(json.dumps({"stopped": stopped}))
    else:
        typer.echo("已停止 / stopped" if stopped else "没有在运行 / was not running")


@app.command()
def migrate(
    to: str = typer.Option("head", help="Revision, head or base."),
    srid: int | None = typer.Option(None, help="Metric zone (EPSG code) for a new database."),
    as_json: bool = JSON,
) -> None:
    """升级或回退结构 / Bring the schema to a revision; base removes everything."""
    url = database_url()
    held = srid or migrations.stored_srid(url) or settings().metric_srid
    with _console.status("migrate …"):
        revision = migrations.migrate(url, srid=held, to=to)
    typer.echo(json.dumps({"revision": revision}) if as_json else f"revision {revision or 'base'}")


@app.command()
def url() -> None:
    """打印 libpq 地址（含密码） / Print the libpq URL, password included: psql "$(geoapp db url)"."""
    typer.echo(database_url())


@app.command()
def backup(
    file: Path | None = typer.Argument(None, help="File to write (default: one in backups/ of GEOAPP_HOME)."),
    as_json: bool = JSON,
) -> None:
    """备份整个城市 / Back up the city's database to one file. The key file and the evidence frames are not in it."""
    configured = settings()
    with _console.status("pg_dump …"):
        written, header = back_up(
            database_url(),
            file,
            home=configured.home_path,
            at=datetime.now(UTC),
            key=_key_here(),
            pg_bin=configured.pg_bin,
        )
    if as_json:
        typer.echo(json.dumps({"file": str(written)} | asdict(header), ensure_ascii=False))
        return
    typer.echo(
        f"已备份 / backed up: {written}, {_size(header.bytes)}, {header.city_zh} {header.city_code}, revision {header.revision}"
    )
    typer.echo(
        f"不在其中，请另外保存 / Not in it, keep copies elsewhere: 密钥文件 key file {configured.key_path} ({header.key_fingerprint or '—'}); "
        f"取证画面 evidence frames {configured.evidence_path}"
    )


@app.command()
def backups(as_json: bool = JSON) -> None:
    """列出备份 / List the backups of GEOAPP_HOME, newest first."""
    found = list_backups(settings().home_path)
    if as_json:
        listed = [
            {"file": str(file)} | (asdict(said) if isinstance(said, Header) else {"problem": said})
            for file, said in found
        ]
        typer.echo(json.dumps(listed, ensure_ascii=False))
        return
    if not found:
        typer.echo("还没有备份 / no backups yet: geoapp db backup")
        return
    grid = Table("时间 made", "文件 file", "大小 size", "城市 city", "版本 revision", "密钥 key file")
    for file, said in found:
        if isinstance(said, Header):
            grid.add_row(
                said.made_here,
                file.name,
                _size(said.bytes),
                f"{said.city_zh} {said.city_code}",
                said.revision,
                said.key_fingerprint or "—",
            )
        else:
            grid.add_row("—", file.name, _size(file.stat().st_size), f"[red]{escape(said)}[/red]", "—", "—")
    Console(width=None if Console().is_terminal else 160).print(grid)


@app.command()
def restore(
    file: Path = typer.Argument(..., help="A file that geoapp db backup wrote."),
    yes: bool = typer.Option(False, "--yes", help="Replace what is there without asking."),
    as_json: bool = JSON,
) -> None:
    """恢复备份 / Put a backup in the place of the database: the old one stays until the new one stands."""
    url = database_url()
    header, replaces = check_restore(url, file)
    if replaces and not yes:
        asked = (
            f"现有数据库将被 {header.made_here} 的备份（{header.city_zh}）替换 / The database here will be replaced by the backup of "
            f"{header.made_here} ({header.city_code})"
        )
        if as_json or not sys.stdin.isatty():
            raise Refused(f"{asked}.\n  Say so with --yes; nothing was changed.")
        typer.confirm(f"{asked}. 继续 / go on?", abort=True)
    with _console.status("…") as status:
        done = put_back(
            url, file, at=datetime.now(UTC), key=_key_here(), pg_bin=settings().pg_bin, say=status.update
        )
    if as_json:
        typer.echo(json.dumps({"file": str(file)} | asdict(done), ensure_ascii=False))
        return
    typer.echo(
        f"已恢复 / restored: {header.city_zh} {header.city_code}, {header.made_here}, revision {done.revision}; "
        f"{done.accounts} 个账号 / account(s), {len(done.new_roles)} 个数据库角色新建 / database role(s) made again, "
        f"{done.audit_kept} 条更新的审计保留 / newer audit record(s) kept"
    )
    for notice in done.notices:
        typer.secho(f"  · {notice}", fg="yellow")


def _key_here() -> str | None:
    """Fingerprint of the key file here, where there is a usable one; none is made."""
    from geoapp.access.key_file import KeyFileRefused
    from geoapp.access.sealing import key_fingerprint

    if not settings().key_path.exists():
        return None
    try:
        return key_fingerprint()
    except KeyFileRefused as refusal:
        _console.print(escape(str(refusal)), style="yellow")
        return None


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
