"""What was ordered: which register, in which format, frame and encoding; what does not go together is refused here."""

from dataclasses import dataclass

from geoapp.errors import Refused
from geoapp.territory.frames import FRAMES, Frame, parse_frame
from layers.export.registers import Register
from layers.rows_query import NOW, Span

# Endings, and the frame of each where none is asked for: maps in the city's metres, tables and web maps in degrees.
FORMATS = {
    ".gpkg": "metric",
    ".parquet": "metric",
    ".shp.zip": "metric",
    ".fgb": "metric",
    ".geojson": "wgs84",
    ".json": "wgs84",
    ".xlsx": "wgs84",
    ".csv": "wgs84",
}
NEEDS_GEOMETRY = (".fgb",)
ENCODINGS = ("utf-8", "gbk")
FRAME_CHOICES = ("metric", *FRAMES)


@dataclass(frozen=True, slots=True)
class Order:
    """One file. frame: of its coordinates; srid: EPSG code of the city's zone; encoding: of texts in .shp.zip and .csv; span: the
    moment or window whose rows a map layer's file holds."""

    register: Register
    ending: str
    frame: Frame
    srid: int
    encoding: str = "utf-8"
    span: Span = NOW

    @property
    def has_no_crs(self) -> bool:
        """GCJ-02 and BD-09: no CRS may be written, or everybody would put the points hundreds of metres off."""
        return self.frame.epsg is None

    @property
    def frame_tag(self) -> str:
        """The frame in a file's name; empty where it is the format's own."""
        own = FORMATS[self.ending]
        is_own = self.frame.epsg == (self.srid if own == "metric" else 4326)
        return "" if is_own else "-" + self.frame.name.replace(":", "")


def ending_of(file_name: str) -> str:
    """The ending of a file's name that decides the format; raises Refused for an unknown one."""
    lower = file_name.lower()
    for ending in FORMATS:
        if lower.endswith(ending) and len(lower) > len(ending):
            return ending
    shown = file_name[file_name.find(".") :] if "." in file_name else file_name
    raise Refused(f"不认识的格式 {shown!r} / unknown ending {shown!r}: use {', '.join(FORMATS)}.")


def order_of(
    register: Register, ending: str, srid: int, frame: str = "", encoding: str = "", span: Span = NOW
) -> Order:
    """The order, checked. frame: as people write it, "" = the format's own, "metric" = EPSG:`srid`. span: as layers.asked.span_of has
    checked it.

    Raises Refused for an unknown frame or encoding, for GeoJSON in metres, and for a format that needs geometry where the
    register has none.
    """
    asked = frame.strip() or FORMATS[ending]
    found = parse_frame(f"epsg:{srid}" if asked.lower() == "metric" else asked)
    code = (encoding.strip() or "utf-8").lower().replace("utf8", "utf-8")
    code = "gbk" if code in ("gb18030", "gb2312", "cp936") else code
    if code not in ENCODINGS:
        raise Refused(
            f"不认识的编码 {encoding!r} / unknown encoding {encoding!r}: use {' or '.join(ENCODINGS)}."
        )
    if code == "gbk" and ending not in (".shp.zip", ".csv"):
        raise Refused(f"{ending} 只用 UTF-8 / {ending} is always UTF-8: gbk is for .shp.zip and .csv.")
    if ending in (".geojson", ".json") and not (found.epsg in (4326, 4490) or found.epsg is None):
        raise Refused(
            f"GeoJSON 只能是经纬度（RFC 7946），不能用 {found.name} / GeoJSON is in degrees (RFC 7946), and readers would take metres of"
            f" {found.name} for degrees: use wgs84, cgcs2000, gcj02 or bd09, or another format."
        )
    if ending in NEEDS_GEOMETRY and register.geometry is None:
        raise Refused(
            f"{register.id} 没有图形，不能写成 {ending} / {register.id} has no geometry for {ending}: use .xlsx, .csv, .gpkg or .parquet."
        )
    return Order(register, ending, found, srid, code, span)
