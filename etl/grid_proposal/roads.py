"""Lines of a file that cells' borders may follow."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from etl.frames import geometries_to_metric, parse_frame
from geoapp.errors import Refused

__all__ = ["read_roads"]


def read_roads(
    path: Path, srid: int, *, layer: str | None = None, frame: str | None = None
) -> NDArray[np.object_]:
    """The lines of a file (outlines, where it has areas) in metres of EPSG `srid`; points are left out.

    frame: as in a manifest (wgs84, gcj02, bd09, epsg:NNNN); needed where the file does not state its system. Raises
    Refused for a file that cannot be read, has no lines, or needs a frame.
    """
    try:
        found = gpd.read_file(path, layer=layer) if layer else gpd.read_file(path)
    except (OSError, ValueError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as fault:
        raise Refused(
            f"{path.name}: 读不出道路 / cannot be read as a file of roads: {str(fault).splitlines()[0]}"
        ) from fault
    if not isinstance(found, gpd.GeoDataFrame) or found.geometry.isna().all():
        raise Refused(f"{path.name}: 没有几何 / holds no geometry. --roads needs lines (道路、河道中心线).")
    shapes = found.geometry[found.geometry.notna()].to_numpy()
    if frame is not None:
        shapes = geometries_to_metric(shapes, parse_frame(frame), srid)
    elif found.crs is not None:
        shapes = gpd.GeoSeries(shapes, crs=found.crs).to_crs(srid).to_numpy()
    else:
        raise Refused(
            f"{path.name}: 没有写坐标系 / the file does not state its coordinate system.\n"
            "  Say it with --roads-frame: wgs84, gcj02, bd09 or epsg:NNNN."
        )
    parts = shapely.get_parts(shapely.get_parts(shapely.force_2d(np.asarray(shapes, dtype=object))))
    area = shapely.get_type_id(parts) == 3
    parts[area] = shapely.boundary(parts[area])
    parts = shapely.get_parts(parts)
    lines = parts[np.isin(shapely.get_type_id(parts), (1, 2)) & ~shapely.is_empty(parts)]
    if not len(lines):
        raise Refused(f"{path.name}: 没有线 / holds no lines. --roads needs lines (道路、河道中心线).")
    return np.asarray(lines, dtype=object)
