"""Text encodings of Chinese files: declared, or detected with the evidence said."""

import codecs
import re
from collections import Counter
from collections.abc import Callable
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
_SAMPLE = 1 << 20
_LEAST_CHARACTERS = 12
_MOST_BAD = 0.02
_WIDER = {"big5": "cp950", "shift_jis": "cp932", "euc_kr": "cp949"}
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
    """Python's name of a declared encoding, the one that holds most where a family shares a name.

    GBK and GB2312 are read as GB18030, which holds them and the rarer characters of names. Raises Refused for a name
    that is not known.
    """
    plain = re.sub(r"[^a-z0-9]", "", declared.lower())
    if plain in _GB_FAMILY:
        return "gb18030"
    try:
        found = codecs.lookup(declared)
    except (LookupError, ValueError):
        found = None
    # rot13, hex and the like change texts or bytes, but are no encodings of text.
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise Refused(
            f"encoding: 不认识 {declared[:40]!r} / {declared[:40]!r} is not known; write gbk, utf-8, big5, shift_jis, euc-kr, "
            "windows-1251, iso-8859-1 or the like."
        )
    return _WIDER.get(found.name, found.name)


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


_CODE_PAGES = {
    "65001": "utf-8",
    "936": "gbk",
    "54936": "gb18030",
    "950": "cp950",
    "932": "cp932",
    "949": "cp949",
}

_WORDS = {"koi8r": "koi8-r", "koi8u": "koi8-u"}


def encoding_of_note(said: str) -> str | None:
    """The encoding that a .cpg names: `UTF-8`, `GBK`, `936`, `ANSI 936`, `ISO 88591`…; None where it is not known."""
    plain = re.sub(r"[^a-z0-9]", "", said.lower())
    driver = re.fullmatch(r"ldid(\d{1,3})", plain)
    if driver:
        return encoding_of_language_driver(int(driver[1]))
    iso = re.fullmatch(r"(?:iso)?8859(\d{1,2})", plain)
    number = re.fullmatch(r"(?:ansi|cp|windows|win|ms|ibm|oem|x)?(\d{3,5})", plain)
    if iso:
        plain = f"iso8859-{iso[1]}"
    elif number:
        plain = _CODE_PAGES.get(number[1], f"cp{number[1]}")
    for name in (_WORDS.get(plain, plain), said.strip()):
        try:
            return python_name(name)
        except Refused:
            continue
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
    scores = {encoding: _score(content, encoding) for encoding in _MARKS}
    found = _chosen(scores)
    if found is not None:
        score = scores[found]
        return (
            found,
            f"not UTF-8 (byte {first_bad}); as {_SHOWN[found]} {score.characters} characters, {score.common:.0%} of them common ones",
        )
    gb = scores["gb18030"]
    raise Refused(
        f"{what}: 判断不出编码 / the encoding cannot be told: not UTF-8 (byte {first_bad}), and as GB18030 only "
        f"{gb.common:.0%} of its {gb.characters} characters are common ones. Declare `encoding` in the manifest "
        "(gbk, big5, shift_jis, euc-kr, windows-1251, iso-8859-1 …)."
    )


class _Score(NamedTuple):
    """How well bytes read in an encoding: its characters beyond ASCII (in all, and different ones), the share of common
    ones and of bad ones."""

    characters: int
    different: int
    common: float
    bad: float
    marks: float


_SHOWN = {
    "gb18030": "GB18030",
    "cp950": "Big5",
    "cp932": "Shift-JIS",
    "euc_jp": "EUC-JP",
    "cp949": "EUC-KR",
    "cp1251": "windows-1251",
    "koi8_r": "KOI8-R",
}
_FREQUENT_RUSSIAN = frozenset("оеаинтсрвлкмдпуя")


def _is_kana(character: str) -> bool:
    return "\u3041" <= character <= "\u30fe"


def _is_hangul(character: str) -> bool:
    return "\uac00" <= character <= "\ud7a3"


# What tells the encoding's language from others that use the same bytes.
_MARKS: dict[str, Callable[[str], bool]] = {
    "gb18030": lambda c: False,
    "cp950": lambda c: False,
    "cp932": _is_kana,
    "euc_jp": _is_kana,
    "cp949": _is_hangul,
    "cp1251": lambda c: c in _FREQUENT_RUSSIAN,
    "koi8_r": lambda c: c in _FREQUENT_RUSSIAN,
}
# First bytes of the common characters and of full-width punctuation, for each encoding.
_COMMON_LEADS = {
    "gb18030": (*_LEVEL_1, *range(0xA1, 0xA4)),
    "cp950": range(0xA1, 0xC7),
    "cp932": (0x81, 0x82, 0x83, *range(0x88, 0x98)),
    "euc_jp": (*range(0xA1, 0xA6), *range(0xB0, 0xD0)),
    "cp949": (*range(0xA1, 0xA4), *range(0xB0, 0xC9)),
}


def _score(content: bytes, encoding: str) -> _Score:
    text = content[:_SAMPLE].decode(encoding, errors="replace")
    # Only the last character of a sample may be a half one.
    counts = Counter(character for character in text.removesuffix("\ufffd") if character > "\x7f")
    total = sum(counts.values())
    if not total:
        return _Score(0, 0, 0.0, 1.0, 0.0)
    bad = counts.pop("\ufffd", 0)
    common = sum(times for character, times in counts.items() if _is_common(character, encoding))
    marks = sum(times for character, times in counts.items() if _MARKS[encoding](character))
    return _Score(total, len(counts), common / total, bad / total, marks / total)


def _is_common(character: str, encoding: str) -> bool:
    leads = _COMMON_LEADS.get(encoding)
    if leads is None:
        return "\u0410" <= character <= "\u044f" or character in "ёЁ"
    raw = character.encode(encoding)
    # In GB2312 and its like the second byte is high too; only GBK's own and Big5's and Shift-JIS's may be low.
    return len(raw) == 2 and raw[0] in leads and (raw[1] >= 0xA1 or encoding in ("cp950", "cp932"))


def _chosen(scores: dict[str, _Score]) -> str | None:
    """The encoding that the evidence is for; None where it is too little, or for several.

    Few characters are evidence for GBK only: elsewhere they are declared.
    """
    gb = scores["gb18030"]
    gb_fits = gb.common >= _LEAST_SHARE_OF_COMMON and gb.bad <= _MOST_BAD
    others = [
        encoding
        for encoding, score in scores.items()
        if encoding != "gb18030"
        and score.characters >= _LEAST_CHARACTERS
        and score.bad <= _MOST_BAD
        and score.common >= 0.85
    ]
    for encoding in ("euc_jp", "cp932"):
        if encoding in others and scores[encoding].marks >= 0.15 and scores[encoding].common > gb.common:
            return encoding
    # Korean's bytes are all among those of common Chinese characters, of which they are three fifths: a short Chinese
    # list keeps to them by chance, thirty different characters do so once in two million.
    korean = scores["cp949"]
    if "cp949" in others and korean.different >= 30 and korean.marks >= 0.9 and korean.common >= 0.97:
        return "cp949"
    if gb_fits and not ("cp950" in others and scores["cp950"].common > gb.common + 0.1):
        return "gb18030"
    if "cp950" in others and scores["cp950"].common > gb.common + 0.1:
        return "cp950"
    russian = [
        encoding for encoding in ("cp1251", "koi8_r") if encoding in others and scores[encoding].marks >= 0.7
    ]
    return max(russian, key=lambda encoding: scores[encoding].marks) if russian else None
