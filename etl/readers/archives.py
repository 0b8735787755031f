"""Packed files: the one that is asked for is unpacked, with its companions, beside the others' way."""

import shutil
import tempfile
import zipfile
import zlib
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from geoapp.errors import Refused

__all__ = ["Member", "refuse_bomb", "unpacked"]

_MOST_BYTES = 8 << 30
_MOST_MEMBERS = 20_000
# Text packs to a tenth, sheets to a fiftieth at most; what packs better is made to fill disks.
_HIGHEST_RATIO = 200
_SMALL = 256 << 20
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    KeyError,
)
_PACKED = (".zip", ".kmz", ".rar", ".7z", ".gz", ".tar", ".tgz")


class Member(NamedTuple):
    """`path`: where it was unpacked; `name`: as people are told it; `layer`: what remains of the layer asked for."""

    path: Path
    name: str
    layer: str | None


def unpacked(
    path: Path, layer: str | None, suffixes: tuple[str, ...], closing: ExitStack, *, name: str
) -> Member:
    """The geographic file or table in a .zip or .kmz, unpacked until `closing` is closed.

    Where there are several, `layer` names one: its name without the ending, or its path in the archive; `file/layer`
    goes on to a layer in it. Raises Refused for a damaged, locked or dangerous archive, or one that holds none.
    """
    try:
        archive = closing.enter_context(zipfile.ZipFile(path))
    except _FAULTS as fault:
        raise _damaged(name, fault) from None
    refuse_bomb(archive, name)
    if any(not info.filename for info in archive.infolist()):
        raise _damaged(name, ValueError("a member has no name"))
    members = {_shown(info): info for info in archive.infolist() if not info.is_dir()}
    members = {
        shown: info
        for shown, info in members.items()
        if not shown.startswith("__MACOSX/") and not PurePosixPath(shown).name.startswith(".")
    }
    chosen, inner = _choose(_candidates(members, suffixes), members, layer, name)
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="geoapp-zip-")))
    wanted = PurePosixPath(chosen)
    for shown, info in members.items():
        other = PurePosixPath(shown)
        inside = chosen in shown and wanted.suffix.lower() == ".gdb" and shown.startswith(f"{chosen}/")
        if not inside and not (
            other.parent == wanted.parent and other.name.lower().startswith(f"{wanted.stem.lower()}.")
        ):
            continue
        target = folder / (
            f"{wanted.name}/{other.name}" if inside else wanted.stem + other.name[len(wanted.stem) :]
        )
        target.parent.mkdir(exist_ok=True)
        _unpack(archive, info, target, name)
    return Member(folder / wanted.name, f"{name}/{chosen}", inner)


def refuse_bomb(archive: zipfile.ZipFile, name: str) -> None:
    """Raises Refused for an archive that would fill the disk or memory."""
    infos = archive.infolist()
    size = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if (
        len(infos) > _MOST_MEMBERS
        or size > _MOST_BYTES
        or (size > _SMALL and size > _HIGHEST_RATIO * max(packed, 1))
    ):
        raise Refused(
            f"{name}: 压缩包异常 / is not unpacked: {len(infos)} files of {size >> 20} MB out of {packed >> 20} MB would fill the disk "
            "(a zip bomb?). Unpack it by hand and give the file itself."
        )


def _shown(info: zipfile.ZipInfo) -> str:
    """A member's name; Windows in China writes names in GBK without saying so."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        raw = info.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return info.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding).replace("\\", "/")
        except UnicodeDecodeError:
            continue
    return info.filename


def _candidates(members: dict[str, zipfile.ZipInfo], suffixes: tuple[str, ...]) -> list[str]:
    """The members that can be read: a .dbf belongs to its .shp; a text beside a map is a note about it."""
    found = [shown for shown in members if PurePosixPath(shown).suffix.lower() in suffixes]
    stems = {
        str(PurePosixPath(shown).with_suffix(""))
        for shown in found
        if shown.lower().endswith((".shp", ".tab"))
    }
    found = [
        shown
        for shown in found
        if not (shown.lower().endswith(".dbf") and str(PurePosixPath(shown).with_suffix("")) in stems)
    ]
    databases = dict.fromkeys(
        str(parent)
        for shown in members
        for parent in PurePosixPath(shown).parents
        if parent.suffix.lower() == ".gdb"
    )
    found = [shown for shown in found if not any(shown.startswith(f"{folder}/") for folder in databases)]
    found += databases
    notes = [shown for shown in found if shown.lower().endswith(".txt")]
    return [shown for shown in found if shown not in notes] or notes


def _choose(
    found: list[str], members: dict[str, zipfile.ZipInfo], layer: str | None, name: str
) -> tuple[str, str | None]:
    """The member that is meant, and the layer in it."""
    if not found:
        packed = [shown for shown in members if shown.lower().endswith(_PACKED)]
        held = ", ".join([*members][:8]) or "nothing"
        why = (
            "压缩包里还是压缩包 / holds another packed file: unpack it first"
            if packed
            else "没有可读的文件 / holds no file that is read"
        )
        raise Refused(f"{name}: {why} (it holds {held}).")
    if len(found) == 1 and layer is None:
        return found[0], None
    for shown in found:
        names = (PurePosixPath(shown).stem, PurePosixPath(shown).name, shown)
        if (layer in names and [PurePosixPath(f).stem for f in found].count(names[0]) == 1) or layer == shown:
            return shown, None
        for prefix in names:
            if layer is not None and layer.startswith(f"{prefix}/"):
                return shown, layer[len(prefix) + 1 :]
    if len(found) == 1:
        return found[0], layer
    raise Refused(
        f"{name}: 有多个图层 / has several layers ({', '.join(found)}); name one with `layer`"
        + (f" (there is no {layer!r})." if layer else ".")
    )


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, name: str) -> None:
    if info.flag_bits & 0x1:
        raise Refused(f"{name}: 压缩包有密码 / is locked by a password: unpack it and give the file itself.")
    try:
        with archive.open(info) as packed, target.open("wb") as out:
            shutil.copyfileobj(packed, out, 1 << 20)
    except _FAULTS as fault:
        raise _damaged(name, fault) from None


def _damaged(name: str, fault: BaseException) -> Refused:
    return Refused(
        f"{name}: 压缩包损坏或不完整 / is damaged or cut off ({fault}); copy it again, or unpack it and give the file itself."
    )
