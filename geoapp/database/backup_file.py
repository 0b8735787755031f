"""A backup's file: what it says of itself, what it holds, and where such files lie.

It begins with a header of HEADER_BYTES, one line of JSON filled up with blanks; then follows what pg_dump writes (custom
format).
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from geoapp.errors import Refused

HEADER_BYTES = 4096
SUFFIX = ".backup"
CHUNK = 1 << 20
_FORMAT = "geoapp backup 1"


@dataclass(frozen=True)
class Header:
    """What a backup says of itself. made_at: ISO 8601 with zone; metric_srid: EPSG code; bytes: of the dump alone.

    key_fingerprint names the key file that opens the sealed values (None: there was none).
    """

    city_code: str
    city_zh: str
    city_en: str
    metric_srid: int
    timezone: str
    revision: str
    made_at: str
    server: str
    sealed_values: int
    key_fingerprint: str | None
    bytes: int
    sha256: str

    @property
    def made_here(self) -> str:
        """When it was made, on the city's clocks."""
        made = datetime.fromisoformat(self.made_at).astimezone(ZoneInfo(self.timezone))
        return f"{made:%Y-%m-%d %H:%M:%S %Z}"


def backup_folder(home: Path) -> Path:
    """Where backups lie unless told otherwise."""
    return home / "backups"


def read_header(file: Path) -> Header:
    """The header of a backup. Raises Refused where the file is none, or is cut off."""
    try:
        with file.open("rb") as stream:
            head = stream.read(HEADER_BYTES)
        found = json.loads(head.decode())
        if found.pop("format") != _FORMAT or len(head) != HEADER_BYTES:
            raise ValueError
        header = Header(**found)
        _ = header.made_here, header.metric_srid + header.bytes  # a moment in a zone, and numbers
    except OSError as fault:
        raise Refused(f"{file}: 读不了 / cannot be read: {fault.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, ZoneInfoNotFoundError):
        raise Refused(f"{file}: 不是 GeoApp 的备份 / is not a backup of GeoApp's.") from None
    held = file.stat().st_size - HEADER_BYTES
    if held != header.bytes:
        raise Refused(
            f"{file}: 不完整，{held:,} 字节，应为 {header.bytes:,} / is cut off: {held:,} bytes of {header.bytes:,}."
        )
    return header


def list_backups(home: Path) -> list[tuple[Path, Header | str]]:
    """Backups in the usual folder, newest first: each with its header, or with what is wrong with it."""
    found: list[tuple[Path, Header | str]] = []
    for file in sorted(backup_folder(home).glob(f"*{SUFFIX}"), key=lambda p: p.stat().st_mtime, reverse=True):
        try:
            found.append((file, read_header(file)))
        except Refused as refusal:
            found.append((file, str(refusal)))
    return found


@contextlib.contextmanager
def made_for_us_alone(path: Path) -> Iterator[IO[bytes]]:
    """A new file of mode 0600, open for writing; one that is there already is replaced."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as stream:
        yield stream


def head_of(header: Header) -> bytes:
    """The HEADER_BYTES a backup begins with. Raises ValueError where the header does not fit."""
    line = json.dumps({"format": _FORMAT} | asdict(header), ensure_ascii=False).encode()
    if len(line) >= HEADER_BYTES:
        raise ValueError("the header does not fit")
    return line.ljust(HEADER_BYTES - 1) + b"\n"


def parts_of(file: Path) -> Iterator[bytes]:
    """The dump, without the header."""
    with file.open("rb") as stream:
        stream.seek(HEADER_BYTES)
        while part := stream.read(CHUNK):
            yield part
