"""Files to tables: every row with its number, its text columns and its geometry, nothing dropped on the way."""

import csv
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from etl.encoding import UNFIT, decode, detect
from geoapp.errors import Refused

__all__ = ["SUFFIXES", "Table", "read_table"]

SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".csv", ".tsv", ".txt", ".xlsx")
_LATER = {
    ".xls": "save it as .xlsx",
    ".zip": "unpack it and name the .shp or .gpkg inside",
    ".kml": "save it as GeoJSON or GeoPackage",
    ".gml": "save it as GeoPackage",
    ".parquet": "save it as GeoPackage",
    ".dbf": "name the .shp that belongs to it",
}
# A record over more lines than this is a quotation mark that was never closed.
_LONGEST_RECORD_LINES = 50
_GBK_LANGUAGE_DRIVER = 0x4D


@dataclass(frozen=True)
class Table:
    """What a file holds, as text.

    `columns`: name to array of shape (n,), str or None for a blank. `row_no`: shape (n,), the row as a spreadsheet
    counts it (the header is row 1), for geographic files the feature's number from 1. `geometry`: shape (n,),
    shapely or None, in the file's own frame; None when the file has none at all. `crs`: only where the file itself
    says it. `damaged`: row index to (reason code, what was found).
    """

    path: Path
    columns: dict[str, NDArray[np.object_]]
    row_no: NDArray[np.int64]
    geometry: NDArray[np.object_] | None = None
    crs: pyproj.CRS | None = None
    crs_from: str = ""
    encoding: str | None = None
    evidence: str = ""
    notices: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    damaged: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row_no)

    def select(self, mask: NDArray[np.bool_]) -> "Table":
        """The rows of a boolean mask of shape (n,), with their numbers."""
        kept = np.flatnonzero(mask)
        place = {int(old): new for new, old in enumerate(kept)}
        return replace(
            self,
            columns={name: values[mask] for name, values in self.columns.items()},
            row_no=self.row_no[mask],
            geometry=None if self.geometry is None else self.geometry[mask],
            damaged={place[row]: what for row, what in self.damaged.items() if row in place},
        )


def read_table(path: Path, *, layer: str | None = None, encoding: str | None = None) -> Table:
    """Reads GeoJSON, GeoPackage, Shapefile, CSV/TSV or an Excel sheet.

    `layer` names the layer (or sheet), needed where there are several; `encoding` is declared, else detected.
    Raises Refused with the reason and what to do when the file cannot be read.
    """
    suffix = path.suffix.lower()
    if not path.exists():
        raise Refused(f"找不到文件 {path} / There is no file {path}{_similar(path)}")
    if path.is_dir():
        raise Refused(f"{path} 是文件夹 / is a folder; name the file in it.")
    if path.stat().st_size == 0:
        raise Refused(f"{path.name}: 空文件 / is an empty file (0 bytes); copy it again.")
    if suffix not in SUFFIXES:
        advice = _LATER.get(suffix, f"supported: {' '.join(SUFFIXES)}")
        raise Refused(
            f"{path.name}: 这一版还不读 {suffix or '这种文件'} / this version does not read it: {advice}."
        )
    try:
        if suffix == ".xlsx":
            return _read_sheet(path, layer)
        if suffix in (".csv", ".tsv", ".txt"):
            return _read_text(path, encoding)
        return _read_features(path, layer, encoding)
    except OSError as fault:
        raise Refused(
            f"{path.name}: 打不开 / cannot be opened: {fault.strerror or fault}; check permissions and disk."
        ) from None


def _similar(path: Path) -> str:
    import difflib

    if not path.parent.is_dir():
        return f"; the folder {path.parent} does not exist. Give the data folder with --data."
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ". Check `file`, or give the data folder with --data."


def _clean(value: str) -> str | None:
    # Full-width and no-break blanks count as blanks; a lone BOM sits in front of some headers.
    text = value.strip(" \t\r\n\u3000\u00a0\ufeff")
    return text or None


def _as_text(value: Any) -> str | None:
    """A cell's value as the text that a person sees: codes that a spreadsheet made floats are whole again."""
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return None
    if isinstance(value, float | np.floating):
        return (
            str(int(value)) if float(value).is_integer() and abs(float(value)) < 1e18 else repr(float(value))
        )
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[s]").item()
    if hasattr(value, "isoformat"):
        return str(value.isoformat()).removesuffix("T00:00:00")
    return None if value is None else _clean(str(value))


def _from_records(path: Path, header: Sequence[str], records: list[list[str | None]], **said: Any) -> Table:
    names = [(_clean(name or "") or f"column_{number}") for number, name in enumerate(header, start=1)]
    repeated = frozenset(name for name in names if names.count(name) > 1)
    width = len(names)
    block = np.empty((len(records), width), dtype=object)
    for number, record in enumerate(records):
        block[number, : min(width, len(record))] = record[:width]
    columns: dict[str, NDArray[np.object_]] = {}
    for place, name in enumerate(names):
        columns.setdefault(name, block[:, place])
    return Table(path=path, columns=columns, repeated=repeated, **said)


def _read_text(path: Path, encoding: str | None) -> Table:
    decoded = decode(path.read_bytes(), encoding, what=path.name)
    text = decoded.text.removeprefix("\ufeff")
    first = text.split("\n", 1)[0]
    delimiter = max("\t,;|", key=first.count) if path.suffix.lower() != ".tsv" else "\t"
    unfit = "\x00" in text or UNFIT.search(text) is not None
    csv.field_size_limit(64 << 20)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    records: list[list[str | None]] = []
    numbers: list[int] = []
    damaged: dict[int, tuple[str, str]] = {}
    header: list[str] | None = None
    last_line = 0
    row_no = 0
    try:
        for raw in reader:
            if reader.line_num - last_line > _LONGEST_RECORD_LINES:
                raise Refused(
                    f"{path.name}, 第 {last_line + 1} 行 / line {last_line + 1}: 引号没有闭合 / a quotation mark is "
                    "opened and never closed, so that rows run together; correct that line."
                )
            last_line = reader.line_num
            row_no += 1
            if header is None:
                header = raw
                continue
            if not any(raw):
                continue
            place = len(records)
            if len(raw) < len(header) or any(extra.strip() for extra in raw[len(header) :]):
                damaged[place] = ("row_shape", f"{len(raw)} of {len(header)}")
            if unfit and any("\x00" in value or UNFIT.search(value) for value in raw):
                damaged[place] = ("undecodable", decoded.encoding)
            records.append([_clean(value) for value in raw])
            numbers.append(row_no)
    except csv.Error as fault:
        raise Refused(
            f"{path.name}, line {reader.line_num}: 不是合法的 CSV / not valid CSV: {fault}."
        ) from None
    if header is None:
        raise Refused(f"{path.name}: 没有表头 / has no header line.")
    return _from_records(
        path,
        header,
        records,
        row_no=np.array(numbers, dtype=np.int64),
        encoding=decoded.encoding,
        evidence=decoded.evidence,
        damaged=damaged,
    )


def _read_sheet(path: Path, layer: str | None) -> Table:
    import zipfile

    try:
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError:
        raise Refused(
            f"{path.name}: 读 Excel 需要 openpyxl / reading Excel needs the package openpyxl; install it, or save the sheet as CSV."
        ) from None

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as fault:
        raise Refused(
            f"{path.name}: 不是完好的 .xlsx / is not a sound .xlsx file ({fault}); open it in a spreadsheet and save it again."
        ) from None
    try:
        if layer is None and len(book.sheetnames) > 1:
            raise Refused(
                f"{path.name}: 有多个工作表 / has several sheets ({', '.join(book.sheetnames)}); name one with `layer`."
            )
        if layer is not None and layer not in book.sheetnames:
            raise Refused(
                f"{path.name}: 没有工作表 {layer!r} / has no sheet {layer!r}, but {', '.join(book.sheetnames)}."
            )
        sheet = book[layer or book.sheetnames[0]]
        rows = sheet.iter_rows(values_only=True)
        header = [str(v) if v is not None else "" for v in next(rows, ())]
        while header and not header[-1]:
            header.pop()
        if not header:
            raise Refused(f"{path.name}: 没有表头 / has no header in its first row.")
        records: list[list[str | None]] = []
        numbers: list[int] = []
        for row_no, values in enumerate(rows, start=2):
            record = [_as_text(v) for v in values[: len(header)]]
            if any(v is not None for v in record):
                records.append(record)
                numbers.append(row_no)
    finally:
        book.close()
    return _from_records(path, header, records, row_no=np.array(numbers, dtype=np.int64))


def _read_features(path: Path, layer: str | None, encoding: str | None) -> Table:
    notices: list[str] = []
    evidence = ""
    if path.suffix.lower() == ".shp":
        encoding, evidence = _shapefile_parts(path, encoding, notices)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the same are told again, and kept, when the layer is read
            names = [str(name) for name, _ in pyogrio.list_layers(path)]
        if layer is None and len(names) > 1:
            raise Refused(
                f"{path.name}: 有多个图层 / has several layers ({', '.join(names)}); name one with `layer`."
            )
        if layer is not None and path.suffix.lower() == ".gpkg" and layer not in names:
            raise Refused(
                f"{path.name}: 没有图层 {layer!r} / has no layer {layer!r}, but {', '.join(names)}."
            )
        chosen = layer if path.suffix.lower() == ".gpkg" else None
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            meta, fids, wkb, fields = pyogrio.raw.read(
                path, layer=chosen, encoding=encoding, return_fids=True
            )
        notices += dict.fromkeys(str(warning.message).strip() for warning in told)
    except UnicodeDecodeError as fault:
        raise Refused(
            f"{path.name}: 文字不是 {encoding or 'UTF-8'} 编码 / its text is not {encoding or 'UTF-8'} ({fault.reason}); "
            "declare the right `encoding`, or leave it out to have it detected."
        ) from None
    except (DataSourceError, DataLayerError) as fault:
        said = " ".join(str(fault).split())[:300]
        raise Refused(
            f"{path.name}: 文件损坏或不是所称的格式 / is damaged or not what its name says: {said}. Export it again."
        ) from None
    count = len(fids)
    columns: dict[str, NDArray[np.object_]] = {}
    damaged: dict[int, tuple[str, str]] = {}
    for name, values in zip(meta["fields"], fields, strict=True):
        column = np.empty(count, dtype=object)
        column[:] = [_as_text(value) for value in values]
        columns[str(name).strip()] = column
        for row, value in enumerate(column):
            if value is not None and ("\ufffd" in value or "\x00" in value):
                damaged[row] = ("undecodable", encoding or "UTF-8")
    geometry = None
    if wkb is not None:
        geometry = shapely.from_wkb(wkb, on_invalid="ignore")
        for unread in np.flatnonzero(shapely.is_missing(geometry)):
            if wkb[unread] is not None:
                damaged[int(unread)] = ("geometry_unreadable", meta.get("geometry_type") or "")
    crs, crs_from = _own_crs(path, meta.get("crs"))
    return Table(
        path=path,
        columns=columns,
        row_no=np.arange(1, count + 1, dtype=np.int64),
        geometry=geometry,
        crs=crs,
        crs_from=crs_from,
        encoding=encoding,
        evidence=evidence,
        notices=tuple(notices),
        damaged=damaged,
    )


def _shapefile_parts(path: Path, encoding: str | None, notices: list[str]) -> tuple[str | None, str]:
    """Checks a shapefile's companions; gives the encoding of its table and the evidence for it."""

    def part(suffix: str) -> Path | None:
        return next(
            (p for p in (path.with_suffix(suffix), path.with_suffix(suffix.upper())) if p.exists()), None
        )

    shx = part(".shx")
    if shx is None:
        raise Refused(
            f"{path.name}: 缺少 {path.stem}.shx / {path.stem}.shx is missing; ask for it, or open and save the "
            "shapefile in QGIS, which makes it anew."
        )
    if part(".prj") is None:
        notices.append(f"缺少 {path.stem}.prj / has no .prj: the file does not say its coordinate frame")
    table = part(".dbf")
    if table is None:
        notices.append(f"缺少 {path.stem}.dbf / has no .dbf: shapes without names or codes")
        return None, ""
    shapes = (shx.stat().st_size - 100) // 8
    with table.open("rb") as stream:
        records = int.from_bytes(stream.read(8)[4:8], "little")
    if shapes != records:
        raise Refused(
            f"{path.name}: 有 {shapes} 个图形，但属性表有 {records} 行 / holds {shapes} shapes, but {table.name} {records} rows: they "
            "cannot be matched, so rows would be lost. Ask for the shapefile again (all its files from one export)."
        )
    if encoding is not None:
        return encoding, f"declared {encoding}"
    note = part(".cpg")
    if note is not None:
        return None, f"{note.name} says {note.read_text('ascii', errors='replace').strip()}"
    content = table.read_bytes()
    if len(content) > 32 and content[29] == _GBK_LANGUAGE_DRIVER:
        return "gb18030", "its .dbf's language driver says GBK"
    found, evidence = detect(_dbf_text(content), what=table.name)
    return found, evidence


def _dbf_text(content: bytes) -> bytes:
    """The records of a .dbf without its binary header."""
    return (
        content[int.from_bytes(content[8:10], "little") :].rstrip(b"\x1a") if len(content) > 32 else content
    )


def _own_crs(path: Path, said: str | None) -> tuple[pyproj.CRS | None, str]:
    """The coordinate system that the file itself states. GeoJSON's default is no statement: in China it is often GCJ-02."""
    if said is None:
        return None, ""
    if path.suffix.lower() in (".geojson", ".json"):
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(1 << 16)
            stream.seek(max(0, size - (1 << 12)))
            tail = stream.read()
        if not re.search(rb'"crs"\s*:\s*\{', head + tail):
            return None, ""
    try:
        crs = pyproj.CRS.from_user_input(said)
    except pyproj.exceptions.CRSError:
        return None, ""
    if crs.name.lower().startswith(("undefined", "unknown", "unnamed")):
        return None, ""
    return crs, path.with_suffix(".prj").name if path.suffix.lower() == ".shp" else path.name
