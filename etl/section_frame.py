"""Which frame the coordinates of a manifest's file are in: declared, or said by the file; never guessed in silence."""

from collections.abc import Callable

from etl.frames import Frame, parse_frame
from etl.ground import Ground
from etl.manifest import Section
from etl.readers import Source, Table
from geoapp.errors import Refused

__all__ = ["ChooseFrame", "frame_of"]

ChooseFrame = Callable[[Section, Table, Ground], Frame]
"""Asked where a frame is neither declared nor said: tests the candidates and gives the one that was agreed on."""


def frame_of(
    section: Section, table: Source, first: Table, ground: Ground, choose: ChooseFrame | None
) -> tuple[Frame | None, str, list[str]]:
    """The frame of the section's coordinates: declared, else the file's own statement, else what `choose` agrees on.

    Raises Refused where none of them says it, or where file and manifest cannot both be right.
    """
    columns = section.named_columns()
    by_columns = "lon" in columns and "lat" in columns
    if not section.spatial or (section.place_is_optional and not by_columns and not table.has_geometry):
        return None, "", []
    if not by_columns and not table.has_geometry:
        raise Refused(
            f"{table.name}: 没有图形，清单也没有写坐标列 / has no geometry, and {section.name}.columns names no lon and lat.\n"
            f"  文件的列 / its columns: {', '.join(table.column_names)}"
        )
    own = _own_frame(table) if table.has_geometry else None
    if section.frame is not None:
        declared = parse_frame(section.frame)
        return declared, "declared", _compare_frames(section, table, declared, own)
    if own is not None and not (by_columns and section.name != "units"):
        return own, f"said by {table.crs_from}", []
    if choose is not None and table.crs is None:
        return choose(section, first, ground), "tested, and agreed", []
    raise Refused(
        f"{table.name}: 没有声明坐标框架 / {section.name}.frame is not declared and the file does not say it.\n"
        "  wgs84 (GPS), cgcs2000 (天地图, surveys), gcj02 (高德, 腾讯), bd09 (百度) or epsg:NNNN; they differ by up to 1 km, so "
        f"GeoApp does not guess. `geoapp load … --infer-frame` tests the candidates."
    )


def _own_frame(table: Source) -> Frame | None:
    if table.crs is None:
        return None
    code = 4326 if table.crs.name in ("WGS 84 (CRS84)", "WGS 84") else table.crs.to_epsg(min_confidence=50)
    if code is None:
        return Frame(table.crs.name, None, table.crs.to_wkt())
    return {4326: Frame("wgs84", 4326), 4490: Frame("cgcs2000", 4490)}.get(code, Frame(f"epsg:{code}", code))


def _compare_frames(section: Section, table: Source, declared: Frame, own: Frame | None) -> list[str]:
    if own is None or own == declared or "lon" in section.named_columns():
        return []
    if declared.is_geographic and own.is_geographic:
        return [
            f"文件自称 {own.name}，按清单读作 {declared.name} / the file says {own.name}, read as declared: {declared.name}"
        ]
    raise Refused(
        f"{table.name}: 文件说是 {own.name}，清单说是 {declared.name} / {table.crs_from} says {own.name}, the manifest says "
        f"{declared.name}: one is in degrees, or they are two zones. Correct `frame`, or leave it out to take the file's."
    )
