"""What tells that a file of text is whole, where GDAL would read the beginning and say nothing of the end."""

from collections.abc import Callable
from pathlib import Path
from xml.parsers import expat

from geoapp.errors import Refused

__all__ = ["promised_rows", "refuse_unsound_xml"]

_BLOCK = 1 << 20
_SEQUENCES = (".geojsonl", ".geojsons", ".ndjson")


def promised_rows(path: Path) -> int | None:
    """How many rows a file of one row a line holds, for what is read to be compared with; None for other files."""
    suffix = path.suffix.lower()
    if suffix in _SEQUENCES:
        return _records(path)
    if suffix == ".mif":
        table = next((p for p in (path.with_suffix(".mid"), path.with_suffix(".MID")) if p.exists()), None)
        return _records(table) if table is not None else None
    return None


def _records(path: Path) -> int:
    """Lines that are not blank; where records begin with a separator (RFC 8142), those."""
    count = 0
    with path.open("rb") as stream:
        if stream.read(1) == b"\x1e":
            stream.seek(0)
            while block := stream.read(_BLOCK):
                count += block.count(b"\x1e")
            return count
        stream.seek(0)
        return sum(1 for line in stream if line.strip())


def refuse_unsound_xml(path: Path, name: str) -> None:
    """Raises Refused for XML that is cut off, not well-formed, or defines entities of its own (to fill memory)."""
    parser = expat.ParserCreate()
    parser.EntityDeclHandler = _refuse_entity(name)
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                parser.Parse(block, False)
            parser.Parse(b"", True)
    except (
        ValueError,
        LookupError,
    ) as fault:  # an encoding that is unknown, or of more than one byte a character, declared in an unusual way
        raise Refused(f"{name}: 编码不认识 / its encoding is not read ({fault}); save it in UTF-8.") from None
    except expat.ExpatError as fault:
        raise Refused(
            f"{name}, 第 {fault.lineno} 行 / line {fault.lineno}: 文件损坏或被截断 / is damaged or cut off "
            f"({expat.ErrorString(fault.code)}). Copy or export it again."
        ) from None


def _refuse_entity(name: str) -> Callable[..., None]:
    def refuse(*declared: object) -> None:
        raise Refused(
            f"{name}: XML 自定义了实体，不读 / defines XML entities of its own and is not read: save it again as GeoJSON or GeoPackage."
        )

    return refuse
