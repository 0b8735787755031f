"""Text encodings of Chinese files: declared, or detected with the evidence said."""

import codecs
import re
from typing import NamedTuple

from geoapp.errors import Refused

__all__ = [
    "UNFIT",
    "Decoded",
    "decode",
    "detect",
    "encoding_of_language_driver",
    "encoding_of_note",
    "python_name",
]

# GB2312 level 1: the 3,755 commonest characters, first byte 0xB0 to 0xD7. In running text nearly all are of it;
# bytes that only happen to decode as GB18030 are not.
_LEVEL_1 = range(0xB0, 0xD8)
_LEAST_SHARE_OF_COMMON = 0.7
# A byte that does not fit the encoding, as Python keeps it.
UNFIT = re.compile("[\udc80-\udcff]")
_GB_FAMILY = ("gbk", "gb2312", "gb18030", "cp936", "936", "hz")


class Decoded(NamedTuple):
    """Text with its encoding and why it was read so; bytes that do not fit are lone surrogates U+DC80..U+DCFF."""

    text: str
    encoding: str
    evidence: str


def decode(content: bytes, declared: str | None, *, what: str) -> Decoded:
    """Decodes a file's bytes by its declared encoding, else by the detected one.

    Single damaged places are kept as lone surrogates (for the row to be set aside). Raises Refused when the
    encoding cannot be told, or when what was declared does not fit a great part of the file.
    """
    if declared is None:
        encoding, evidence = detect(content, what=what)
    else:
        encoding, evidence = python_name(declared), f"declared {declared}"
        if content.startswith(codecs.BOM_UTF8) and encoding == "utf-8":
            encoding = "utf-8-sig"
    text = content.decode(
        encoding, errors="surrogateescape" if not encoding.startswith("utf-16") else "replace"
    )
    damaged = len(UNFIT.findall(text))
    if declared is not None and damaged > 10 and damaged > 0.02 * len(text):
        other, why = detect(content, what=what)
        raise Refused(
            f"{what}: 不是 {declared} 编码 / is not {declared}: {damaged} bytes do not fit; "
            f"it looks like {other} ({why}). Correct `encoding` in the manifest."
        )
    if damaged:
        evidence += f"; {damaged} bytes do not fit"
    return Decoded(text, encoding, evidence)


def python_name(declared: str) -> str:
    """GBK and GB2312 are read as GB18030, which holds them and the rarer characters of names."""
    plain = declared.lower().replace("-", "").replace("_", "")
    return "gb18030" if plain in _GB_FAMILY else codecs.lookup(declared).name


_LANGUAGE_DRIVERS = {
    0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x13: "cp932", 0x4D: "gb18030", 0x4E: "cp949", 0x4F: "cp950",
    0x57: "cp1252", 0x58: "cp1252", 0x59: "cp1252", 0x64: "cp852", 0x65: "cp866", 0x78: "cp950", 0x79: "cp949", 0x7A: "gb18030", 0x7B: "cp932",
    0x7C: "cp874", 0x7D: "cp1255", 0x7E: "cp1256", 0xC8: "cp1250", 0xC9: "cp1251", 0xCA: "cp1254", 0xCB: "cp1253", 0xCC: "cp1257",
}  # fmt: skip
"""Language driver (byte 29 of a .dbf) to the encoding that it stands for."""


def encoding_of_language_driver(number: int) -> str | None:
    """The encoding that a .dbf's language driver stands for; None where it says nothing (0) or is not known.

    0x57 (ANSI) is the system's own code page of whoever wrote the file, so it says nothing either.
    """
    return None if number in (0, 0x57) else _LANGUAGE_DRIVERS.get(number)


def encoding_of_note(said: str) -> str | None:
    """The encoding that a .cpg names: `UTF-8`, `GBK`, `936`, `ANSI 936`, `ISO 88591`…; None where it is not known."""
    plain = re.sub(r"[^a-z0-9]", "", said.lower())
    number = re.fullmatch(r"(?:ansi|cp|windows|win|ms|ibm|oem|ldid|x)?(\d{3,5})", plain)
    if number:
        by_number = {
            "65001": "utf-8",
            "936": "gb18030",
            "950": "cp950",
            "932": "cp932",
            "949": "cp949",
            "54936": "gb18030",
        }
        plain = by_number.get(number[1], f"cp{number[1]}")
    iso = re.fullmatch(r"(?:iso)?8859(\d{1,2})", plain)
    if iso:
        plain = f"iso8859-{iso[1]}"
    try:
        return python_name(plain)
    except LookupError:
        return None


def detect(content: bytes, *, what: str) -> tuple[str, str]:
    """Encoding of a text and the evidence for it, in words.

    UTF-8 by its byte order mark or by being valid throughout, else GB18030 when the characters it gives are common
    ones. Raises Refused when it is neither: then the manifest must declare it.
    """
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8-sig", "UTF-8 byte order mark"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "UTF-16 byte order mark"
    if content.isascii():
        return "utf-8", "plain ASCII"
    try:
        content.decode("utf-8")
        return "utf-8", "valid UTF-8 throughout"
    except UnicodeDecodeError as fault:
        # A file cut off inside a character is still UTF-8.
        if fault.start >= len(content) - 3 and not content[: fault.start].isascii():
            return "utf-8", "valid UTF-8 up to its cut-off last character"
        first_bad = fault.start
    pairs, common = _two_byte_characters(content)
    share = common / pairs if pairs else 0.0
    if pairs and share >= _LEAST_SHARE_OF_COMMON:
        return (
            "gb18030",
            f"not UTF-8 (byte {first_bad}); as GB18030 {pairs} characters, {share:.0%} of them common ones",
        )
    raise Refused(
        f"{what}: 判断不出编码 / the encoding cannot be told: not UTF-8 (byte {first_bad}), and as GB18030 only "
        f"{share:.0%} of its {pairs} characters are common ones. Declare `encoding` in the manifest."
    )


def _two_byte_characters(content: bytes) -> tuple[int, int]:
    """How many two-byte GB18030 characters the bytes hold, and how many of them are of GB2312 level 1."""
    pairs = common = 0
    place, end = 0, min(len(content), 1 << 20)
    while place < end - 1:
        lead = content[place]
        if lead < 0x81:
            place += 1
            continue
        pairs += 1
        # Full-width punctuation (rows 0xA1 to 0xA3) is as common as the characters are.
        common += (lead in _LEVEL_1 or 0xA1 <= lead <= 0xA3) and content[place + 1] >= 0xA1
        place += 2
    return pairs, common
