"""JSON and XML in another encoding than UTF-8: a temporary copy in UTF-8, since GDAL takes them for that."""

import codecs
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from etl.encoding import detect, python_name
from geoapp.errors import Refused

__all__ = ["Utf8", "in_utf8"]

_SAMPLE = 64 << 20
_BLOCK = 1 << 20
_XML_ENCODING = re.compile(rb"""^(\s*<\?xml[^>]*?encoding\s*=\s*)["']([A-Za-z0-9._-]+)["']""")
# What an XML parser reads by itself.
_KNOWN_TO_XML = ("utf-8", "ascii", "utf-16", "iso8859-1")


class Utf8(NamedTuple):
    """`path`: the file, or its copy in UTF-8. `encoding`: what the file itself is in, and the evidence for it."""

    path: Path
    encoding: str
    evidence: str


def in_utf8(path: Path, declared: str | None, closing: ExitStack, *, name: str, is_xml: bool) -> Utf8:
    """The file as UTF-8. Raises Refused where its encoding cannot be told."""
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE)
    said = _XML_ENCODING.match(sample) if is_xml else None
    if declared is not None:
        encoding, evidence = python_name(declared), f"declared {declared}"
    elif said:
        try:
            encoding = python_name(said[2].decode())
        except Refused:
            encoding = "utf-8"
        evidence = f"its first line says {said[2].decode()}"
    else:
        encoding, evidence = detect(sample, what=name)
    if is_xml and declared is None and encoding in _KNOWN_TO_XML:
        return Utf8(path, encoding, evidence)
    if encoding.startswith("utf-8") or sample.isascii():
        return Utf8(path, encoding, evidence)
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="geoapp-utf8-")))
    copy = folder / path.name
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    with path.open("rb") as stream, copy.open("w", encoding="utf-8", newline="") as out:
        block = _XML_ENCODING.sub(rb'\1"UTF-8"', stream.read(_BLOCK)) if is_xml else stream.read(_BLOCK)
        while block:
            out.write(decoder.decode(block))
            block = stream.read(_BLOCK)
        out.write(decoder.decode(b"", final=True))
    if copy.stat().st_size == 0:
        raise Refused(f"{name}: 空文件 / holds nothing; copy it again.")
    return Utf8(copy, encoding, evidence)
