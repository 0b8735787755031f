"""Registers and map layers as files, in the frame asked for, with the rows that the connection's role may see."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from geoapp.errors import Refused
from layers.asked import WrongValue, span_of
from layers.export.content import Content, content_of, metric_srid
from layers.export.gdal_file import write_gdal_file
from layers.export.order import FORMATS, Order, ending_of, order_of
from layers.export.registers import REGISTERS, Register, exportable, register, registers_for
from layers.export.whose import in_name_of, on_record
from layers.export.writing import in_one_move, write_file
from layers.rows_query import NOW, Span

__all__ = [
    "FORMATS",
    "REGISTERS",
    "Content",
    "Order",
    "Register",
    "content_of",
    "ending_of",
    "export_all",
    "export_layer",
    "exportable",
    "metric_srid",
    "order_of",
    "register",
    "registers_for",
    "span_for",
    "write_file",
]

Connection = psycopg.Connection[dict[str, Any]]
# Told the register, the rows read so far and the rows in all.
Progress = Callable[[str, int, int], None]


def _silent(_: str, __: int, ___: int) -> None:
    return None


def span_for(
    connection: Connection,
    asked: Register,
    as_of: datetime | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Span:
    """The moment or window of a file. Raises WrongValue for a register, which is handed out as it is, and as layers.asked.span_of."""
    if not (as_of or since or until):
        return NOW  # a file without a window holds every row
    if asked.layer is not None:
        return span_of(connection, asked.layer, as_of, since, until)
    raise WrongValue(
        f"登记册 {asked.id} 只有现状 / register {asked.id!r} is handed out as it is now: leave as_of, from and to out."
    )


def export_layer(
    connection: Connection,
    name: str,
    target: Path,
    *,
    frame: str = "",
    encoding: str = "",
    login: str = "",
    as_of: datetime | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    progress: Progress = _silent,
) -> int:
    """Writes a register or map layer to `target` and returns the number of rows; the file's ending decides the format.

    Rows and columns are those that the account `login` may see, "" = the connection's own role. frame: as in
    geoapp.territory.frames.parse_frame, or "metric" for the city's zone (the default of .gpkg, .parquet, .shp.zip and .fgb;
    .geojson, .xlsx and .csv are WGS 84). encoding: utf-8 or gbk, for .shp.zip and .csv. `cell` carries the classes of the
    three lenses. as_of, since, until: of a map layer, as it was (layers.asked.span_of). An existing file is replaced only after the
    new one is complete; the export is on record.

    Raises Refused for an unknown name, ending, frame, encoding or account, and where the folder is missing;
    geoapp.access.caller.Forbidden where the role may not read it.
    """
    ending = ending_of(target.name)
    if not target.parent.is_dir():
        raise Refused(f"没有文件夹 {target.parent} / no folder {target.parent}: make it first.")
    with connection.transaction():
        with in_name_of(connection, login) as roles:
            asked = register(name, roles)
            span = span_for(connection, asked, as_of, since, until)
            wanted = order_of(asked, ending, metric_srid(connection), frame, encoding, span)
            made = content_of(connection, wanted)
            made.progress = lambda read: progress(name, read, made.rows)
            write_file(made, target)
        on_record(connection, made, login)
    return made.rows


def export_all(
    connection: Connection,
    target: Path,
    *,
    ending: str = ".gpkg",
    frame: str = "",
    encoding: str = "",
    login: str = "",
    progress: Progress = _silent,
) -> dict[str, int | str]:
    """Writes every register: into one GeoPackage where `target` ends with .gpkg, else one file each into the folder `target`.

    Gives the rows by register, or why it was left out. See export_layer for the rest.
    """
    if target.suffix.lower() == ".gpkg":
        if not target.parent.is_dir():
            raise Refused(f"没有文件夹 {target.parent} / no folder {target.parent}: make it first.")
        with in_one_move(target, ".gpkg") as partial:
            return _every(
                connection,
                lambda made: write_gdal_file(made, partial),
                ".gpkg",
                frame,
                encoding,
                login,
                progress,
            )
    target.mkdir(parents=True, exist_ok=True)

    def into_folder(made: Content) -> None:
        write_file(made, target / f"{made.order.register.id}{made.order.frame_tag}{ending}")

    return _every(connection, into_folder, ending, frame, encoding, login, progress)


def _every(
    connection: Connection,
    write: Callable[[Content], None],
    ending: str,
    frame: str,
    encoding: str,
    login: str,
    progress: Progress,
) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    order_of(
        next(iter(REGISTERS.values())), ending, metric_srid(connection), frame, encoding
    )  # refused before any file is made
    for name in REGISTERS:
        try:
            with connection.transaction():
                with in_name_of(connection, login) as roles:
                    wanted = order_of(register(name, roles), ending, metric_srid(connection), frame, encoding)
                    made = content_of(connection, wanted)
                    made.progress = lambda read, name=name, rows=made.rows: progress(name, read, rows)  # type: ignore[misc]
                    write(made)
                on_record(connection, made, login)
            found[name] = made.rows
        except Refused as refusal:
            found[name] = str(refusal)
    return found
