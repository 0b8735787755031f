"""`geoapp layers`: renew what is derived, and hand layers over as files."""

import json
import time
from pathlib import Path

import typer
from rich.console import Console

from geoapp.database.connection import connect
from layers.export import export_layer, exportable

app = typer.Typer(help="图层：更新派生数据、导出 / layers: renew derived rows, export.", no_args_is_help=True)
_console = Console(stderr=True)
JSON = typer.Option(False, "--json", help="Print JSON.")


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
    layer: str = typer.Argument(help=f"One of: {', '.join(exportable())}"),
    file: Path = typer.Argument(help="Target: .gpkg, .geojson or .fgb"),
    as_json: bool = JSON,
) -> None:
    """导出图层为文件 / Write a layer to a GeoPackage, GeoJSON or FlatGeobuf file."""
    with _console.status(f"{layer} …"), connect() as connection:
        count = export_layer(connection, layer, file)
    if as_json:
        typer.echo(json.dumps({"layer": layer, "file": str(file), "features": count}))
    else:
        typer.echo(f"{file}: {layer}, {count} 个要素 / features")
