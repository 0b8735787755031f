"""Shapefiles in a zip: one for each kind of geometry, with .prj and .cpg, a legend of the names and notes of what was cut."""

import csv
import io
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray

from layers.export.about import about
from layers.export.arrow import GEOMETRY, field_type
from layers.export.content import Content, Field, Piece
from layers.export.text_values import local_time

NAME_BYTES = 10
TEXT_BYTES = 254
NOTES_LISTED = 200
_FAMILIES = {
    "points": ("Point", {0}),
    "multipoints": ("MultiPoint", {4}),
    "lines": ("LineString", {1, 2, 5}),
    "polygons": ("Polygon", {3, 6}),
}


def write_shapefile(content: Content, target: Path) -> None:
    """Writes `target` (.shp.zip).

    Inside: `<register>.shp` where all shapes are of one kind, else `<register>_points.shp`, `_lines`, `_polygons` (rows without
    a shape go to the first); without geometry a .dbf alone. fields.csv gives the full names, notes.txt what a Shapefile could
    not hold: texts over 254 bytes and characters that GBK has not. Moments are ISO texts in the city's time, booleans 0 or 1.
    """
    with tempfile.TemporaryDirectory(prefix=".geoapp-shp-", dir=target.parent) as folder:
        made = _Files(content, Path(folder))
        for piece in content.pieces():
            made.add(piece)
        made.finish()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as packed:
            for path in sorted(Path(folder).iterdir()):
                packed.write(path, path.name)


class _Files:
    """The files of one zip while they are written."""

    def __init__(self, content: Content, folder: Path) -> None:
        self.content = content
        self.folder = folder
        self.short = short_names([one.name for one in content.fields])
        self.encoding = "GBK" if content.order.encoding == "gbk" else "UTF-8"
        self.codec = "gbk" if content.order.encoding == "gbk" else "utf-8"
        self.written: dict[str, int] = {}
        self.cut: list[str] = []
        self.cut_count = 0
        self.left_out = 0
        self.rows_before = 0

    def add(self, piece: Piece) -> None:
        """Appends a piece to the files of its kinds of geometry."""
        arrays = [self._array(n, one, piece.values[n]) for n, one in enumerate(self.content.fields)]
        self.rows_before += len(piece)
        if piece.shapes is None:
            self._append("", pa.table(arrays, names=self.short), None)
            return
        self.left_out += int(np.isin(shapely.get_type_id(piece.shapes), (7,)).sum())
        for kind, mask in _by_kind(piece.shapes, self._first_kind()):
            shapes = shapely.to_wkb(piece.shapes[mask]).tolist()
            table = pa.table([*arrays, pa.nulls(len(piece))], names=[*self.short, GEOMETRY]).filter(
                pa.array(mask)
            )
            table = table.set_column(len(arrays), GEOMETRY, pa.array(shapes, pa.binary()))
            self._append(kind, table, _FAMILIES[kind][0])

    def finish(self) -> None:
        """An empty file where there was no row; single names where there is one kind; legend and notes."""
        if not self.written:
            empty = [pa.array([], _stored_type(one)) for one in self.content.fields]
            kind = self._first_kind() if self.content.family else ""
            names = self.short
            if kind:
                empty, names = [*empty, pa.array([], pa.binary())], [*names, GEOMETRY]
            self._append(kind, pa.table(empty, names=names), _FAMILIES[kind][0] if kind else None)
        if len(self.written) == 1 and "" not in self.written:
            [kind] = self.written
            for path in self.folder.iterdir():
                path.rename(path.with_name(path.name.replace(f"_{kind}.", ".", 1)))
        (self.folder / "fields.csv").write_text(self._legend(), encoding="utf-8-sig")
        (self.folder / "notes.txt").write_text(self._notes(), encoding="utf-8-sig")

    def _first_kind(self) -> str:
        if self.written:
            return next(iter(self.written))
        return {"point": "points", "line": "lines", "polygon": "polygons"}.get(
            str(self.content.family), "polygons"
        )

    def _append(self, kind: str, table: pa.Table, geometry_type: str | None) -> None:
        name = self.content.order.register.id + (f"_{kind}" if kind else "")
        path = self.folder / f"{name}.{'shp' if geometry_type else 'dbf'}"
        wanted = self.content.order
        spatial: dict[str, Any] = {"geometry_type": geometry_type}
        if geometry_type:
            spatial |= {
                "geometry_name": GEOMETRY,
                "crs": None if wanted.has_no_crs else f"EPSG:{wanted.frame.epsg}",
            }
        first = kind not in self.written
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="'crs' was not provided")
            pyogrio.write_arrow(
                table,
                path,
                driver="ESRI Shapefile",
                layer=name,
                encoding=self.encoding,
                append=not first,
                **spatial,
            )
        if first:
            path.with_suffix(".cpg").write_text(self.encoding, encoding="ascii")
        self.written[kind] = self.written.get(kind, 0) + table.num_rows

    def _array(self, n: int, one: Field, values: list[Any]) -> pa.Array:
        if one.kind == "moment":
            zone = self.content.city["timezone"]
            return pa.array([None if v is None else local_time(v, zone) for v in values], pa.string())
        if one.kind == "text":
            return pa.array([self._text(n, row, v) for row, v in enumerate(values)], pa.string())
        if one.kind == "boolean":
            return pa.array([None if v is None else int(v) for v in values], _stored_type(one))
        return pa.array(values, _stored_type(one))

    def _text(self, n: int, row: int, value: str | None) -> str | None:
        if value is None:
            return None
        held = value.encode(self.codec, "replace")
        shown = held[:TEXT_BYTES].decode(self.codec, "ignore")
        if len(held) > TEXT_BYTES:
            self._note(
                n, row, f"从 {len(held)} 字节截到 {TEXT_BYTES} / cut from {len(held)} bytes to {TEXT_BYTES}"
            )
        elif shown != value:
            self._note(
                n,
                row,
                f"有 {self.encoding} 没有的字符，写成 ? / has characters that {self.encoding} has not, written as ?",
            )
        return shown

    def _note(self, n: int, row: int, what: str) -> None:
        self.cut_count += 1
        if len(self.cut) < NOTES_LISTED:
            number = self.rows_before + row + 1
            self.cut.append(
                f"第 {number} 行 / row {number}, {self.content.fields[n].name} ({self.short[n]}): {what}"
            )

    def _legend(self) -> str:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["short", "name", "type", "含义", "meaning"])
        for short, one in zip(self.short, self.content.fields, strict=True):
            kind = {"moment": "text (ISO 8601)", "boolean": "integer (1 = true)"}.get(one.kind, one.kind)
            writer.writerow([short, one.name, kind, *one.meaning])
        return out.getvalue()

    def _notes(self) -> str:
        lines = [f"{key}: {value}" for key, value in about(self.content).items()]
        lines += ["", "short names: fields.csv", f"encoding: {self.encoding} (.cpg)"]
        lines += [
            f"{self.content.order.register.id}{f'_{k}' if k and len(self.written) > 1 else ''}: {n} rows"
            for k, n in self.written.items()
        ]
        lines += ["", f"截短或改写的文本 / texts cut or changed: {self.cut_count}", *self.cut]
        if self.left_out:
            lines.append(
                f"混合图形，Shapefile 不能存，未写入 / rows of mixed shapes that a Shapefile cannot hold, left out: {self.left_out}"
            )
        if self.cut_count > len(self.cut):
            lines.append(
                f"… 只列出前 {NOTES_LISTED} 条 / only the first {NOTES_LISTED} are listed; .gpkg holds all texts whole"
            )
        return "\r\n".join(lines) + "\r\n"


def short_names(names: Iterable[str]) -> list[str]:
    """Field names of at most 10 ASCII characters, each once, whatever the case."""
    taken: set[str] = set()
    found = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        short, n = plain[:NAME_BYTES], 0
        while short.lower() in taken:
            n += 1
            short = f"{plain[: NAME_BYTES - 1 - len(str(n))]}_{n}"
        taken.add(short.lower())
        found.append(short)
    return found


def _stored_type(one: Field) -> pa.DataType:
    if one.kind == "moment":
        return pa.string()
    return pa.int32() if one.kind == "boolean" else field_type(one)


def _by_kind(shapes: NDArray[np.object_], first: str) -> Iterable[tuple[str, NDArray[np.bool_]]]:
    """Which rows go to which file; a shape of mixed parts goes nowhere that a Shapefile knows."""
    kinds = shapely.get_type_id(shapes)
    for kind, (_, ids) in _FAMILIES.items():
        mask = np.isin(kinds, list(ids))
        if kind == first:
            mask |= kinds == -1
        if mask.any():
            yield kind, mask
