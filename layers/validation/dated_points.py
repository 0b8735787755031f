"""Dated points from a file: Parquet, GeoParquet, CSV, or anything that GDAL reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pyogrio
import shapely
from numpy.typing import NDArray

from geoapp.errors import Refused
from geoapp.territory.frames import Frame, parse_frame, points_to_metric

__all__ = ["DatedPoints", "day_number", "read_dated_points", "read_outline"]

Floats = NDArray[np.float64]

_DATE_NAMES = (
    "date", "datetime", "time", "timestamp", "happened_at", "occurred_at", "occurred_on", "event_date", "incident_date",
    "发生时间", "发生日期", "日期", "时间", "报警时间", "接警时间",
)  # fmt: skip
_X_NAMES = ("lon", "lng", "long", "longitude", "经度", "x", "easting", "x coordinate")
_Y_NAMES = ("lat", "latitude", "纬度", "y", "northing", "y coordinate")
# Day and month are never guessed: with 03/04/2017 the file's order must be named, but for AM and PM, which are American.
_DATE_FORMATS = (
    "ISO8601", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y%m%d", "%Y年%m月%d日",
    "%Y年%m月%d日 %H:%M:%S", "%Y年%m月%d日 %H:%M", "%Y年%m月%d日 %H时%M分", "%Y.%m.%d", "%m/%d/%Y %I:%M:%S %p",
)  # fmt: skip
_DAY = np.timedelta64(1, "D")
EPOCH = np.datetime64("1970-01-01", "us")


@dataclass(frozen=True, slots=True)
class DatedPoints:
    """Events in order of time: metres of EPSG:`srid` (x = easting) and days since 1970 on the file's clock.

    The clock is UTC where the file's times carry a zone, else the local one they were written in. `left_out`: rows
    that are not events of the study, by reason. `columns`: what was read as date, x and y.
    """

    x: Floats
    y: Floats
    day: Floats
    srid: int
    frame: str
    columns: dict[str, str]
    rows: int
    left_out: dict[str, int]


def read_dated_points(
    path: Path,
    *,
    date: str = "",
    x: str = "",
    y: str = "",
    frame: str = "",
    layer: str = "",
    date_format: str = "",
    since: str = "",
    until: str = "",
    srid: int | None = None,
) -> DatedPoints:
    """Reads the events of a file; names that are not given are found among the usual ones.

    `frame`: of the coordinates, where the file does not say (degrees are taken as wgs84 then). `since`, `until`: days,
    the last one included. `srid`: the metric frame, else the UTM zone of the events' middle. Raises Refused, with what
    to name, where the file cannot be read as dated points.
    """
    if not path.is_file():
        raise Refused(f"没有文件 {path} / there is no file {path}.")
    table, raw_x, raw_y, names, own_frame = _table(path, x, y, layer)
    date_column = date or _found(table, _DATE_NAMES)
    if date_column is None or date_column not in table.columns:
        raise Refused(
            f"{path.name}：找不到日期列 / no column of dates{f' {date!r}' if date else ''}. Name it with --date; "
            f"columns: {', '.join(map(str, table.columns))}."
        )
    names["date"] = date_column
    day = _days(table[date_column], date_column, date_format)

    declared = parse_frame(frame) if frame else own_frame
    has_place = np.isfinite(raw_x) & np.isfinite(raw_y) & ~((raw_x == 0) & (raw_y == 0))
    if declared is None or declared.is_geographic:
        in_range = (np.abs(raw_x) <= 180) & (np.abs(raw_y) <= 90)
        if declared is None and has_place.any() and (in_range & has_place).sum() < 0.5 * has_place.sum():
            raise Refused(
                f"{path.name}：坐标不是经纬度，请用 --frame 指明 / the coordinates are no degrees (first: "
                f"{raw_x[has_place][0]:g}, {raw_y[has_place][0]:g}): name their frame with --frame epsg:NNNN."
            )
        has_place &= in_range
    declared = declared or parse_frame("wgs84")
    has_day = np.isfinite(day)
    low, last = day_number(since, "--since"), day_number(until, "--until")
    in_time = (day >= (-np.inf if low is None else low)) & (day < (np.inf if last is None else last + 1))
    kept = has_place & has_day & in_time
    left_out = {
        "no_position": int((~has_place).sum()),
        "no_date": int((has_place & ~has_day).sum()),
        "outside_since_until": int((has_place & has_day & ~in_time).sum()),
    }
    if not kept.any():
        raise Refused(f"{path.name}：没有可用的事件 / no usable event; left out: {left_out}.")
    metric = srid or _utm_zone(raw_x[kept], raw_y[kept], declared)
    east, north = points_to_metric(raw_x[kept], raw_y[kept], declared, metric)
    held = np.isfinite(east) & np.isfinite(north)
    left_out["no_position"] += int((~held).sum())
    order = np.argsort(day[kept][held], kind="stable")
    return DatedPoints(
        x=east[held][order],
        y=north[held][order],
        day=day[kept][held][order],
        srid=metric,
        frame=declared.name,
        columns=names,
        rows=len(table),
        left_out=left_out,
    )


def read_outline(path: Path, srid: int) -> shapely.Geometry:
    """The union of a file's polygons, metres of EPSG:`srid`; raises Refused where it holds none or does not say its frame."""
    try:
        meta, _, wkb, _ = pyogrio.raw.read(path, columns=[])
    except Exception as fault:
        raise Refused(
            f"{path}：读不了 / cannot be read: {(str(fault) or type(fault).__name__).splitlines()[0]}"
        ) from None
    shapes = shapely.from_wkb(wkb) if wkb is not None else np.array([])
    shapes = shapes[shapely.area(shapes) > 0] if len(shapes) else shapes
    if not len(shapes):
        raise Refused(f"{path}：没有多边形 / holds no polygon.")
    if not meta["crs"]:
        raise Refused(f"{path}：没有声明坐标系 / does not say its frame of coordinates.")
    frame = _frame_of(meta["crs"])
    flat = shapely.transform(
        shapely.force_2d(shapes),
        lambda at: np.column_stack(points_to_metric(at[:, 0], at[:, 1], frame, srid)),
    )
    return shapely.union_all(shapely.make_valid(flat))


def _table(
    path: Path, x: str, y: str, layer: str
) -> tuple[pd.DataFrame, Floats, Floats, dict[str, str], Frame | None]:
    """Columns, coordinates, their names, and the frame where the file says it."""
    ending = path.suffix.lower()
    try:
        if ending in (".parquet", ".geoparquet", ".pq"):
            arrow = pq.read_table(path)
        elif ending in (".csv", ".txt", ".tsv"):
            arrow = _csv(path, "\t" if ending == ".tsv" else ",")
        else:
            return _gdal(path, layer)
    except Refused:
        raise
    except Exception as fault:
        raise Refused(
            f"{path}：读不了 / cannot be read: {(str(fault) or type(fault).__name__).splitlines()[0]}"
        ) from None
    table = arrow.to_pandas()
    geo = (arrow.schema.metadata or {}).get(b"geo")
    if geo is not None and not (x or y):
        return _geoparquet(table, geo)
    x_name, y_name = x or _found(table, _X_NAMES), y or _found(table, _Y_NAMES)
    if x_name is None or y_name is None or x_name not in table.columns or y_name not in table.columns:
        raise Refused(
            f"{path.name}：找不到坐标列 / no columns of coordinates. Name them with --x and --y; "
            f"columns: {', '.join(map(str, table.columns))}."
        )
    found = (
        pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        for name in (x_name, y_name)
    )
    raw_x, raw_y = found
    return table, raw_x, raw_y, {"x": x_name, "y": y_name}, None


def _csv(path: Path, delimiter: str) -> pa.Table:
    """A text table in UTF-8, else in GB 18030; every column as text, so that 03 stays 03."""
    head = path.open("rb").readline()
    if delimiter == "," and head.count(b";") > head.count(b","):
        delimiter = ";"
    fault: Exception | None = None
    for encoding in ("utf-8", "gb18030"):
        try:
            reading = pa.csv.ReadOptions(encoding=encoding)
            parsing = pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
            first = pa.csv.open_csv(path, read_options=reading, parse_options=parsing).schema.names
            as_text = pa.csv.ConvertOptions(
                column_types=dict.fromkeys(first, pa.string()),
                strings_can_be_null=True,
                null_values=["", "NA", "NULL", "null"],
            )
            return pa.csv.read_csv(path, read_options=reading, parse_options=parsing, convert_options=as_text)
        except (pa.ArrowInvalid, UnicodeDecodeError) as wrong:
            fault = fault or wrong
    raise Refused(f"{path}：读不了 / cannot be read: {(str(fault) or type(fault).__name__).splitlines()[0]}")


def _geoparquet(
    table: pd.DataFrame, geo: bytes
) -> tuple[pd.DataFrame, Floats, Floats, dict[str, str], Frame | None]:
    import json

    about = json.loads(geo)
    name = about["primary_column"]
    crs = about["columns"][name].get("crs", "OGC:CRS84")
    if crs is None:
        raise Refused(
            "GeoParquet 没有声明坐标系 / the GeoParquet does not say its frame (crs null): use --x, --y and --frame."
        )
    raw_x, raw_y = _middles(shapely.from_wkb(table[name].to_numpy()))
    frame = _frame_of(crs if isinstance(crs, str) else json.dumps(crs))
    return table.drop(columns=name), raw_x, raw_y, {"x": name, "y": name}, frame


def _gdal(path: Path, layer: str) -> tuple[pd.DataFrame, Floats, Floats, dict[str, str], Frame | None]:
    meta, arrow = pyogrio.read_arrow(path, layer=layer or None)
    name = meta["geometry_name"] or "wkb_geometry"
    if name not in arrow.column_names:
        raise Refused(f"{path.name}：没有几何列 / holds no geometry.")
    raw_x, raw_y = _middles(shapely.from_wkb(arrow[name].to_numpy(zero_copy_only=False)))
    return (
        arrow.drop_columns([name]).to_pandas(),
        raw_x,
        raw_y,
        {"x": name, "y": name},
        _frame_of(meta["crs"]) if meta["crs"] else None,
    )


def _middles(shapes: NDArray[np.object_]) -> tuple[Floats, Floats]:
    points = shapely.centroid(shapes)
    return shapely.get_x(points), shapely.get_y(points)


def _frame_of(crs: str) -> Frame:
    """The frame that a file declares, by its EPSG code where it has one."""
    import pyproj

    system = pyproj.CRS.from_user_input(crs)
    code = system.to_epsg()
    if code is None and system.is_geographic and "CRS84" in crs:
        code = 4326
    return Frame(f"epsg:{code}", code) if code else Frame(system.name, None, system.to_wkt())


def _found(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    by_name = {str(column).strip().lower(): str(column) for column in table.columns}
    return next((by_name[name] for name in names if name in by_name), None)


def _days(values: "pd.Series[Any]", name: str, date_format: str) -> Floats:
    """Days since 1970, NaN where a value is no date. Raises Refused where most are none."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return _since_epoch(values)
    present = values.notna()
    text = values.astype("string").str.strip()
    text = text.where(present & (text != ""))
    if not date_format:
        # 20170503 is a day; any other bare number (seconds, a serial day, an identifier) is not taken for one.
        text = text.where(
            ~text.str.fullmatch(r"[0-9.]+").fillna(False)
            | text.str.fullmatch(r"[0-9]{8}|[0-9]{4}\.[0-9]{1,2}\.[0-9]{1,2}"),
            "?",
        )
    if not text.notna().any():
        raise Refused(f"{name}：全部为空 / holds no value.")
    best = np.full(len(values), np.nan)
    for form in (date_format,) if date_format else _DATE_FORMATS:
        # utc: times of several zones come together; those without one stay as they are written.
        days = _since_epoch(pd.to_datetime(text, format=form, errors="coerce", utc=True))
        if np.isfinite(days).sum() > np.isfinite(best).sum():
            best = days
        if np.isfinite(best).sum() == text.notna().sum():
            break
    if np.isfinite(best).sum() < 0.5 * text.notna().sum():
        example = text.dropna().iloc[0]
        raise Refused(
            f"{name}：日期写法不认识，例如 {example} / dates like {example!r} are not understood, or day and month could be "
            "exchanged: name the form, as --date-format '%d/%m/%Y %H:%M'."
        )
    return best


def _since_epoch(values: "pd.Series[Any]") -> Floats:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    times = values.to_numpy(dtype="datetime64[us]")
    days = (times - EPOCH) / _DAY
    return np.where(np.isnat(times), np.nan, days).astype(np.float64)


def day_number(text: str, option: str) -> float | None:
    """Days since 1970 of a day as 2017-05-01, None for none; raises Refused, which names the option, for anything else."""
    if not text:
        return None
    try:
        return float((np.datetime64(text, "D") - EPOCH.astype("datetime64[D]")).astype(float))
    except ValueError:
        raise Refused(f"{option}：{text} 不是日期 / {text!r} is no date, as 2017-05-01.") from None


def _utm_zone(x: Floats, y: Floats, frame: Frame) -> int:
    """EPSG code of the WGS84 UTM zone of the middle of points of a frame."""
    lon, lat = points_to_metric(x, y, frame, 4326)
    held = np.isfinite(lon) & np.isfinite(lat)
    if not held.any():
        raise Refused(f"没有一个点落在 {frame.name} 内 / no point can be read in {frame.name}.")
    middle_lon, middle_lat = float(np.median(lon[held])), float(np.median(lat[held]))
    return (32600 if middle_lat >= 0 else 32700) + min(60, int((middle_lon + 180) // 6) + 1)
