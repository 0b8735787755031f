"""A folder that somebody puts new files into, at any moment, by any program."""

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from etl.feeds.look import Look, Waiting
from geoapp.errors import Refused

__all__ = ["QUIET_S", "digest_of", "look_at_folder"]

QUIET_S = 2.0
"""A file whose size or time changes within this is still being written."""
# Files of several parts: all of one name belong together.
_IN_PARTS = (".shp", ".tab", ".mif")
# Names under which copying programs, browsers and databases keep what is not finished.
_UNFINISHED = (".part", ".partial", ".filepart", ".tmp", ".crdownload", ".download", "-journal", "-wal")
# One that nobody has touched for so long was left behind by a program that broke off.
_LEFT_BEHIND_S = 600.0


def look_at_folder(
    folder: Path,
    files: Sequence[str],
    before: dict[str, Any],
    *,
    moment: datetime,
    quiet_s: float = QUIET_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Look:
    """Whether the files of a manifest (paths as it names them) are others than those of the fingerprint `before`.

    Sizes and times are compared first, then SHA-256. Raises Waiting where one is being written, Refused where one is
    missing or cannot be read.
    """
    try:
        first = _sizes_and_times(folder, files, moment)
        if first == before.get("files"):
            return Look(False, folder, before, said="文件没有变 / the files are the same")
        sleep(quiet_s)
        if _sizes_and_times(folder, files, moment) != first:
            raise _being_written(folder, "文件的大小或时间还在变 / sizes or times are still changing")
        found = {"files": first, "sha256": digest_of([Path(row[0]) for row in first])}
        if _sizes_and_times(folder, files, moment) != first:
            raise _being_written(folder, "文件在读取时变了 / a file changed while it was read")
    except OSError as fault:
        raise Refused(
            f"{fault.filename or folder}: 读不了 / cannot be read: {fault.strerror or fault}; "
            "检查权限、磁盘和网络盘 / check permissions, the disk and the share."
        ) from None

    def is_still() -> bool:
        try:
            return _sizes_and_times(folder, files, moment) == first
        except (Refused, OSError):
            return False

    if found["sha256"] == before.get("sha256"):
        return Look(
            False,
            folder,
            found,
            said="文件只是被重存，内容没有变 / the files were saved again with the same content",
        )
    return Look(True, folder, found, is_still)


def digest_of(paths: Sequence[Path]) -> str:
    """SHA-256 over the names and contents of files."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            whole.update(f"{path.name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def _sizes_and_times(folder: Path, files: Sequence[str], moment: datetime) -> list[list[Any]]:
    """[path, bytes, time in ns] of every file that belongs to the manifest's. As lists: it comes back from JSON."""
    if not folder.is_dir():
        raise Refused(
            f"{folder}: 文件夹不在了 / the folder is not there; 网络盘是否已连接 / is the share mounted?"
        )
    found: list[list[Any]] = []
    for name in dict.fromkeys(files):
        path = (folder / name).expanduser()
        _refuse_unfinished(path, moment)
        if not path.exists():
            raise Refused(
                f"{path}: 文件不见了，库中数据保持不变 / the file is not there any more; what is stored stays as it is. "
                "把它放回去 / Put it back, or change the feed."
            )
        for part in _parts(path):
            stat = part.stat()
            found.append([str(part), stat.st_size, stat.st_mtime_ns])
    return found


def _parts(path: Path) -> list[Path]:
    if path.is_dir():  # a geodatabase
        return sorted(part for part in path.rglob("*") if part.is_file())
    if path.suffix.lower() in _IN_PARTS:
        return sorted(
            part
            for part in path.parent.iterdir()
            if part.name.startswith(f"{path.stem}.") and not part.name.endswith(_UNFINISHED)
        )
    return [path]


def _refuse_unfinished(path: Path, moment: datetime) -> None:
    if not path.parent.is_dir():
        return
    for other in path.parent.iterdir():
        is_copy = other.name.startswith(path.stem) and other.name.endswith(_UNFINISHED)
        if not (is_copy or other.name.startswith(f".{path.name}.")):  # the second is how rsync writes
            continue
        if moment.timestamp() - other.stat().st_mtime < _LEFT_BEHIND_S:
            raise _being_written(
                path.parent, f"{other.name} 表明正在写入 / {other.name} shows that it is being written"
            )


def _being_written(folder: Path, how: str) -> Waiting:
    return Waiting(f"{folder}: 等文件写完再取 / waits until the files are complete: {how}.")
