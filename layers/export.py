"""Layers as files: GeoPackage, GeoJSON or FlatGeobuf from the analysts' views."""

import json
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import geopandas as gpd
import psycopg
import shapely
from psycopg import sql

from geoapp.access.caller import ROLES
from geoapp.errors import Refused
from layers.answers import lens_classes
from layers.registry import LAYERS, LENSES, Layer, layer

# GeoJSON is longitude and latitude by its standard; the others keep the city's metric zone.
FORMATS = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".json": "GeoJSON", ".fgb": "FlatGeobuf"}


def exportable() -> list[str]:
    """Names of the layers that can be written to a file."""
    return [name for name, declared in LAYERS.items() if declared.export]


def export_layer(connection: psycopg.Connection[dict[str, Any]], name: str, target: Path) -> int:
    """Writes a layer to `target` and returns the number of features; the file's ending decides the format.

    Rows are those that the connection's role may see. Geometry is in the city's metric zone (EPSG code in the file), for
    GeoJSON in EPSG:4326. Times are UTC, lists and objects are written as JSON text. `cell` carries the classes of the
    three lenses. An existing file is replaced only after the new one is complete. Raises Refused for an unknown layer or
    ending, and where the folder is missing.
    """
    driver_of(target.suffix)
    if not target.parent.is_dir():
        raise Refused(f"没有文件夹 {target.parent} / no folder {target.parent}: make it first.")
    frame = layer_frame(connection, exported_layer(name))
    write_frame(frame, name, target)
    return len(frame)


def exported_layer(name: str, roles: Iterable[str] = ROLES) -> Layer:
    """The declaration of a layer that is handed out as a file; raises Refused for any other."""
    declared = layer(name, roles)
    if not declared.export:
        raise Refused(
            f"图层 {name} 不能导出 / layer {name!r} is not exported. Choose: {', '.join(exportable())}."
        )
    return declared


def driver_of(ending: str) -> str:
    """The GDAL driver of a file's ending (with its dot); raises Refused for an unknown one."""
    driver = FORMATS.get(ending.lower())
    if driver is None:
        raise Refused(f"不认识的格式 {ending!r} / unknown ending {ending!r}: use {', '.join(FORMATS)}.")
    return driver


def write_frame(frame: gpd.GeoDataFrame, name: str, target: Path) -> None:
    """Writes the rows of layer_frame() as layer `name`; the target is there when it is complete, not before."""
    driver = driver_of(target.suffix)
    partial = target.with_name(f".{target.stem}.part{target.suffix}")
    try:
        shown = frame.to_crs(4326) if driver == "GeoJSON" else frame
        shown.to_file(partial, driver=driver, layer=name, engine="pyogrio", index=False)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def layer_frame(connection: psycopg.Connection[dict[str, Any]], declared: Layer) -> gpd.GeoDataFrame:
    """The rows of a layer that the connection's role may see, in the city's metric zone."""
    schema, view = declared.source.split(".")
    columns = [
        row["attname"]
        for row in connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            (declared.source,),
        ).fetchall()
        if not row["type"].startswith("geometry")
    ]
    if not columns:
        raise Refused(
            f"数据库里没有 {declared.source} / the database has no {declared.source}. Run: geoapp db up"
        )
    query = sql.SQL("SELECT {columns}, ST_AsBinary(v.geom) AS geom FROM {view} AS v").format(
        columns=sql.SQL(", ").join(sql.SQL("v.{}").format(sql.Identifier(c)) for c in columns),
        view=sql.Identifier(schema, view),
    )
    rows = connection.execute(query).fetchall()
    if declared.lenses:
        _add_lens_classes(connection, rows)
    zone = connection.execute("SELECT Find_SRID('territory', 'unit', 'seat') AS srid").fetchone()
    assert zone is not None
    shapes = shapely.from_wkb([row.pop("geom") for row in rows])
    names = [*columns, *(f"{lens.id}_class" for lens in declared.lenses)]
    values = {name: [_plain(row[name]) for row in rows] for name in names}
    return gpd.GeoDataFrame(values, geometry=shapes, crs=zone["srid"])


def _add_lens_classes(connection: psycopg.Connection[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    for lens in LENSES:
        classes = lens_classes(connection, lens)["classes"]
        for row in rows:
            # A lens says nothing of a cell of which the caller sees a part only: no class is not a calm one.
            row[f"{lens.id}_class"] = classes.get(row["cell_no"])


def _plain(value: Any) -> Any:
    """A value that every format can hold: lists, objects and UUIDs become text."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value) if isinstance(value, uuid.UUID) else value
