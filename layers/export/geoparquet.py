"""GeoParquet 1.1, written piece by piece, with a covering box for each row."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
from numpy.typing import NDArray

from layers.export.about import about
from layers.export.arrow import GEOMETRY, batch, bounds, schema
from layers.export.content import Content

_BOX = ("xmin", "ymin", "xmax", "ymax")
_BOX_TYPE = pa.struct([(side, pa.float64()) for side in _BOX])


def write_geoparquet(content: Content, target: Path) -> None:
    """Writes `target`: GeoParquet where the register has geometry, plain Parquet where not.

    `crs` is null for GCJ-02 and BD-09; what the file is, the key `geoapp` of its metadata says in any case.
    """
    columns = schema(content)
    plain = columns
    if content.family:
        columns = columns.append(pa.field("bbox", _BOX_TYPE))
    seen: set[str] = set()
    whole = np.array([np.inf, np.inf, -np.inf, -np.inf])
    with pq.ParquetWriter(target, columns, compression="zstd") as writer:
        for piece in content.pieces():
            rows = batch(content, piece, plain)
            if piece.shapes is not None:
                boxes = bounds(piece.shapes)
                rows = pa.record_batch([*rows.columns, _box_column(boxes)], schema=columns)
                seen |= {shape.geom_type for shape in piece.shapes if shape is not None}
                whole = _wider(whole, boxes)
            writer.write_batch(rows)
        told = {"geoapp": json.dumps(about(content), ensure_ascii=False)}
        if content.family:
            told["geo"] = json.dumps(_geo(content, sorted(seen), whole))
        writer.add_key_value_metadata(told)


def _geo(content: Content, types: list[str], whole: NDArray[np.float64]) -> dict[str, Any]:
    frame = content.order.frame
    crs = None if frame.epsg is None else pyproj.CRS.from_epsg(frame.epsg).to_json_dict()
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": types,
        "crs": crs,
        "covering": {"bbox": {side: ["bbox", side] for side in _BOX}},
    }
    if np.isfinite(whole).all():
        column["bbox"] = whole.tolist()
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}


def _box_column(boxes: NDArray[np.float64]) -> pa.Array:
    missing = np.isnan(boxes[:, 0])
    sides = [pa.array(boxes[:, n], mask=missing) for n in range(4)]
    return pa.StructArray.from_arrays(sides, names=list(_BOX), mask=pa.array(missing))


def _wider(whole: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    given = boxes[~np.isnan(boxes[:, 0])]
    if not len(given):
        return whole
    return np.concatenate(
        [np.minimum(whole[:2], given[:, :2].min(0)), np.maximum(whole[2:], given[:, 2:].max(0))]
    )
