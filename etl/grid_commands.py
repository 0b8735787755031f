"""`geoapp grid propose` and `geoapp grid check`: a first grid where there is none, and whether the stored one is valid."""

import json
import re
import time
from pathlib import Path

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from etl.grid_proposal.figures import as_json as figures_as_json
from etl.grid_proposal.figures import figures
from etl.grid_proposal.ground import Stored, towns_asked
from etl.grid_proposal.loads import Wish
from etl.grid_proposal.proposal import Proposal, propose
from etl.grid_proposal.roads import read_roads
from etl.grid_proposal.writing import store, write_geopackage
from etl.stored_grid import stored_grid_problems
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused
from geoapp.registry.identifiers import show_cell_code
from geoapp.territory.coverage import CoverageProblem

app = typer.Typer(help="网格 / The grid: propose a first one, check the stored one.", no_args_is_help=True)

_LISTED = 30


@app.command("propose")
def propose_grid(
    town: list[str] = typer.Option(
        [], "--town", help="Town by code or name; may be repeated (default: all)."
    ),
    sites_per_cell: float = typer.Option(40, help="Sites that a cell should hold at most."),
    area_per_cell: str = typer.Option(
        "0.5 km2", help="Area that a cell should have at most: 0.5 km2, 50 ha, 500000 m2."
    ),
    roads: Path | None = typer.Option(
        None, help="File of lines that borders may follow, besides those stored."
    ),
    roads_layer: str | None = typer.Option(None, help="Its layer."),
    roads_frame: str | None = typer.Option(None, help="Its frame, where the file does not state one."),
    whole_town: bool = typer.Option(
        False, help="Treat a town without communities as one (code …498 or …598)."
    ),
    output: Path = typer.Option(Path("proposal.gpkg"), "--output", "-o", help="GeoPackage to write."),
    apply: bool = typer.Option(False, help="Store the cells instead of writing a file."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """为没有网格的村居划出网格 / Make cells for communities that have none: balanced by sites and area, along roads, valid."""
    wish = Wish(sites_per_cell, _square_metres(area_per_cell))
    if not 0 < wish.sites <= 100_000 or not 1e4 <= wish.area_m2 <= 1e10:
        raise Refused(
            "每格场所数须在 0 到 100000 之间，面积须在 0.01 到 10000 km² 之间 / --sites-per-cell must be above 0 (at most 100,000), "
            "--area-per-cell from 0.01 to 10,000 km2."
        )
    started = time.monotonic()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("PostgreSQL …", total=1.0)
        with connect(database_url()) as connection:
            stored = Stored.read(connection)
            towns = towns_asked(stored, town)
            lines = None
            if roads is not None:
                lines = read_roads(roads, stored.srid, layer=roads_layer, frame=roads_frame)
            made = propose(
                stored, towns, wish=wish, roads=lines, whole_towns=whole_town,
                tell=lambda step, share: progress.update(task, description=escape(step), completed=share),
            )  # fmt: skip
            progress.update(task, description="写 writing", completed=0.97)
            done = store(connection, made, stored.srid) if apply else None
        if done is None:
            write_geopackage(made, stored.srid, output)
    said = figures_as_json(made) | {"seconds": round(time.monotonic() - started, 2)}
    said |= {"stored": done} if done is not None else {"file": str(output)}
    if as_json:
        typer.echo(json.dumps(said, ensure_ascii=False))
        return
    _print(made, said)


def _square_metres(text: str) -> float:
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(km2|km²|ha|m2|m²)?\s*", text, re.IGNORECASE)
    if found is None:
        raise Refused(f"看不懂面积 {text!r} / not an area: {text!r}. Write 0.5 km2, 50 ha or 500000 m2.")
    unit = (found[2] or "km2").lower().replace("²", "2")
    return float(found[1]) * {"km2": 1e6, "ha": 1e4, "m2": 1.0}[unit]


def _print(made: Proposal, said: dict[str, object]) -> None:
    out = Console(width=None if Console().is_terminal else 150)
    grid = Grid(title="网格方案 / proposed cells")
    for heading in ("村居 community", "依据 from"):
        grid.add_column(heading)
    for heading in (
        "网格 cells",
        "场所 sites",
        "每格场所 min / median / max",
        "面积 ha min / median / max",
        "沿路 on roads",
    ):
        grid.add_column(heading, justify="right")
    for line in figures(made):
        area = (line.area_min_m2, line.area_median_m2, line.area_max_m2)
        grid.add_row(
            f"{line.code} {escape(line.name)}",
            line.made_from,
            f"{line.cells:,}",
            f"{line.sites:,}",
            f"{line.sites_min} / {line.sites_median:g} / {line.sites_max}",
            " / ".join(f"{value / 1e4:,.1f}" for value in area),
            "" if line.road_share is None else f"{line.road_share:.0%}",
        )
    out.print(grid)
    for notice in made.notices:
        out.print(f"  [yellow]{escape(notice)}[/yellow]")
    out.print(
        f"{len(made.communities):,} 个村居 communities, {len(made.cells):,} 个网格 cells, {said['seconds']} s"
    )
    if "file" in said:
        out.print(f"已写 / written: {escape(str(said['file']))}  (--apply 存入数据库 / stores it)")
    else:
        out.print(f"已存入 / stored: {escape(json.dumps(said['stored']))}")


@app.command("check")
def check_grid(
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """核对已存的网格 / Check the stored grid: overlaps, gaps, T-junctions, slivers, uncovered ground, in m². Exit 1 when there are any."""
    console = Console(stderr=True)
    with console.status("网格核对 / checking …"), connect(database_url()) as connection:
        count, problems = stored_grid_problems(connection)
    valid = not any(problem.breaks_coverage for problem in problems)
    if as_json:
        listed = [_problem_as_json(problem) for problem in problems]
        typer.echo(json.dumps({"cells": count, "valid": valid, "problems": listed}, ensure_ascii=False))
    else:
        _print_problems(count, problems, valid)
    if problems:
        raise typer.Exit(1)


def _problem_as_json(problem: CoverageProblem) -> dict[str, object]:
    return {
        "name": problem.name,
        "zh": problem.zh,
        "en": problem.en,
        "area_m2": round(problem.area_m2, 3),
        "codes": list(problem.codes),
        "places": np.round(problem.places, 3).tolist(),
    }


def _print_problems(count: int, problems: list[CoverageProblem], valid: bool) -> None:
    out = Console(width=None if Console().is_terminal else 150)
    if not problems:
        out.print(
            f"{count:,} 个网格，没有问题 / {count:,} cells: no overlap, no gap, every place in one cell or declared."
        )
        return
    grid = Grid(
        title=f"{count:,} 个网格，{len(problems):,} 个问题 / {count:,} cells, {len(problems):,} problems"
    )
    for heading in ("问题 problem", "网格 cells", "位置 x, y (m)"):
        grid.add_column(heading)
    grid.add_column("m²", justify="right")
    for problem in problems[:_LISTED]:
        shown = ", ".join(show_cell_code(code) for code in problem.codes[:3])
        x, y = problem.places[0] if problem.places else (float("nan"), float("nan"))
        more = " …" if len(problem.codes) > 3 else ""
        grid.add_row(
            f"{problem.zh} {problem.en}", shown + more, f"{x:.1f}, {y:.1f}", f"{problem.area_m2:,.1f}"
        )
    out.print(grid)
    if len(problems) > _LISTED:
        out.print(f"… 还有 / and {len(problems) - _LISTED:,} more (--json lists all)")
    if valid:
        out.print("网格有效，只有形状问题 / the grid is valid; these are faults of shape only.")
