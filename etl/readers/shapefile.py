"""A shapefile's companions: what each of them says, and what is done where one is missing."""

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from etl.encoding import detect, encoding_of_language_driver, encoding_of_note, python_name
from geoapp.errors import Refused

__all__ = ["Shapefile", "look_at_dbf", "look_at_shapefile"]

_SAMPLE = 64 << 20


@dataclass
class Shapefile:
    """`path`: what to open (a temporary copy where a part had to be made); `encoding`: a Python name."""

    path: Path
    encoding: str | None = None
    evidence: str = ""
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Dbf:
    """What the header of a .dbf says, and how many whole records follow it."""

    records: int
    whole: int
    language_driver: int
    text: bytes


def part(path: Path, suffix: str) -> Path | None:
    """A companion of a file, whatever the case of its ending."""
    return next((p for p in (path.with_suffix(suffix), path.with_suffix(suffix.upper())) if p.exists()), None)


def look_at_shapefile(path: Path, declared: str | None, closing: ExitStack) -> Shapefile:
    """Checks the companions of a .shp. A missing .shx is made anew beside a temporary link to it.

    Raises Refused where shapes and records cannot be matched, or are fewer than their headers say.
    """
    found = Shapefile(path)
    shx = part(path, ".shx")
    dbf = part(path, ".dbf")
    if part(path, ".prj") is None:
        found.notices.append(
            f"缺少 {path.stem}.prj / has no .prj: the file does not say its coordinate frame"
        )
    shapes = _records_of_shp(path) if shx is None else _records_of_shx(path, shx)
    drop_dbf = False
    if dbf is None:
        found.notices.append(f"缺少 {path.stem}.dbf / has no .dbf: shapes without names or codes")
    else:
        table = _read_dbf(dbf)
        if table.records == 0 and shapes:
            drop_dbf = True
            found.notices.append(
                f"{dbf.name} 没有记录 / holds no records (its header only): {shapes} shapes without names or codes"
            )
        elif shapes != table.records:
            raise Refused(
                f"{path.name}: 有 {shapes} 个图形，但属性表有 {table.records} 行 / holds {shapes} shapes, but {dbf.name} {table.records} rows: "
                "they cannot be matched, so rows would be lost. Ask for the shapefile again (all its files from one export)."
            )
        else:
            _refuse_cut_off(dbf.name, table)
            _find_encoding(found, dbf, table, declared)
    if shx is None or drop_dbf:
        found.path = _beside(path, None if drop_dbf else dbf, shx, closing)
        if shx is None:
            found.notices.append(
                f"缺少 {path.stem}.shx，已重建 / has no .shx: it was made anew from the shapes"
            )
    return found


def look_at_dbf(path: Path, declared: str | None) -> Shapefile:
    """Checks a .dbf that stands alone. Raises Refused where it is cut off."""
    found = Shapefile(path)
    table = _read_dbf(path)
    _refuse_cut_off(path.name, table)
    _find_encoding(found, path, table, declared)
    return found


def _find_encoding(found: Shapefile, dbf: Path, table: _Dbf, declared: str | None) -> None:
    if declared is not None:
        found.encoding, found.evidence = python_name(declared), f"declared {declared}"
        return
    note = part(dbf, ".cpg") or part(dbf, ".cst")
    said = note.read_text("ascii", errors="replace").strip() if note else ""
    by_note = encoding_of_note(said) if said else None
    by_driver = encoding_of_language_driver(table.language_driver)
    for encoding, why in (
        (by_note, f"{note.name if note else ''} says {said}"),
        (by_driver, f"its .dbf's language driver 0x{table.language_driver:02X} says {by_driver}"),
    ):
        if encoding is None:
            continue
        if _fits(table.text, encoding):
            found.encoding, found.evidence = encoding, why
            return
        found.notices.append(f"{why}，但内容不是 / {why}, but the bytes in {dbf.name} are not {encoding}")
    found.encoding, found.evidence = detect(table.text, what=dbf.name)


def _fits(text: bytes, encoding: str) -> bool:
    """Whether the bytes make sense in an encoding. Single records may be damaged; what is UTF-8 throughout is that."""
    if text.isascii():
        return True
    if encoding != "utf-8" and _is_surely_utf8(text):
        return False
    decoded = text.decode(encoding, errors="replace")
    return decoded.count("\ufffd") <= 0.2 * sum(not character.isascii() for character in decoded)


def _is_surely_utf8(text: bytes) -> bool:
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return sum(not character.isascii() for character in decoded) > 5


def _read_dbf(dbf: Path) -> _Dbf:
    size = dbf.stat().st_size
    with dbf.open("rb") as stream:
        head = stream.read(32)
        if len(head) < 32:
            raise Refused(
                f"{dbf.name}: 属性表损坏 / is not a sound .dbf: its header is cut off; copy it again."
            )
        records = int.from_bytes(head[4:8], "little")
        start = int.from_bytes(head[8:10], "little")
        width = int.from_bytes(head[10:12], "little")
        if start < 33 or width < 1 or start > size:
            raise Refused(
                f"{dbf.name}: 属性表损坏 / is not a sound .dbf: its header makes no sense; copy it again."
            )
        stream.seek(start)
        text = stream.read(_SAMPLE).rstrip(b"\x1a")
        # Names of fields are text too: with few records they are most of the evidence.
        stream.seek(32)
        fields = stream.read(start - 32)
    names = b" ".join(fields[at : at + 11].split(b"\0")[0] for at in range(0, len(fields) - 31, 32))
    return _Dbf(records, (size - start) // width, head[29], names + b" " + text)


def _refuse_cut_off(name: str, table: _Dbf) -> None:
    if table.whole < table.records:
        raise Refused(
            f"{name}: 文件被截断 / is cut off: its header says {table.records} rows, but only {table.whole} can be read. "
            "Copy it again."
        )


def _records_of_shx(path: Path, shx: Path) -> int:
    """How many shapes the index lists. Raises Refused where the .shp ends before the last of them."""
    content = shx.read_bytes()
    if len(content) < 100:
        raise Refused(
            f"{shx.name}: 索引损坏 / is cut off; copy the shapefile again, or leave {shx.name} out to have it made anew."
        )
    said = (int.from_bytes(content[24:28], "big") * 2 - 100) // 8
    count = (len(content) - 100) // 8
    if count < said:
        raise Refused(
            f"{shx.name}: 文件被截断 / is cut off: its header says {said} shapes, but only {count} are listed. Copy the shapefile "
            f"again, or leave {shx.name} out to have it made anew."
        )
    index = (
        np.frombuffer(content, dtype=">i4", offset=100, count=count * 2).reshape(-1, 2).astype(np.int64) * 2
    )
    whole = int((index.sum(axis=1) + 8 <= path.stat().st_size).sum())
    if whole < count:
        raise Refused(
            f"{path.name}: 文件被截断 / is cut off: it should hold {count} shapes, but only {whole} can be read. Copy it again."
        )
    return count


def _records_of_shp(path: Path) -> int:
    return len(_index(path))


def _index(path: Path) -> np.ndarray:
    """Offset and length of each record of a .shp, in 16-bit words, as its .shx would list them."""
    size = path.stat().st_size
    entries = []
    with path.open("rb") as stream:
        head = stream.read(100)
        if len(head) < 100 or head[:4] != b"\x00\x00\x27\x0a":
            raise Refused(
                f"{path.name}: 文件损坏或不是所称的格式 / is damaged or not what its name says: no shapefile header."
            )
        said = int.from_bytes(head[24:28], "big") * 2
        at = 100
        while at + 8 <= min(size, max(said, 100)):
            stream.seek(at)
            record = stream.read(8)
            length = int.from_bytes(record[4:8], "big", signed=True) * 2
            if length < 4:
                break
            if at + 8 + length > size:
                break
            entries.append((at // 2, length // 2))
            at += 8 + length
    if at < said:
        raise Refused(
            f"{path.name}: 文件被截断 / is cut off: only {len(entries)} shapes ({at} of {said} bytes) can be read. Copy it again."
        )
    return np.array(entries, dtype=np.int64).reshape(-1, 2)


def _beside(path: Path, dbf: Path | None, shx: Path | None, closing: ExitStack) -> Path:
    """A shapefile of links to the parts that are there, with the index made anew where it is missing."""
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="geoapp-shp-")))
    made = folder / f"{path.stem}.shp"
    made.symlink_to(path.resolve())
    for suffix in (".prj", ".cpg"):
        other = part(path, suffix)
        if other is not None:
            made.with_suffix(suffix).symlink_to(other.resolve())
    if dbf is not None:
        made.with_suffix(".dbf").symlink_to(dbf.resolve())
    if shx is not None:
        made.with_suffix(".shx").symlink_to(shx.resolve())
        return made
    index = _index(path)
    with path.open("rb") as stream:
        head = bytearray(stream.read(100))
    head[24:28] = (50 + 4 * len(index)).to_bytes(4, "big")
    made.with_suffix(".shx").write_bytes(bytes(head) + index.astype(">i4").tobytes())
    return made
