"""`geoapp db`: the database of this installation."""

import json

import typer
from rich.console import Console

from geoapp.database import migrations
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import database_url
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
