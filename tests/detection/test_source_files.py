"""file:// addresses: a picture, a folder played in turn, and what is none of them."""

import asyncio
import os
from pathlib import Path
from urllib.parse import quote

import pytest
from watching import EAST, NORTH, SRID, gb_id, picture

from detection.config import FetchConfig, FilesConfig
from detection.sources.files import FileSource
from detection.types import Camera, Frame, Reason, Unobserved
from detection.watch import utc_now


def grab(*urls: str, root: Path = Path("/"), **limits: float) -> list[Frame | Unobserved]:
    """One look after the other through one camera of one source."""

    async def ask() -> list[Frame | Unobserved]:
        source = FileSource(FilesConfig(root=root), FetchConfig(**limits), clock=utc_now)  # type: ignore[arg-type]
        return [await source.grab(Camera(1, gb_id(1), "测试", url, 10, EAST, NORTH, SRID)) for url in urls]

    return asyncio.run(ask())


def reason(answer: Frame | Unobserved) -> Reason | None:
    return answer.reason if isinstance(answer, Unobserved) else None


def test_a_file_is_read_anew_and_a_folder_is_played(tmp_path: Path) -> None:
    folder = tmp_path / "回放 1"
    folder.mkdir()
    for name, seed in (("b.jpg", 2), ("a.JPG", 1), ("notes.txt", 3)):
        (folder / name).write_bytes(picture(seed))
    url = "file://" + quote(str(folder))
    played = grab(url, url, url)
    assert [f.data for f in played if isinstance(f, Frame)] == [picture(1), picture(2), picture(1)]
    assert all(isinstance(f, Frame) and f.clock_offset_s is None for f in played)
    (one,) = grab(f"{url}/b.jpg")
    assert isinstance(one, Frame)
    assert one.data == picture(2)


def test_what_is_no_picture_has_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.jpg").write_text("<html>")
    (tmp_path / "large.jpg").write_bytes(picture(1) + bytes(200_000))
    os.mkfifo(tmp_path / "pipe.jpg")
    base = f"file://{tmp_path}"
    expected = {
        f"{base}/gone.jpg": Reason.FILE_MISSING,
        f"{base}/empty": Reason.FILE_MISSING,
        f"{base}/page.jpg": Reason.NOT_AN_IMAGE,
        f"{base}/pipe.jpg": Reason.NOT_AN_IMAGE,
        f"{base}/large.jpg": Reason.TOO_LARGE,
        "file://": Reason.BAD_ADDRESS,
        "file:///": Reason.BAD_ADDRESS,
        "file://host/share/a.jpg": Reason.BAD_ADDRESS,
        f"{base}/%00.jpg": Reason.BAD_ADDRESS,
    }
    for url, why in expected.items():
        assert reason(grab(url, max_bytes=200_000, total_s=1.0)[0]) is why, url


@pytest.mark.parametrize("way", ["../secret.jpg", "link.jpg", "linked/secret.jpg"])
def test_nothing_outside_the_root_is_read(tmp_path: Path, way: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.jpg").write_bytes(picture(1))
    (root / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "linked").symlink_to(tmp_path)
    (root / "good.jpg").write_bytes(picture(2))
    assert reason(grab(f"file://{root}/{way}", root=root)[0]) is Reason.BAD_ADDRESS
    assert isinstance(grab(f"file://{root}/good.jpg", root=root)[0], Frame)
