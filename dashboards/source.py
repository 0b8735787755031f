"""`/source.tar.gz`: the source of the running program, for whoever uses it over the network (AGPL-3.0 section 13)."""

import gzip
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from geoapp.settings import REPOSITORY

PARTS = (
    "README.md",
    "LICENSE",
    "Makefile",
    "pyproject.toml",
    "requirements.lock",
    "geoapp",
    "etl",
    "layers",
    "detection",
    "dashboards",
    "sql",
    "docs",
    "tests",
    "benchmarks",
    "examples",
)
# Made by running or building, never source; whatever begins with a dot (settings, caches, an installation) is left out too.
_MADE = {"__pycache__", "runs", "build", "dist", "data"}
_INSIDE = "geoapp-source"


def _is_source(path: Path) -> bool:
    if path.name.startswith(".") or path.is_symlink():
        return False
    return (
        path.name not in _MADE and not path.name.endswith(".egg-info")
        if path.is_dir()
        else path.suffix != ".pyc"
    )


def _files(path: Path) -> Iterator[Path]:
    if not path.exists() or not _is_source(path):
        return
    if path.is_file():
        yield path
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            yield from _files(inner)


def archive(root: Path) -> bytes:
    """A tar.gz of PARTS under `root`, all inside one folder; links and the owner's name are left out."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        for part in PARTS:
            for path in _files(root / part):
                entry = tar.gettarinfo(path, f"{_INSIDE}/{path.relative_to(root).as_posix()}")
                entry.uid = entry.gid = 0
                entry.uname = entry.gname = ""
                with path.open("rb") as content:
                    tar.addfile(entry, content)
    return packed.getvalue()


def router(root: Path = REPOSITORY) -> APIRouter:
    """`GET /source.tar.gz`, packed at the first request; 404 where the program runs without its source beside it."""
    routes = APIRouter()
    once = threading.Lock()
    kept: list[bytes] = []

    @routes.get("/source.tar.gz", include_in_schema=True)
    def source() -> Response:
        if not (root / "LICENSE").is_file() or not (root / "pyproject.toml").is_file():
            return PlainTextResponse(
                "程序旁边没有源代码，请在 GEOAPP_SOURCE_URL 写明源代码地址 / "
                "the source is not beside the program: set GEOAPP_SOURCE_URL to where it is",
                status_code=404,
            )
        with once:
            if not kept:
                kept.append(archive(root))
        return Response(
            kept[0],
            media_type="application/gzip",
            headers={"Content-Disposition": f'attachment; filename="{_INSIDE}.tar.gz"'},
        )

    return routes
