"""A .zip that holds a manifest's files: the files that are named, with their companions, and nothing else."""

import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from etl.readers.archives import refuse_bomb
from geoapp.errors import Refused

__all__ = ["is_archive", "unpack"]

_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError)
# These begin like a .zip because they are one.
_ZIPPED = (".zip", ".xlsx", ".xlsm", ".kmz", ".ods")


def is_archive(path: Path, files: Sequence[str]) -> bool:
    """Whether a download is an archive of the manifest's files, and not the one file itself."""
    with path.open("rb") as stream:
        is_zip = stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    return is_zip and not (len(files) == 1 and files[0].lower().endswith(_ZIPPED))


def unpack(path: Path, folder: Path, files: Sequence[str], *, shown: str) -> None:
    """Writes the members that `files` name (paths as in the manifest) to `folder`.

    They may all lie in one folder of the archive. Raises Refused for a damaged, locked or dangerous archive, and where
    a file is not in it.
    """
    try:
        with _opened(path) as archive:
            refuse_bomb(archive, shown)
            members = {
                info.filename.replace("\\", "/"): info for info in archive.infolist() if not info.is_dir()
            }
            top = _top_folder(members, files)
            for name in files:
                for member in _belonging(members, top, name, shown):
                    target = folder / member.removeprefix(top)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(members[member]) as packed, target.open("wb") as out:
                        shutil.copyfileobj(packed, out, 1 << 20)
    except _FAULTS as fault:
        raise Refused(
            f"{shown}: 压缩包损坏、不完整或有密码 / the archive is damaged, cut off or locked ({fault})."
        ) from None


def _opened(path: Path) -> zipfile.ZipFile:
    """Windows in China writes names in GBK without saying so; others in UTF-8."""
    try:
        return zipfile.ZipFile(path, metadata_encoding="utf-8")
    except UnicodeDecodeError:
        return zipfile.ZipFile(path, metadata_encoding="gb18030")


def _top_folder(members: dict[str, zipfile.ZipInfo], files: Sequence[str]) -> str:
    tops = {f"{PurePosixPath(m).parts[0]}/" for m in members if not m.startswith("__MACOSX/") and "/" in m}
    return next((top for top in sorted(tops) if any(f"{top}{name}" in members for name in files)), "")


def _belonging(members: dict[str, zipfile.ZipInfo], top: str, name: str, shown: str) -> list[str]:
    """The member, its companions of the same stem in the same place, or what is in a geodatabase of the name."""
    wanted = PurePosixPath(top + name)
    inside = [m for m in members if m.startswith(f"{wanted}/") and ".." not in PurePosixPath(m).parts]
    if str(wanted) not in members and not inside:
        held = ", ".join([*members][:8]) or "-"
        raise Refused(f"{shown}: 压缩包里没有 {name} / the archive does not hold {name} (it holds {held}).")
    return inside or [
        m
        for m in members
        if PurePosixPath(m).parent == wanted.parent and m.startswith(f"{wanted.with_suffix('')}.")
    ]
