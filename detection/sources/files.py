"""Frames from files: file:// addresses, `geoapp detect once --folder`, and scripted cameras in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from detection.config import FetchConfig, FilesConfig
from detection.sources.picture import MAGIC, checked
from detection.types import Camera, Frame, Reason, Unobserved
from geoapp.errors import Refused

SUFFIXES = (".jpg", ".jpeg", ".png")


def frames_of_folder(folder: Path, *, clock: Callable[[], datetime]) -> Iterator[tuple[Path, Frame]]:
    """Every picture of a folder, by name. Raises Refused where the folder holds none."""
    if not folder.is_dir():
        raise Refused(f"{folder}: 没有这个文件夹 / is not a folder")
    files = _pictures(folder)
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


class FileSource:
    """file:///picture.jpg, read anew at each look, or file:///folder, whose pictures are played in turn from the first.

    Only below config.root, wherever a link leads: an import may name any path, and the watch may read more than the
    importer. The file's own time is no camera's clock.
    """

    def __init__(self, config: FilesConfig, fetch: FetchConfig, *, clock: Callable[[], datetime]) -> None:
        self._root, self._fetch, self._clock = config.root, fetch, clock
        self._next: dict[int, int] = {}

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        parts = urlsplit(camera.snapshot_url)
        if parts.scheme != "file" or parts.netloc or parts.path.strip("/") == "" or "%00" in parts.path:
            return Unobserved(
                Reason.BAD_ADDRESS,
                "file:///folder 或 file:///picture.jpg / file:///folder or file:///picture.jpg",
            )
        at = self._clock()
        turn = self._next.get(camera.id, 0)
        self._next[camera.id] = turn + 1
        try:
            # In a thread: a file may lie on a share that hangs.
            async with asyncio.timeout(self._fetch.total_s):
                data = await asyncio.to_thread(self._read, Path(unquote(parts.path)), turn)
        except TimeoutError:
            limit = f"{self._fetch.total_s:g}"
            return Unobserved(Reason.TIMEOUT, f"{limit} 秒内没有读完 / not read within {limit} s")
        except OSError as fault:
            return Unobserved(Reason.FILE_MISSING, type(fault).__name__)
        return data if isinstance(data, Unobserved) else Frame(data, at, self._clock())

    async def close(self) -> None:
        """Holds nothing."""

    def _read(self, path: Path, turn: int) -> bytes | Unobserved:
        """Raises OSError."""
        if path.is_dir():
            pictures = _pictures(path)
            if not pictures:
                return Unobserved(Reason.FILE_MISSING, "文件夹里没有图片 / a folder without pictures")
            path = pictures[turn % len(pictures)]
        real = path.resolve(strict=True)
        if not real.is_relative_to(self._root.resolve()):
            return Unobserved(
                Reason.BAD_ADDRESS,
                "不在 file:// 可读的文件夹内（sources.files.root） / outside the folder that file:// may read (sources.files.root)",
            )
        if not real.is_file():  # a pipe would be waited for
            return Unobserved(Reason.NOT_AN_IMAGE, "不是普通文件 / no plain file")
        with real.open("rb") as stream:
            data = stream.read(self._fetch.max_bytes + 1)
        if len(data) > self._fetch.max_bytes:
            return Unobserved(
                Reason.TOO_LARGE,
                f"超过 {self._fetch.max_bytes} 字节 / more than {self._fetch.max_bytes} bytes",
            )
        return checked(data, self._fetch)


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
