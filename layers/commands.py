"""`geoapp layers`: renew what is derived, and hand layers over as files."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress, TaskID

from geoapp.database.connection import connect
from layers.camera_places import as_geojson, in_words, next_places, town_code
from layers.export import FORMATS, ending_of, export_all, export_layer, registers_for
from layers.export.order import FRAME_CHOICES

app = typer.Typer(help="图层：更新派生数据、导出 / layers: renew derived rows, export.", no_args_is_help=True)
_console = Console(stderr=True)
JSON = typer.Option(False, "--json", help="Print JSON.")
_ENDINGS, _FRAMES = ", ".join(FORMATS), ", ".join(FRAME_CHOICES)


@app.command()
def refresh(as_json: bool = JSON) -> None:
    """更新派生表；没有变化就说没有 / Renew the derived rows where their sources have changed; say so where they have not."""
    start = time.perf_counter()
    with _console.status("no_cell …"), connect() as connection:
        row = connection.execute("SELECT analysis.refresh_no_cell() AS renewed").fetchone()
        counted = connection.execute(
            "SELECT count(*) AS pieces, coalesce(sum(area_m2), 0) / 1e6 AS km2 FROM territory.no_cell_piece"
        ).fetchone()
    assert row is not None
    assert counted is not None
    answer = {
        "no_cell_renewed": row["renewed"],
        "no_cell_pieces": counted["pieces"],
        "no_cell_km2": round(counted["km2"], 6),
        "seconds": round(time.perf_counter() - start, 3),
    }
    if as_json:
        typer.echo(json.dumps(answer))
        return
    did = "已更新 / renewed" if row["renewed"] else "已是最新，未改动 / was current, nothing changed"
    typer.echo(
        f"无网格地块 / ground in no cell: {did} ({counted['pieces']} pieces, {counted['km2']:.3f} km²). "
        "瓦片随版本更新，无需清理 / tiles follow their versions, nothing to clear."
    )


@app.command()
def export(
    name: str = typer.Argument("", help="A register or map layer (see --list), or `all`."),
    file: Path | None = typer.Argument(None, help="Target, as -o."),
    out: Path | None = typer.Option(
        None, "-o", "--out", help=f"Target: {_ENDINGS}. For `all`: a folder, or one .gpkg."
    ),
    frame: str = typer.Option("", help=f"Frame of the coordinates: {_FRAMES}."),
    encoding: str = typer.Option("", help="utf-8 or gbk, for .shp.zip and .csv."),
    format_: str = typer.Option("gpkg", "--format", help="Format of the files of `all` in a folder."),
    login: str = typer.Option("", "--as", help="Only what this account may see."),
    listed: bool = typer.Option(False, "--list", help="What can be exported."),
    as_json: bool = JSON,
) -> None:
    """导出登记册或图层为文件 / Write a register or map layer to a file."""
    if listed:
        _list(as_json)
        return
    target = out or file
    if not name or target is None:
        raise typer.BadParameter("geoapp layers export NAME -o FILE (NAME: geoapp layers export --list)")
    with connect() as connection, Progress(console=_console, transient=True) as bars:
        shown: dict[str, TaskID] = {}

        def progress(register: str, read: int, rows: int) -> None:
            if register not in shown:
                shown[register] = bars.add_task(register, total=rows)
            bars.update(shown[register], completed=read)

        if name == "all":
            ending = "." + format_.lstrip(".")
            found = export_all(
                connection,
                target,
                ending=ending_of(f"a{ending}"),
                frame=frame,
                encoding=encoding,
                login=login,
                progress=progress,
            )
        else:
            count = export_layer(
                connection, name, target, frame=frame, encoding=encoding, login=login, progress=progress
            )
    if name == "all":
        _say_all(found, target, as_json)
    elif as_json:
        typer.echo(
            json.dumps({"layer": name, "file": str(target), "features": count, "frame": frame or None})
        )
    else:
        typer.echo(f"{target}: {name}, {count} 行 / rows")


@app.command("place-cameras")
def place_cameras(
    wanted: int = typer.Option(5, "--next", min=1, max=200, help="How many places."),
    town: str = typer.Option("", "--town", help="Only gaps of this town (code or name)."),
    reach_m: float = typer.Option(80, "--range", min=5, max=2000, help="How far the cameras see, metres."),
    hfov_deg: float = typer.Option(90, "--hfov", min=5, max=360, help="Horizontal field of view, degrees."),
    at: datetime | None = typer.Option(
        None, "--at", help="As the register stands at this moment (UTC); now if left out."
    ),
    out: Path | None = typer.Option(None, "-o", "--out", help="Also as GeoJSON (EPSG:4326)."),
    as_json: bool = JSON,
) -> None:
    """下一批摄像机装在哪里收益最大 / Where the next cameras close most of the gap, one after the other."""
    moment = datetime.now(UTC) if at is None else at.replace(tzinfo=at.tzinfo or UTC)
    with _console.status("place-cameras …"), connect() as connection:
        found = next_places(
            connection,
            wanted,
            moment,
            town=town_code(connection, town),
            reach_m=reach_m,
            hfov_deg=hfov_deg,
        )
    if out is not None:
        out.write_text(json.dumps(as_geojson(found), ensure_ascii=False), encoding="utf-8")
    if as_json:
        answer = {
            "places": found.places,
            "gaps": found.gaps,
            "key_risk_areas": found.areas,
            "lacks": found.lacks,
        }
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    for line in in_words(found):
        typer.echo(line)


def _list(as_json: bool) -> None:
    found = registers_for()
    if as_json:
        typer.echo(
            json.dumps([{"id": o.id, "name_zh": o.name_zh, "name_en": o.name_en} for o in found.values()])
        )
        return
    for one in found.values():
        kind = "图层 / map layer" if one.layer else "登记册 / register"
        typer.echo(f"{one.id:<16} {kind:<20} {one.name_zh} / {one.name_en}")


def _say_all(found: dict[str, int | str], target: Path, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"file": str(target), "registers": found}, ensure_ascii=False))
        return
    for register, rows in found.items():
        typer.echo(
            f"{register}: {rows} 行 / rows"
            if isinstance(rows, int)
            else f"{register}: 未导出 / left out: {rows}"
        )
    typer.echo(str(target))
