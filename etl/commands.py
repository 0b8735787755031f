"""`geoapp load` and `geoapp inspect`: a city from its files."""

import json
import time
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from etl.inspection import describe
from etl.load import SectionResult, open_store
from etl.load import load as load_all
from etl.manifest import load_manifest
from geoapp.database.connection import database_url
from geoapp.settings import settings

_LISTED = 12
_LISTED_JSON = 1000


def load(
    manifest: Path = typer.Argument(..., help="City manifest (YAML); docs/onboarding.md explains it."),
    data: Path | None = typer.Option(
        None, "--data", help="Folder that the manifest's files lie in (default: the manifest's own)."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Check and count everything, store nothing."),
    into_sample: bool = typer.Option(
        False, "--into-sample", help="Allow real files in the generated sample city of the same code."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """按清单导入一个城市 / Load a city from its manifest: rows in, stored, kept aside with reasons. All or nothing per manifest."""
    asked = load_manifest(manifest)
    folder = data if data is not None else manifest.parent
    started = time.monotonic()
    console = Console(stderr=True)
    with (
        console.status("PostgreSQL …") as status,
        open_store(database_url(), asked.city, dry_run=dry_run) as url,
    ):
        results = load_all(
            url,
            asked,
            folder=folder,
            keep=settings().home_path / "imports",
            dry_run=dry_run,
            into_sample=into_sample,
            say=lambda text: status.update(escape(text)),
        )
    seconds = time.monotonic() - started
    if as_json:
        typer.echo(
            json.dumps(_as_json(asked.city.model_dump(), results, dry_run, seconds), ensure_ascii=False)
        )
        return
    out = Console(width=None if Console().is_terminal else 140)
    _print(out, asked.city.name_zh, asked.city.code, results, dry_run, seconds)


def _as_json(
    city: dict[str, Any], results: list[SectionResult], dry_run: bool, seconds: float
) -> dict[str, Any]:
    sections = []
    for result in results:
        section = result.as_json()
        section["rejected_rows"] = section["rejected_rows"][:_LISTED_JSON]
        section["repaired_rows"] = section["repaired_rows"][:_LISTED_JSON]
        sections.append(section)
    return {"city": city, "dry_run": dry_run, "seconds": round(seconds, 2), "sections": sections}


def _print(
    out: Console, name: str, code: str, results: list[SectionResult], dry_run: bool, seconds: float
) -> None:
    grid = Grid(
        title=f"{name} {code}" + ("  试运行，什么都没有存 / dry run, nothing stored" if dry_run else "")
    )
    for heading in ("部分 section", "文件 file"):
        grid.add_column(heading)
    for heading in ("行 rows in", "存入 stored", "未变 unchanged", "修复 repaired", "留置 kept aside"):
        grid.add_column(heading, justify="right")
    for r in results:
        counts = (r.rows_in, r.stored, r.unchanged, r.repaired, r.rejected)
        grid.add_row(r.section, r.file, *(f"{n:,}" for n in counts))
    out.print(grid)
    for r in results:
        said = [f"frame {r.frame} ({r.frame_from})"] if r.frame else []
        if r.encoding:
            said.append(f"encoding {r.encoding} ({r.evidence})")
        if r.not_selected:
            said.append(f"{r.not_selected:,} 行不在 where 内 / rows not selected by `where`")
        if r.unused_columns:
            said.append(f"未用的列 / columns not used: {', '.join(r.unused_columns)}")
        out.print(f"[bold]{r.section}[/bold] {escape(r.file)}: {escape('; '.join(said))}")
        for notice in r.notices:
            out.print(f"  · {escape(notice)}")
        for reason, count in r.reasons.items():
            out.print(f"  [yellow]{count:,} × {reason}[/yellow] {escape(_example(r, reason))}")
        if r.rejected and not dry_run:
            out.print(f"  SELECT * FROM staging.rejected WHERE batch_id = {r.batch_id};")
    out.print(f"{seconds:.1f} s")


def _example(result: SectionResult, code: str) -> str:
    """Rows that a reason sets aside, and its sentence for the first of them."""
    rows = [row for row in result.rejected_rows if any(x["code"] == code for x in row["reasons"])]
    numbers = ", ".join(str(row["row_no"]) for row in rows[:_LISTED])
    first = next(x for x in rows[0]["reasons"] if x["code"] == code)
    field = f"{first['field']}: " if first["field"] else ""
    more = " …" if len(rows) > _LISTED else ""
    return f"{field}{first['zh']} / {first['en']}  (行 rows {numbers}{more})"


def inspect(
    file: Path = typer.Argument(..., help="A file that a manifest may name."),
    layer: str | None = typer.Option(None, help="Layer of a GeoPackage, or sheet of a workbook."),
    encoding: str | None = typer.Option(None, help="Encoding, where it is known."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """看一个文件里有什么 / Show what a file holds: rows, columns, encoding with its evidence, coordinates and frames that they may be in."""
    with Console(stderr=True).status(f"{file.name} …"):
        found = describe(file, layer=layer, encoding=encoding)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    out = Console(width=None if Console().is_terminal else 140)
    out.print(f"[bold]{escape(found['file'])}[/bold]: {found['rows']:,} 行 / rows")
    if found["encoding"]:
        out.print(f"编码 encoding: {found['encoding']} ({escape(found['encoding_evidence'])})")
    columns = Grid()
    for heading in ("列 column", "空 blank", "例 example"):
        columns.add_column(heading)
    for column in found["columns"]:
        columns.add_row(escape(column["name"]), f"{column['blank']:,}", escape("  ".join(column["examples"])))
    out.print(columns)
    for line in found["coordinates"]:
        out.print(escape(line))
    for problem in found["problems"]:
        out.print(f"[yellow]{escape(problem)}[/yellow]")
