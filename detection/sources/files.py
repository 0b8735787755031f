"""Frames from a folder: for tests, for `geoapp detect once --folder`, and for scripted cameras."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from detection.sources.http_snapshot import MAGIC
from detection.types import Camera, Frame, Reason, Unobserved
from geoapp.errors import Refused

SUFFIXES = (".jpg", ".jpeg", ".png")


def frames_of_folder(folder: Path, *, clock: Callable[[], datetime]) -> Iterator[tuple[Path, Frame]]:
    """Every picture of a folder, by name. Raises Refused where the folder holds none."""
    if not folder.is_dir():
        raise Refused(f"{folder}: 没有这个文件夹 / is not a folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise Refused(f"{folder}: 没有图片 / holds no pictures ({', '.join(SUFFIXES)})")
    for path in files:
        at = clock()
        yield path, Frame(path.read_bytes(), at, at)


class FolderSource:
    """Plays a folder's pictures in turn, the same sequence for each camera. Camera n starts at picture n."""

    def __init__(self, folder: Path, *, clock: Callable[[], datetime]) -> None:
        self._frames = [frame.data for _, frame in frames_of_folder(folder, clock=clock)]
        self._clock = clock
        self._next: dict[int, int] = {}

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        index = self._next.get(camera.id, camera.id)
        self._next[camera.id] = index + 1
        data = self._frames[index % len(self._frames)]
        if not data.startswith(MAGIC):
            return Unobserved(Reason.NOT_AN_IMAGE)
        at = self._clock()
        return Frame(data, at, at)

    async def close(self) -> None:
        """Holds nothing."""
