"""pg_dump and pg_restore, as a backup and its way back run them."""

import contextlib
import hashlib
import os
import subprocess
from pathlib import Path
from typing import IO

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from geoapp.database.backup_file import CHUNK, parts_of
from geoapp.errors import Refused


def dump(url: str, stream: IO[bytes], server: Path) -> tuple[int, str]:
    """pg_dump into the stream; size and SHA-256 of what it wrote. Rows that a policy hides would make it fail, not be
    left out (row_security is off in it)."""
    command, environment = _program(url, server, "pg_dump", "--format=custom", "--no-owner")
    size, digest = 0, hashlib.sha256()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        try:
            while part := running.stdout.read(CHUNK):
                stream.write(part)
                digest.update(part)
                size += len(part)
        except BaseException:
            running.kill()
            raise
        said = running.stderr.read()
    if running.returncode != 0:
        raise Refused(f"pg_dump 失败 / pg_dump failed: {_last_line(said)}")
    return size, digest.hexdigest()


def undump(url: str, file: Path, server: Path) -> None:
    """pg_restore of a backup into the empty database at `url`. Raises Refused with what it said where it fails."""
    command, environment = _program(url, server, "pg_restore", "--no-owner", "--exit-on-error")
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stderr is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended early: what it said follows
                for part in parts_of(file):
                    running.stdin.write(part)
                running.stdin.close()
        except BaseException:
            running.kill()
            raise
        said = running.stderr.read()
    if running.returncode != 0:
        raise Refused(
            f"pg_restore 失败，原数据库未动 / pg_restore failed, the database is as it was: {_last_line(said)}"
        )


def _program(url: str, server: Path, name: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command line and environment; the password is in the environment only, where other accounts do not see it."""
    parts = conninfo_to_dict(url)
    secret = parts.pop("password", None)
    address = make_conninfo(**{key: str(value) for key, value in parts.items() if value is not None})
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}
    environment |= {key: value for key, value in os.environ.items() if key.startswith("PG")}
    if secret is not None:
        environment["PGPASSWORD"] = str(secret)
    return [str(server / name), f"--dbname={address}", "--no-password", *arguments], environment


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if "error" in line.lower()]
    return lines[0] if lines else "—"
