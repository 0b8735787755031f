"""`geoapp layers`: renew what is derived, hand layers over as files, and test whether they foretell."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import Progress, TaskID
from shapely import Geometry

from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.registry.kept_risk import keep_risk
from geoapp.territory.simplified import renew_simplified
from layers.camera_places import as_geojson, in_words, next_places, town_code
from layers.constants import constants_at, set_constants
from layers.event_surface import CELL_M
from layers.expected_events import keep_expected_events
from layers.export import FORMATS, ending_of, export_all, export_layer, registers_for
from layers.export.order import FRAME_CHOICES
from layers.validation.city import city_events, full_score
from layers.validation.cuts import cut_days, scored_cuts
from layers.validation.dated_points import DatedPoints, day_number, read_dated_points, read_outline
from layers.validation.findings import event_surface_findings, full_score_findings, lines, written

app = typer.Typer(
    help="图层：更新派生数据、导出、检验、选点 / layers: renew derived rows, export, validate, place cameras.",
    no_args_is_help=True,
)
_console = Console(stderr=True)
JSON = typer.Option(False, "--json", help="Print JSON.")
_ENDINGS, _FRAMES = ", ".join(FORMATS), ", ".join(FRAME_CHOICES)


@app.command()
def refresh(as_json: bool = JSON) -> None:
    """更新派生表；没有变化就说没有 / Renew the derived rows where their sources have changed; say so where they have not."""
    start = time.perf_counter()
    with _console.status("no_cell …"), connect(autocommit=True) as connection:
        row = connection.execute(
            "SELECT analysis.refresh_no_cell() AS renewed, watch.fold_events(1000000) AS folded,"
            " registry.rebuild_site_bin() AS sites_counted, registry.refresh_sights() AS sights"
        ).fetchone()
        left_out = connection.execute(
            "SELECT s.kind, s.subject_id, s.name_zh, s.why FROM analysis.shape_left_out AS s ORDER BY 1, 2 LIMIT 100"
        ).fetchall()
        renewed = renew_simplified(connection)
        counted = connection.execute(
            "SELECT count(*) AS pieces, coalesce(sum(area_m2), 0) / 1e6 AS km2 FROM territory.no_cell_piece"
        ).fetchone()
    with _console.status("risk …"), connect(autocommit=True) as connection:
        scores = keep_risk(connection, until_done=True)
        surface = connection.execute("SELECT analysis.keep_risk_surface() AS hexagons").fetchone()
    with _console.status("event surface …"), connect(autocommit=True) as connection:
        events = keep_expected_events(connection)
    assert row is not None
    assert counted is not None
    assert surface is not None
    answer = {
        "no_cell_renewed": row["renewed"],
        "no_cell_pieces": counted["pieces"],
        "no_cell_km2": round(counted["km2"], 6),
        "risk_sites": scores.sites,
        "risk_cells": scores.cells,
        "risk_all_anew": scores.was_all,
        "risk_still_due": scores.still_due,
        "risk_hexagons": surface["hexagons"],
        "expected_events": None if isinstance(events, str) else round(events.expected, 2),
        "expected_event_squares": 0 if isinstance(events, str) else len(events.numbers),
        "expected_events_not_known": events if isinstance(events, str) else None,
        "simplified_cells": renewed.cells,
        "simplified_units": renewed.units,
        "events_folded": row["folded"],
        "sites_counted": row["sites_counted"],
        "sights_renewed": row["sights"],
        "shapes_left_out": left_out,
        "seconds": round(time.perf_counter() - start, 3),
    }
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False))
        return
    did = "已更新 / renewed" if row["renewed"] else "已是最新，未改动 / was current, nothing changed"
    typer.echo(
        f"无网格地块 / ground in no cell: {did} ({counted['pieces']} pieces, {counted['km2']:.3f} km²).\n"
        f"小比例尺边界 / outlines for small scales: {renewed.cells} 个网格、{renewed.units} 个单元已更新 / cells and units renewed. "
        f"事件计数 / counts of events: {row['folded']} 项并入 / changes folded. "
        "瓦片随版本更新，无需清理 / tiles follow their versions, nothing to clear."
    )
    for bad in left_out:
        typer.echo(
            f"形状不合规，所见不知 / no valid shape, what is seen there is not known: {bad['kind']} {bad['subject_id']}"
            f" {bad['name_zh']} ({bad['why']})"
        )
    typer.echo(
        f"风险分 / scores: {scores.sites} 场所 / sites, {scores.cells} 网格 / cells"
        f"{'，全部重算 / all anew' if scores.was_all else ''}; 风险面 / surfaces: {surface['hexagons'] or 0} 六边形 / hexagons."
    )
    typer.echo(
        f"事件预期面 / event surface: {events}"
        if isinstance(events, str)
        else f"事件预期面 / event surface: {events.cut_day} 起 28 天约 / 28 days from {events.cut_day}, about {events.expected:.1f} 起 / events, "
        f"{len(events.numbers)} 方格 / squares."
    )


@app.command()
def parameters(
    pattern: str = typer.Argument("", help="Part of a name."),
    to_set: list[str] = typer.Option([], "--set", help="name=value; from now on. Repeat for several."),
    reason: str = typer.Option("", "--reason", help="Why: goes into the audit and the history."),
    at: datetime | None = typer.Option(
        None, "--at", help="As in force at this moment (UTC); now if left out."
    ),
    as_json: bool = JSON,
) -> None:
    """公式常数：列出，或改值并留史 / The constants of the formulas: list them, or set them; what held on a past day stays known."""
    with connect(autocommit=True) as connection:
        if to_set:
            done = set_constants(connection, to_set, reason)
            if as_json:
                typer.echo(json.dumps(done))
            for one in [] if as_json else done:
                typer.echo(f"{one['name']}: {one['before']:g} → {one['after']:g}")
            return
        moment = datetime.now(UTC) if at is None else at.replace(tzinfo=at.tzinfo or UTC)
        held = constants_at(connection, moment, pattern)
    if as_json:
        typer.echo(json.dumps(held, ensure_ascii=False, default=str))
        return
    for one in held:
        since = (
            f"  {one['valid_from']:%Y-%m-%d %H:%M} {one['set_by']} {one['reason']}"
            if one["valid_from"]
            else ""
        )
        typer.echo(
            f"{one['name']:<28} {one['value']:>10g} {one['unit'] or '':<7} {one['note_zh']} / {one['note_en']}{since}"
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
    as_of: datetime | None = typer.Option(
        None, "--as-of", help="A map layer as it was at this moment (UTC)."
    ),
    since: datetime | None = typer.Option(
        None, "--from", help="Window of a map layer that has one: from (UTC)."
    ),
    until: datetime | None = typer.Option(None, "--to", help="… and to."),
    listed: bool = typer.Option(False, "--list", help="What can be exported."),
    as_json: bool = JSON,
) -> None:
    """导出登记册或图层为文件 / Write a register or map layer to a file."""
    if listed:
        _list(as_json)
        return
    target = out or file
    if name == "all" and (as_of or since or until):
        raise typer.BadParameter("as-of, from, to: 只用于单个图层 / for one map layer only.")
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
                connection,
                name,
                target,
                frame=frame,
                encoding=encoding,
                login=login,
                as_of=as_of,
                since=since,
                until=until,
                progress=progress,
            )
    if name == "all":
        _say_all(found, target, as_json)
    elif as_json:
        typer.echo(
            json.dumps({"layer": name, "file": str(target), "features": count, "frame": frame or None})
        )
    else:
        typer.echo(f"{target}: {name}, {count} 行 / rows")


@app.command()
def validate(
    file: Path | None = typer.Argument(
        None, help="Dated points: Parquet, CSV, GeoPackage, … Without: the city's own events."
    ),
    date: str = typer.Option("", help="Column of the date, if not found."),
    x: str = typer.Option("", "--x", help="Column of longitude or easting."),
    y: str = typer.Option("", "--y", help="Column of latitude or northing."),
    frame: str = typer.Option(
        "", help=f"Frame of the coordinates: {_FRAMES}; degrees without one are wgs84."
    ),
    layer: str = typer.Option("", help="Layer of a file that holds several."),
    date_format: str = typer.Option("", help="Form of the dates, as '%d/%m/%Y %H:%M'."),
    since: str = typer.Option("", help="First day read, as 2017-01-01."),
    until: str = typer.Option("", help="Last day read."),
    from_: str = typer.Option(
        "", "--from", help="No cut before this day; what came before is still learned from."
    ),
    step: float | None = typer.Option(
        None, min=1, help="Days between cuts (else 28 if that gives 12 cuts, or 7)."
    ),
    cell: float = typer.Option(CELL_M, min=50, max=5000, help="Metres of a cell's side."),
    kde: list[float] = typer.Option(
        [250.0, 500.0], min=50, max=5000, help="Bandwidths of kernel density, metres."
    ),
    boundary: Path | None = typer.Option(
        None, help="Polygons of the study area; else from the events before the first cut."
    ),
    srid: int | None = typer.Option(
        None, help="EPSG code of the metric frame to work in (else the UTM zone)."
    ),
    full: bool = typer.Option(
        False, "--full", help="Also the full score of the city in the database (always without FILE)."
    ),
    seed: int = typer.Option(116, help="Of the intervals' bootstrap."),
    out: Path | None = typer.Option(None, "-o", "--out", help="Folder for validation.json and cuts.csv."),
    as_json: bool = JSON,
) -> None:
    """用过去预测后来发生的事件，并打分 / Score on later events what the map would have said before: the event surface, the full score."""
    start = time.perf_counter()
    findings: dict[str, Any] = {}
    if file is not None:
        points = read_dated_points(
            file,
            date=date,
            x=x,
            y=y,
            frame=frame,
            layer=layer,
            date_format=date_format,
            since=since,
            until=until,
            srid=srid,
        )
        outline = read_outline(boundary, points.srid) if boundary else None
        findings = {"file": file.name, **_surface(points, outline, from_, step, cell, kde, seed)}
    if file is None or full:
        with _console.status("full score …"), connect() as connection:
            findings["full_score"] = full_score_findings(full_score(connection, step), seed)
            if file is None:
                try:
                    points, outline = city_events(connection)
                    findings |= _surface(points, outline, from_, step, cell, kde, seed)
                except Refused as why:
                    findings["event_surface_not_known"] = str(why)
    else:
        findings["full_score"] = {
            "known": False,
            "why": "未要求：加 --full / not asked for: --full",
            "cuts": [],
        }
    findings["seconds"] = round(time.perf_counter() - start, 2)
    files = written(findings, out) if out else []
    if as_json:
        typer.echo(json.dumps(findings, ensure_ascii=False))
        return
    for line in [*lines(findings), *map(str, files)]:
        typer.echo(line)


def _surface(
    points: DatedPoints,
    outline: Geometry | None,
    from_: str,
    step: float | None,
    cell: float,
    kde: list[float],
    seed: int,
) -> dict[str, Any]:
    days, apart = cut_days(points.day[0], points.day[-1], step, day_number(from_, "--from"))
    with Progress(console=_console, transient=True) as bars:
        bar = bars.add_task("event surface", total=None)
        cuts = scored_cuts(
            points,
            days,
            bandwidths_m=tuple(kde),
            outline=outline,
            size=cell,
            seed=seed,
            progress=lambda done, of: bars.update(bar, completed=done, total=of),
        )
    return event_surface_findings(points, cuts, apart, cell, seed)


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
