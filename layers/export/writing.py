"""From a content to a file: the right writer, and a target that is there when it is complete, not before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from layers.export.content import Content
from layers.export.gdal_file import write_gdal_file
from layers.export.geojson import write_geojson
from layers.export.geoparquet import write_geoparquet
from layers.export.shapefile import write_shapefile
from layers.export.table import write_csv
from layers.export.workbook import write_workbook

_WRITERS: dict[str, Callable[[Content, Path], None]] = {
    ".gpkg": write_gdal_file,
    ".fgb": write_gdal_file,
    ".parquet": write_geoparquet,
    ".geojson": write_geojson,
    ".json": write_geojson,
    ".shp.zip": write_shapefile,
    ".xlsx": write_workbook,
    ".csv": write_csv,
}


def write_file(content: Content, target: Path) -> None:
    """Writes the rows as the order says. An existing file is replaced only after the new one is complete."""
    with in_one_move(target, content.order.ending) as partial:
        _WRITERS[content.order.ending](content, partial)


@contextmanager
def in_one_move(target: Path, ending: str) -> Iterator[Path]:
    """A path beside `target` to write to; it becomes `target` at the end of the block, or is gone after a fault."""
    partial = target.with_name(f".{target.name[: -len(ending)]}.part{ending}")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
