"""`geoapp serve`, `geoapp demo` and `geoapp screenshots`: thin; the work is in app.py, demo.py and screenshots.py."""

from pathlib import Path

import typer

from geoapp.settings import settings


def serve(
    host: str | None = typer.Option(None, help="Address to listen on (default GEOAPP_HOST, 127.0.0.1)."),
    port: int | None = typer.Option(None, help="Port (default GEOAPP_PORT, 8050)."),
) -> None:
    """打开地图服务 / Serve the map; starts the private database when there is one to start."""
    from dashboards.serving import serve_map

    configured = settings()
    serve_map(host or configured.host, port or configured.port)


def demo(
    small: bool = typer.Option(False, "--small", help="A small sample city (tests)."),
) -> None:
    """一条命令看到一个区：数据库、样例城市、巡查、地图 / The whole thing on this machine: Ctrl-C stops it cleanly."""
    from dashboards.demo import run_demo

    run_demo(small=small)


def screenshots(
    out: Path = typer.Argument(Path("docs/screenshots"), help="Folder for the pictures."),
    url: str | None = typer.Option(None, help="A running GeoApp (default: the configured host and port)."),
) -> None:
    """重新生成说明书里的截图 / Take the README's pictures again from a running sample city."""
    from dashboards.screenshots import take

    configured = settings()
    for picture in take(url or f"http://{configured.host}:{configured.port}", out):
        typer.echo(str(picture))
