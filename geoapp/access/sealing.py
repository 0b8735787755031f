"""Secrets at rest: sealed under a key that is not in the database, so that a dump of it gives nothing away.

AES-256-GCM with a random nonce. The associated data is the secret's place, "camera/<gb_id>/password", so that a sealed
value that is copied to another row does not open there. Keys are derived by HKDF (RFC 5869, SHA-256) from the
installation's key file, one for each purpose.
"""

import hashlib
import hmac
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

from geoapp.access import key_file
from geoapp.access.key_file import KEY_BYTES, KeyFile
from geoapp.errors import Refused
from geoapp.settings import settings

__all__ = [
    "SecretUnreadable",
    "derived",
    "forget_secrets",
    "forget_unreadable",
    "hash_under",
    "is_sealable",
    "key_fingerprint",
    "keyed_hash",
    "keys",
    "keys_in_use",
    "put_secret",
    "put_secrets",
    "replace_secrets",
    "rotate",
    "seal",
    "secret_of",
    "secrets_of",
    "unseal",
]

Connection = psycopg.Connection[dict[str, Any]]
# Writers of secrets hold it shared, a rotation alone; any constant that nothing else locks.
_ROTATION_LOCK = 748_116_316
_VERSION = b"\x01"
_NONCE_BYTES = 12
_WORD = re.compile(r"[a-z][a-z_]{0,39}")
_LONGEST_VALUE = 10_000


class SecretUnreadable(Refused):
    """A sealed value that this installation's key does not open: another key, another place, or damage."""


def keys(connection: Connection | None = None, *, path: Path | None = None) -> KeyFile:
    """The installation's keys, made at first use.

    With a connection, no new key file is made while the database holds sealed values: a fresh key would open none of
    them. Raises KeyFileRefused when the file is missing then, damaged, or open to others.
    """
    path = path or settings().key_path
    if not path.exists():
        if connection is not None and _has_secrets(connection):
            return key_file.read(path)  # says that it is missing, and what to do
        key_file.make_if_missing(path)
    return key_file.read(path)


def derived(label: str) -> bytes:
    """32 bytes that belong to this installation and this purpose; the same for the same label, always.

    Raises KeyFileRefused where the key file cannot be used.
    """
    return _purpose(keys().derive, f"derived: {label}")


def key_fingerprint() -> str:
    """Names the key file that is in use, 16 hex digits; unlike a key's id, it stays through rotations."""
    return hashlib.sha256(_purpose(keys().derive, "fingerprint")).hexdigest()[:16]


def keys_in_use(connection: Connection | None = None) -> list[str]:
    """Ids of the sealing keys in the key file, the one that seals first. As `keys` otherwise."""
    return [_key_id(key) for key in keys(connection).seal]


def seal(value: str, context: str, *, under: KeyFile | None = None) -> tuple[str, bytes]:
    """(id of the key, sealed bytes) of a text. It opens in the same `context` only."""
    key = (under or keys()).seal[0]
    nonce = os.urandom(_NONCE_BYTES)
    closed = AESGCM(_purpose(key, "sealing")).encrypt(nonce, value.encode(), _associated(context))
    return _key_id(key), _VERSION + nonce + closed


def unseal(key_id: str, sealed: bytes, context: str, *, under: KeyFile | None = None) -> SecretStr:
    """The text that was sealed in this context. Raises SecretUnreadable, in words, for all that does not open."""
    held = under or keys()
    key = next((key for key in held.seal if _key_id(key) == key_id), None)
    if key is None:
        raise SecretUnreadable(
            f"{context}: 是用另一把密钥 {key_id} 加密的，本机密钥文件里是 {_key_id(held.seal[0])} / was sealed under another key, "
            f"{key_id}; this installation's key file holds {_key_id(held.seal[0])}.\n"
            f"  放回原来的密钥文件 / Put the right key file at {settings().key_path}; if it is lost for good: "
            "geoapp secret forget-unreadable, then set the secrets again."
        )
    if sealed[:1] == _VERSION and len(sealed) > len(_VERSION) + _NONCE_BYTES:
        nonce, closed = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            opened = AESGCM(_purpose(key, "sealing")).decrypt(nonce, closed, _associated(context))
            return SecretStr(opened.decode())
        except (InvalidTag, UnicodeDecodeError):
            pass
    raise SecretUnreadable(
        f"{context}: 加密内容被改动或属于别处 / the sealed value was altered, or belongs to another row.\n"
        "  重新设置 / Set it again: geoapp secret set …"
    )


def keyed_hash(value: str) -> str:
    """HMAC-SHA256, 64 hex digits, of an ID or certificate number under the installation's own key.

    The number is normalised first (NFKC, capitals, no blanks), so that one person has one hash. Raises ValueError for
    a blank. The key is needed because numbers alone are few: a plain hash of every possible one is quickly computed.
    """
    return hash_under(_purpose(keys().hash, "keyed hash"), value)


def hash_under(key: bytes, value: str) -> str:
    """`keyed_hash` under a key of the caller's."""
    plain = "".join(unicodedata.normalize("NFKC", value).split()).upper()
    if not plain:
        raise ValueError("nothing to hash")
    return hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()


def put_secret(
    connection: Connection, kind: str, subject_id: str, field: str, value: str | SecretStr, by: str
) -> bool:
    """Seals and stores a secret, in the caller's transaction; False where the same value is stored already.

    kind, field: what it belongs to and which part, "camera" and "password"; by: who set it. Raises Refused for a
    value that is blank, longer than 10 000 characters or holds control characters, and KeyFileRefused.
    """
    return bool(put_secrets(connection, kind, {subject_id: {field: value}}, by))


def put_secrets(
    connection: Connection, kind: str, given: Mapping[str, Mapping[str, str | SecretStr]], by: str
) -> set[str]:
    """`put_secret` for many subjects of one kind, {id: {field: value}}; ids of those with a new or changed secret."""
    places = {}
    for subject_id, fields in given.items():
        for field, value in fields.items():
            text = value.get_secret_value() if isinstance(value, SecretStr) else value
            _refuse_unsealable(text, _context(kind, subject_id, field))
            places[subject_id, field] = text
    if not places:
        return set()
    # Before the keys are read: a rotation that is at work has them changed when it lets go.
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_ROTATION_LOCK,))
    held = keys(connection)
    stored = connection.execute(
        "SELECT subject_id, field, key_id, sealed FROM access.secret WHERE subject_kind = %s AND subject_id = ANY(%s)",
        (kind, list(given)),
    ).fetchall()
    for row in stored:
        place = row["subject_id"], row["field"]
        if place not in places:
            continue
        try:
            opened = unseal(row["key_id"], bytes(row["sealed"]), _context(kind, *place), under=held)
        except SecretUnreadable:
            continue  # what no key opens is replaced
        if opened.get_secret_value() == places[place]:
            del places[place]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO access.secret (subject_kind, subject_id, field, key_id, sealed, set_at, set_by)"
            " VALUES (%s, %s, %s, %s, %s, now(), %s) ON CONFLICT (subject_kind, subject_id, field) DO UPDATE"
            " SET key_id = excluded.key_id, sealed = excluded.sealed, set_at = excluded.set_at, set_by = excluded.set_by",
            [
                (kind, *place, *seal(text, _context(kind, *place), under=held), by)
                for place, text in places.items()
            ],
        )
    return {subject_id for subject_id, _ in places}


def replace_secrets(
    connection: Connection, kind: str, subject_id: str, given: Mapping[str, str | SecretStr], by: str | None
) -> None:
    """Seals and stores secrets of one subject without reading what is stored, in the caller's transaction.

    For whoever may set secrets and not read them: an admin. by: who set it; None = the database's own name of the caller.
    Raises as `put_secret` does.
    """
    texts = {f: v.get_secret_value() if isinstance(v, SecretStr) else v for f, v in given.items()}
    for field, text in texts.items():
        _refuse_unsealable(text, _context(kind, subject_id, field))
    if not texts:
        return
    connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (_ROTATION_LOCK,))
    held = keys(connection)
    connection.execute(
        "DELETE FROM access.secret WHERE subject_kind = %s AND subject_id = %s AND field = ANY(%s)",
        (kind, subject_id, list(texts)),
    )
    for field, text in texts.items():
        sealed = seal(text, _context(kind, subject_id, field), under=held)
        connection.execute(
            "INSERT INTO access.secret (subject_kind, subject_id, field, key_id, sealed) VALUES (%s, %s, %s, %s, %s)",
            (kind, subject_id, field, *sealed),
        )
    if by is not None:
        connection.execute(
            "UPDATE access.secret SET set_by = %s WHERE subject_kind = %s AND subject_id = %s AND field = ANY(%s)",
            (by, kind, subject_id, list(texts)),
        )


def is_sealable(text: str) -> bool:
    """Whether a text can be a secret: not blank, at most 10 000 characters, no control characters."""
    return 0 < len(text) <= _LONGEST_VALUE and not any(unicodedata.category(c) in ("Cc", "Cs") for c in text)


def _refuse_unsealable(text: str, context: str) -> None:
    if not is_sealable(text):
        raise Refused(
            f"{context}: 为空、过长或含控制字符 / is blank, too long or holds control characters; nothing was stored."
        )


def secret_of(connection: Connection, kind: str, subject_id: str, field: str) -> SecretStr | None:
    """The stored secret, None where none is stored. Raises SecretUnreadable and KeyFileRefused."""
    return secrets_of(connection, kind, subject_id, [field]).get(field)


def secrets_of(
    connection: Connection, kind: str, subject_id: str, fields: Iterable[str]
) -> dict[str, SecretStr]:
    """The stored secrets of one subject, by field. Raises SecretUnreadable and KeyFileRefused."""
    rows = connection.execute(
        "SELECT field, key_id, sealed FROM access.secret"
        " WHERE subject_kind = %s AND subject_id = %s AND field = ANY(%s)",
        (kind, subject_id, list(fields)),
    ).fetchall()
    if not rows:
        return {}
    held = keys(connection)
    return {
        row["field"]: unseal(
            row["key_id"], bytes(row["sealed"]), _context(kind, subject_id, row["field"]), under=held
        )
        for row in rows
    }


def forget_secrets(connection: Connection, kind: str, subject_id: str) -> int:
    """Removes all secrets of a subject; how many there were."""
    return connection.execute(
        "DELETE FROM access.secret WHERE subject_kind = %s AND subject_id = %s", (kind, subject_id)
    ).rowcount


def forget_unreadable(connection: Connection) -> list[str]:
    """Removes what this installation's key does not open; the places of what was removed."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ROTATION_LOCK,))
    held = keys()
    gone = []
    for row in connection.execute("SELECT * FROM access.secret").fetchall():
        place = _place(row)
        try:
            unseal(row["key_id"], bytes(row["sealed"]), _context(*place), under=held)
        except SecretUnreadable:
            connection.execute(
                "DELETE FROM access.secret WHERE subject_kind = %s AND subject_id = %s AND field = %s", place
            )
            gone.append(_context(*place))
    return gone


def rotate(connection: Connection) -> int:
    """Seals everything again under a new key; how many values.

    The connection must be in no transaction. At every moment the key file opens all that is stored: it holds both keys
    until the transaction is over, and its old form lies beside it (`….old`) until then, so that a rotation that was
    cut off is finished by the next one. Raises SecretUnreadable, with nothing changed, where a stored value does not
    open. Keyed hashes are not touched: what they were made of is not kept.
    """
    path = settings().key_path
    old = path.with_name(path.name + ".old")
    keys(connection)
    connection.commit()
    with key_file.locked(path):
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_ROTATION_LOCK,))
            before = key_file.read(path)
            opened = {
                _place(row): unseal(row["key_id"], bytes(row["sealed"]), _context(*_place(row)), under=before)
                for row in connection.execute("SELECT * FROM access.secret FOR UPDATE").fetchall()
            }
            both = before.with_new_seal()
            key_file.write(old, before)
            key_file.write(path, both)
            for place, value in opened.items():
                sealed_anew = seal(value.get_secret_value(), _context(*place), under=both)
                connection.execute(
                    "UPDATE access.secret SET key_id = %s, sealed = %s"
                    " WHERE subject_kind = %s AND subject_id = %s AND field = %s",
                    (*sealed_anew, *place),
                )
        # Nobody seals under the old key any more: writers read the file after they have the lock.
        key_file.write(path, both.without_old_seals())
        old.unlink(missing_ok=True)
    return len(opened)


def _has_secrets(connection: Connection) -> bool:
    return connection.execute("SELECT FROM access.secret LIMIT 1").fetchone() is not None


def _place(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["subject_kind"], row["subject_id"], row["field"]


def _context(kind: str, subject_id: str, field: str) -> str:
    """One text for one place: neither word holds a slash, so that no two places share it."""
    if not _WORD.fullmatch(kind) or not _WORD.fullmatch(field) or not subject_id:
        raise ValueError(f"not the place of a secret: {kind}/{subject_id}/{field}")
    return f"{kind}/{subject_id}/{field}"


def _associated(context: str) -> bytes:
    return b"geoapp secret\x00" + context.encode()


@lru_cache(maxsize=64)
def _purpose(key: bytes, label: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"geoapp/{label}".encode()).derive(key)


@lru_cache(maxsize=16)
def _key_id(key: bytes) -> str:
    return hashlib.sha256(_purpose(key, "key id")).hexdigest()[:16]
