"""GeoPackage and FlatGeobuf: the rows streamed through GDAL."""

import warnings
from pathlib import Path
from typing import Any

import pyogrio

from layers.export.about import about, one_line
from layers.export.arrow import GEOMETRY, reader
from layers.export.content import Content

DRIVERS = {".gpkg": "GPKG", ".fgb": "FlatGeobuf"}


def write_gdal_file(content: Content, target: Path) -> None:
    """Writes `target` (.gpkg, .fgb). A GeoPackage that is there already gets one more table.

    A file in GCJ-02 or BD-09 has no CRS; its description and metadata name the frame.
    """
    wanted = content.order
    told = about(content)
    options: dict[str, Any] = {}
    if wanted.ending == ".gpkg":
        tag = "" if not wanted.has_no_crs else f" [{wanted.frame.name}]"
        options = {"IDENTIFIER": f"{wanted.register.id}{tag}", "DESCRIPTION": one_line(content)}
    else:
        options = {"TITLE": told["register"], "DESCRIPTION": one_line(content)}
        if content.shapeless:
            options["SPATIAL_INDEX"] = "NO"  # FlatGeobuf's index takes no row without a shape
    spatial: dict[str, Any] = {"geometry_type": content.gdal_type}
    if content.family:
        crs = None if wanted.has_no_crs else f"EPSG:{wanted.frame.epsg}"
        spatial |= {"geometry_name": GEOMETRY, "crs": crs}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")
        pyogrio.write_arrow(
            reader(content),
            target,
            layer=wanted.register.id,
            driver=DRIVERS[wanted.ending],
            layer_metadata=told if wanted.ending == ".gpkg" else None,
            **spatial,
            **options,
        )
