"""The installation's key file: where it is, how it is made, and when it is not trusted.

A JSON file of mode 0600 in a folder of mode 0700, outside the database and so outside its backups:

    {"format": 1, "seal": ["<newest>", "<older>", ...], "hash": "...", "derive": "...", "check": "..."}

Each key is 32 random bytes in base64. `seal` holds more than one key only while `geoapp secret rotate` is at work.
`hash` and `derive` are never changed: what they made could not be made again.
"""

import base64
import binascii
import fcntl
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from geoapp.errors import Refused

__all__ = ["KEY_BYTES", "KeyFile", "KeyFileRefused", "locked", "make_if_missing", "read", "write"]

KEY_BYTES = 32
_FORMAT = 1
_read_before: dict[Path, tuple[tuple[int, ...], "KeyFile"]] = {}


class KeyFileRefused(Refused):
    """The key file is missing, damaged, or open to others; the message says which and what to do."""


@dataclass(frozen=True, repr=False)
class KeyFile:
    """The keys as they are in the file, 32 bytes each. `seal[0]` seals; the others only open."""

    seal: tuple[bytes, ...]
    hash: bytes
    derive: bytes

    def with_new_seal(self) -> "KeyFile":
        """The same, with a fresh sealing key in front of the old ones."""
        return replace(self, seal=(secrets.token_bytes(KEY_BYTES), *self.seal))

    def without_old_seals(self) -> "KeyFile":
        """The same, with the newest sealing key only."""
        return replace(self, seal=self.seal[:1])


def read(path: Path) -> KeyFile:
    """The keys of the file at `path`, read again whenever it has changed.

    Raises KeyFileRefused when it is missing, can be read by others, is not ours, or is damaged.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise KeyFileRefused(
            f"找不到密钥文件 {path} / The key file {path} is missing.\n"
            "  从它的备份放回原处（权限 0600），或用 GEOAPP_KEY_FILE 指出位置 / Put it back from its own backup (mode 0600), or name "
            "its place in GEOAPP_KEY_FILE."
        ) from None
    except OSError as fault:
        raise KeyFileRefused(
            f"{path}: 密钥文件读不了 / the key file cannot be read: {fault.strerror}"
        ) from None
    _refuse_others(path, found)
    state = (found.st_ino, found.st_mtime_ns, found.st_size)
    held = _read_before.get(path)
    if held is not None and held[0] == state:
        return held[1]
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise KeyFileRefused(
            f"{path}: 密钥文件读不了 / the key file cannot be read: {fault.strerror}"
        ) from None
    keys = _parse(path, content)
    _read_before[path] = (state, keys)
    return keys


def make_if_missing(path: Path) -> bool:
    """Makes a key file with fresh keys where there is none; True when this call made it.

    Of several processes that call it at once, one makes the file and the others find it.
    """
    if path.exists():
        return False
    with locked(path):
        if path.exists():
            return False
        write(path, KeyFile((_fresh(),), _fresh(), _fresh()))
        return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the key file's folder against other processes that would make or change the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise KeyFileRefused(
            f"{path.parent}: 不能存放密钥文件 / the key file cannot be kept there: {fault.strerror}.\n"
            "  GEOAPP_KEY_FILE names another place."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def write(path: Path, keys: KeyFile) -> None:
    """Replaces the file as a whole (mode 0600): whoever reads finds the old one or the new one, never a half."""
    listed = [_text(key) for key in keys.seal], _text(keys.hash), _text(keys.derive)
    content = {"format": _FORMAT, "seal": listed[0], "hash": listed[1], "derive": listed[2]}
    content["check"] = _check(keys)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(6)}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            json.dump(content, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _refuse_others(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise KeyFileRefused(f"{path}: 不是文件 / is not a file; the key file was expected here.")
    if found.st_mode & 0o077:
        raise KeyFileRefused(
            f"{path}: 密钥文件可被他人读取（权限 {found.st_mode & 0o777:04o}）/ the key file is open to other accounts "
            f"(mode {found.st_mode & 0o777:04o}).\n"
            f"  chmod 600 {path}；若他人可能已读取，随后运行 geoapp secret rotate / and, if others may have read it, "
            "geoapp secret rotate afterwards."
        )
    if os.geteuid() != 0 and found.st_uid not in (os.geteuid(), 0):
        raise KeyFileRefused(
            f"{path}: 密钥文件属于别的账号 / the key file belongs to another account (uid {found.st_uid}); "
            "its owner must be the account that runs GeoApp."
        )
    folder = path.parent.stat()
    if folder.st_mode & 0o022:
        raise KeyFileRefused(
            f"{path.parent}: 密钥文件夹可被他人改动（权限 {folder.st_mode & 0o777:04o}）/ the key file's folder can be changed by other "
            f"accounts (mode {folder.st_mode & 0o777:04o}).\n  chmod 700 {path.parent}"
        )


def _parse(path: Path, content: bytes) -> KeyFile:
    try:
        held = json.loads(content)
        keys = KeyFile(tuple(_key(text) for text in held["seal"]), _key(held["hash"]), _key(held["derive"]))
        sound = held["format"] == _FORMAT and bool(keys.seal) and held["check"] == _check(keys)
    except (ValueError, KeyError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise KeyFileRefused(
            f"{path}: 密钥文件已损坏 / the key file is damaged.\n"
            "  从它的备份放回原处，不要删除：没有它，已加密的口令打不开 / Put it back from its own backup and do not delete it: without "
            "it, what was sealed cannot be opened."
        )
    return keys


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as fault:
        raise ValueError from fault
    if len(key) != KEY_BYTES:
        raise ValueError
    return key


def _check(keys: KeyFile) -> str:
    """Says whether the file is whole; tells nothing about the keys (256 random bits each stand behind it)."""
    whole = b"".join((b"geoapp key file", *keys.seal, b"|", keys.hash, keys.derive))
    return hashlib.sha256(whole).hexdigest()[:16]


def _fresh() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()
