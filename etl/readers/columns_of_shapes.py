"""A source whose geometry stands in one of its columns."""

import difflib
from collections.abc import Iterator
from dataclasses import replace

import pyproj

from etl.readers.shape_values import shapes_of_values
from etl.readers.source import Source
from etl.readers.table import Table
from geoapp.access.redaction import redact
from geoapp.errors import Refused

__all__ = ["with_shapes_of_column"]


def with_shapes_of_column(source: Source, column: str) -> None:
    """Makes the source take its geometry from a column of WKT, EWKT, WKB or GeoJSON.

    A value that is no geometry damages its row. The SRID that all values agree on is the file's statement of its
    system, as far as its first stretch shows; a later one that differs is refused. Raises Refused where there is no
    such column.
    """
    if column not in source.column_names:
        near = difflib.get_close_matches(column, source.column_names, n=1, cutoff=0.5)
        held = ", ".join(redact(name) for name in source.column_names)
        hint = f"; 是不是 / did you mean {near[0]!r}?" if near else ""
        raise Refused(
            f"{source.name}: 没有图形列 / has no geometry column {column!r}{hint}\n  文件的列 / its columns: {held}"
        )
    read = source.read

    def tables(opened: Source, size: int) -> Iterator[Table]:
        for table in read(opened, size):
            values = shapes_of_values(table.held[column])
            _compare(opened, column, values.srids)
            unread = dict.fromkeys(values.unread, ("geometry_unreadable", column))
            yield replace(table, shapes=values.shapes, marked={**unread, **table.marked})

    first = next(read(source, 1_000), None)
    if first is not None:
        srids = shapes_of_values(first.held[column]).srids
        if len(srids) == 1:
            source.crs = _system(*srids)
            source.crs_from = f"{source.name} ({column}: SRID={min(srids)})" if source.crs else ""
        _compare(source, column, srids)
    source.read = tables
    source.has_geometry = True


def _system(srid: int) -> pyproj.CRS | None:
    try:
        return pyproj.CRS.from_epsg(srid)
    except pyproj.exceptions.CRSError:
        return None


def _compare(source: Source, column: str, srids: frozenset[int]) -> None:
    said = {source.crs.to_epsg()} if source.crs is not None and source.crs.to_epsg() else set()
    if len(srids | said) > 1:
        listed = ", ".join(str(srid) for srid in sorted(srids | said))
        raise Refused(
            f"{source.name}: 列 {column} 中坐标系不一致 / the values of {column} are in several systems (SRID {listed}): "
            "bring them into one, or split the file."
        )
