"""`geoapp load` and `geoapp inspect`: a city from its files."""

import json
import time
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from typer.core import TyperGroup

from etl.ask_frame import asking
from etl.correction import correction
from etl.inspection import look_at, running_ground, section_of
from etl.load import SectionResult, open_store
from etl.load import load as load_all
from etl.manifest import load_manifest
from etl.reasons import REASONS
from etl.report_commands import rejected, report
from etl.rollback import roll_back
from etl.run import system_user
from geoapp.access.redaction import redact
from geoapp.database.connection import connect, database_url
from geoapp.database.sql_files import read_sql

_LISTED = 12
_LISTED_JSON = 1000


class _ManifestFirst(TyperGroup):
    """`geoapp load FILE` is `geoapp load manifest FILE`: what comes first and is no command is the manifest."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = [word for word in args if not word.startswith("-")]
        if args and args != ["--help"] and (not words or words[0] not in self.commands):
            args = ["manifest", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ManifestFirst,
    no_args_is_help=True,
    help="按清单导入一个城市；看、撤销导入 / Load a city from its manifest; list imports and take them back.",
)
app.command("report")(report)
app.command("rejected")(rejected)


@app.command("manifest")
def load(
    manifest: Path = typer.Argument(..., help="City manifest (YAML); docs/onboarding.md explains it."),
    data: Path | None = typer.Option(
        None, "--data", help="Folder that the manifest's files lie in (default: the manifest's own)."
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Check and count everything, show what would change, store nothing."
    ),
    into_sample: bool = typer.Option(
        False, "--into-sample", help="Allow real files in the generated sample city of the same code."
    ),
    infer_frame: bool = typer.Option(
        False, "--infer-frame", help="Where no frame is declared: test the candidates, show the table, ask."
    ),
    yes: bool = typer.Option(
        False, "--yes", help="With --infer-frame: take the frame that is proposed without asking."
    ),
    corrected: Path | None = typer.Option(
        None,
        "--corrected",
        help="A corrected workbook of rows that were kept aside, instead of the manifest's files.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """按清单导入（“manifest” 一词可省）/ Load a manifest (the word may be left out): rows in, stored, kept aside with reasons. All or nothing."""
    asked = load_manifest(manifest)
    folder = data if data is not None else manifest.parent
    if corrected is not None:
        asked, folder = correction(asked, corrected), corrected.resolve().parent
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
            dry_run=dry_run,
            into_sample=into_sample,
            say=lambda text: status.update(escape(text)),
            named=manifest.name,
            choose_frame=asking(console, status, yes=yes) if infer_frame else None,
            corrected=corrected is not None,
        )
    seconds = time.monotonic() - started
    if as_json:
        typer.echo(
            json.dumps(
                _as_json(asked.city.model_dump(), results, dry_run, seconds), ensure_ascii=False, default=str
            )
        )
        return
    out = Console(width=None if Console().is_terminal else 140)
    _print(out, asked.city.name_zh, asked.city.code, results, dry_run, seconds)


@app.command("list")
def list_imports(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """列出导入批次 / List imports: each file of each run, newest first, with what became of its rows."""
    with connect(database_url()) as connection:
        rows = connection.execute(read_sql("staging/import_list").encode()).fetchall()
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, default=str))
        return
    grid = Grid(title="导入 imports")
    for heading in ("批次 batch", "运行 run", "时间 when", "部分 section", "文件 file", "状态 state"):
        grid.add_column(heading, no_wrap=heading == "时间 when")
    grid.add_column("行 rows", justify="right")
    grid.add_column("其中 of these")
    for row in rows:
        grid.add_row(
            str(row["batch_id"] or "–"),
            str(row["load_id"] or "–"),
            row["started_at"].strftime("%m-%d %H:%M"),
            row["section"] or "",
            escape(row["file"] or row["manifest"] or ""),
            STATES[row["state"]],
            "" if row["rows_in"] is None else f"{row['rows_in']:,}",
            _counts(row),
        )
    Console(width=None if Console().is_terminal else 160).print(grid)


_COUNTED = {
    "rows_new": "新 new",
    "rows_changed": "改 changed",
    "rows_unchanged": "未变 same",
    "rows_repaired": "修复 repaired",
    "rows_rejected": "留置 aside",
    "rows_gone": "没有了 gone",
}


def _counts(row: dict[str, Any]) -> str:
    """What became of a batch's rows, without the kinds that have none; of a run that stored nothing, why."""
    if row["rows_in"] is None:
        said = (row["message"] or "").splitlines()
        return escape(said[0][:90] + (" …" if len(said) > 1 or len(said[0]) > 90 else "")) if said else ""
    return ", ".join(f"{said} {row[name]:,}" for name, said in _COUNTED.items() if row[name])


STATES = {
    "running": "进行中 running",
    "cut_off": "中断，未存 cut off, nothing stored",
    "done": "完成 done",
    "refused": "拒绝 refused",
    "failed": "失败 failed",
    "rolled_back": "已撤销 taken back",
}


@app.command("rollback")
def rollback(
    batch: int | None = typer.Argument(None, help="Number of the batch (`geoapp load list`)."),
    run: int | None = typer.Option(None, "--run", help="All batches of this run."),
    force: bool = typer.Option(False, "--force", help="Even where people changed rows since: that is lost."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """撤销一个批次或一次运行 / Take an import back: what it brought is deleted, what it changed is as before."""
    if (batch is None) == (run is None):
        raise typer.BadParameter("name a batch, or --run with a run / 写批次号，或用 --run 写运行号")
    with Console(stderr=True).status("…") as status:
        taken = roll_back(
            database_url(),
            batch_id=batch,
            load_id=run,
            by=system_user(),
            force=force,
            say=lambda text: status.update(escape(text)),
        )
    if as_json:
        typer.echo(json.dumps([one._asdict() for one in taken], ensure_ascii=False))
        return
    for one in taken:
        typer.echo(
            f"批次 {one.batch_id} {one.section} {one.file}: 删除 {one.deleted:,} 行，恢复 {one.restored:,} 行 / "
            f"{one.deleted:,} row(s) deleted, {one.restored:,} as they were before"
        )


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
        _print_difference(out, r)
        for reason, count in r.warnings.items():
            out.print(f"  {count:,} × {reason} {escape(REASONS[reason].zh)} / {escape(REASONS[reason].en)}")
        for reason, count in r.reasons.items():
            out.print(f"  [yellow]{count:,} × {reason}[/yellow] {escape(_example(r, reason))}")
        if r.rejected and not dry_run:
            out.print(f"  geoapp load report {r.batch_id}    geoapp load rejected {r.batch_id}")
    out.print(f"{seconds:.1f} s")


_KINDS = {
    "new": "新 new",
    "changed": "改 changed",
    "moved": "移动超过 5 米 moved > 5 m",
    "gone": "没有了 gone",
}


def _print_difference(out: Console, result: SectionResult) -> None:
    """What a changed file would do, or did, to what is stored; a first import is all new and needs no list."""
    if not result.changed + result.gone:
        return
    counts = {
        "new": result.new,
        "changed": result.changed - result.moved,
        "moved": result.moved,
        "gone": result.gone,
    }
    for kind, count in counts.items():
        if count:
            rows = result.difference.get(kind, [])[:3]
            shown = "; ".join(" ".join(str(v) for v in row.values() if v is not None) for row in rows)
            more = " …" if count > len(rows) else ""
            out.print(f"  {_KINDS[kind]}: {count:,}  {escape(redact(shown))}{more}")


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
    manifest: Path | None = typer.Option(
        None, "--manifest", help="A manifest that names the file: its columns, layer and encoding are taken."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """看一个文件里有什么 / Show what a file holds: rows, columns, encoding with its evidence, coordinates and frames that they may be in."""
    city = None if manifest is None else load_manifest(manifest)
    section = None if city is None else section_of(city, file, layer)
    with Console(stderr=True).status(f"{file.name} …"), running_ground(city) as ground:
        found, proposal = look_at(file, layer=layer, encoding=encoding, ground=ground, section=section)
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
    if proposal is not None:
        out.print(proposal.table())
    for problem in found["problems"]:
        out.print(f"[yellow]{escape(problem)}[/yellow]")
