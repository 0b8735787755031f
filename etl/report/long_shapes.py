"""Rows that were kept aside whose shape is too long for a cell of a spreadsheet: a GeoPackage to correct in a GIS."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import psycopg
import pyogrio
import shapely

from etl.correction import ABOUT_SHEET, ROWS_SHEET
from etl.frames import parse_frame
from etl.report.workbook import (
    GEOMETRY,
    LONGEST_CELL,
    OF_PACKAGE,
    about_batch,
    batch_of,
    own_columns,
    rejected_rows,
)
from geoapp.errors import Refused

__all__ = ["write_long_shapes"]


def write_long_shapes(connection: psycopg.Connection[dict[str, Any]], batch_id: int, target: Path) -> int:
    """Writes the rows that do not fit into a workbook to a GeoPackage, in the file's own columns and frame; how many.

    `geoapp load … --corrected` takes it as it takes a workbook. A shape that is too long even for staging is left blank.
    Raises Refused as `etl.report.workbook.write_workbook` does.
    """
    batch = batch_of(connection, batch_id)
    rows = [
        row
        for row in rejected_rows(connection, batch_id)
        if len(row["columns"].get(GEOMETRY) or "") > LONGEST_CELL
    ]
    if not rows:
        return 0
    columns: dict[str, list[Any]] = {
        name: [row["columns"].get(name) for row in rows] for name in own_columns(batch)
    }
    number, reason = OF_PACKAGE
    columns[number] = [row["row_no"] for row in rows]
    columns[reason] = ["\n".join(f"{r['zh']} / {r['en']}" for r in row["reasons"]) for row in rows]
    shapes = shapely.from_wkt([row["columns"][GEOMETRY] for row in rows], on_invalid="ignore")
    crs = _epsg(batch["frame"])
    frame = gpd.GeoDataFrame(columns, geometry=shapes, crs=crs)
    target.unlink(missing_ok=True)
    pyogrio.write_dataframe(frame, target, layer=ROWS_SHEET)
    about = pd.DataFrame(about_batch(batch, geometry=None).items(), columns=["key", "value"])
    pyogrio.write_dataframe(about, target, layer=ABOUT_SHEET, append=True)
    return len(rows)


def _epsg(frame: str | None) -> int | None:
    """None for what is no coordinate reference system (GCJ-02, BD-09), and for one without a code."""
    try:
        return None if frame is None else parse_frame(frame).epsg
    except Refused:
        return None
