"""An address as the source of a feed: one file of the manifest, or a .zip with all of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etl.feeds.archive import is_archive, unpack
from etl.feeds.download import Limits, download
from etl.feeds.look import Look
from geoapp.errors import Refused

__all__ = ["look_at_address"]


def look_at_address(
    address: str,
    files: Sequence[str],
    before: dict[str, Any],
    *,
    shown: str,
    work: Path,
    limits: Limits | None = None,
    ca_file: Path | None = None,
) -> Look:
    """Whether what is at the address is other than what the fingerprint `before` is of; if so, the files are in `work`.

    `files`: the paths that the manifest names, below its folder. Raises Refused where the whole of it cannot be had.
    """
    arrived = work / "download.part"
    body = download(
        address,
        arrived,
        shown=shown,
        etag=before.get("etag"),
        last_modified=before.get("last_modified"),
        limits=limits,
        ca_file=ca_file,
    )
    if body is None:
        return Look(False, work, before, said="服务器说没有变 (304) / not modified, the server says (304)")
    fingerprint = {"etag": body.etag, "last_modified": body.last_modified, "sha256": body.sha256}
    if body.sha256 == before.get("sha256"):
        return Look(False, work, fingerprint, said="内容没有变 / the content is the same")
    if is_archive(arrived, files):
        unpack(arrived, work, files, shown=shown)
    elif len(files) == 1:
        target = work / files[0]
        target.parent.mkdir(parents=True, exist_ok=True)
        arrived.replace(target)
    else:
        raise Refused(
            f"{shown}: 清单有 {len(files)} 个文件，收到的不是压缩包 / the manifest names {len(files)} files, and what came is no .zip of them; "
            "name one with --section."
        )
    return Look(True, work, fingerprint)
