"""`geoapp load report` and `geoapp load rejected`: what became of an import, for people."""

from pathlib import Path

import typer

from etl.report.long_shapes import write_long_shapes
from etl.report.page import write_report
from etl.report.workbook import write_workbook
from geoapp.database.connection import connect, database_url

BATCH = typer.Argument(..., help="Number of the batch (`geoapp load list`).")


def report(
    batch: int = BATCH,
    output: Path | None = typer.Option(
        None, "--output", "-o", help="File to write (default: report-BATCH.html)."
    ),
) -> None:
    """一个批次的质量报告（单个 HTML 文件，可离线打开）/ The quality report of an import: one HTML file that opens offline."""
    target = output or Path(f"report-{batch}.html")
    with connect(database_url()) as connection:
        write_report(connection, batch, target)
    typer.echo(f"{target}")


def rejected(
    batch: int = BATCH,
    output: Path | None = typer.Option(
        None, "--output", "-o", help="File to write (default: rejected-BATCH.xlsx)."
    ),
) -> None:
    """留置的行，可更正后再导入（XLSX）/ Rows that were kept aside as a workbook to correct: `geoapp load MANIFEST --corrected FILE`."""
    target = output or Path(f"rejected-{batch}.xlsx")
    with connect(database_url()) as connection:
        done = write_workbook(connection, batch, target)
    typer.echo(f"{target}: {done[0]:,} 行 / rows")
    if done[1]:
        with connect(database_url()) as connection:
            count = write_long_shapes(connection, batch, target.with_suffix(".gpkg"))
        typer.echo(
            f"{target.with_suffix('.gpkg')}: {count:,} 行图形太长，放不进单元格 / rows whose shape is too long for a cell"
        )
