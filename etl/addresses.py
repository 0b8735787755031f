"""A camera's address without the account and password that it may hold."""

import re
from typing import NamedTuple
from urllib.parse import unquote

from geoapp.access.redaction import redact

__all__ = ["PASSWORD", "USERNAME", "Address", "split_address", "star_address"]

# Where an address has to carry the secret itself, it is stored with these in its place; the watch fills them in.
USERNAME, PASSWORD = "{username}", "{password}"

_PARTS = re.compile(r"([a-z][a-z0-9+.-]*://)?([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:@\[\]]*)(:\d{1,5})?", re.IGNORECASE)
_PARAMETER = re.compile(r"([?&;])([^=&;#]+)=([^&;#]*)")
_PASSWORD_NAMES = frozenset(
    {"password", "passwd", "passcode", "pass", "pwd", "psw", "loginpas", "token", "access_token", "secret"}
)
_USER_NAMES = frozenset({"user", "username", "usr", "loginuse", "account"})


class Address(NamedTuple):
    """`text` is what may be stored; username and password are what it held, None where it held none."""

    text: str
    username: str | None
    password: str | None


def split_address(text: str) -> Address:
    """Takes user:password@ and parameters like pwd=… out of an address; a parameter's value becomes {password}.

    Raises ValueError, without the address in its text, for one that cannot be taken apart with certainty: an @ in its
    path (a password with an unescaped slash looks like that), several passwords, no valid host.
    """
    whole = _PARTS.fullmatch(text)
    assert whole is not None  # each part may be empty
    scheme, authority, tail = whole[1] or "", whole[2], whole[3]
    account, at, host = authority.rpartition("@")
    if "@" in tail or (at and not host) or not _HOST.fullmatch(host):
        raise ValueError("the address cannot be taken apart")
    users: list[str] = []
    passwords: list[str] = []
    if at:
        name, _, password = account.partition(":")
        users += [unquote(name)] if name else []
        passwords += [unquote(password)] if password else []
    named = [(m[2].lower(), m[3]) for m in _PARAMETER.finditer(tail)]
    has_password = any(name in _PASSWORD_NAMES and value not in ("", PASSWORD) for name, value in named)

    def kept(found: re.Match[str]) -> str:
        name, value = found[2].lower(), found[3]
        if name in _PASSWORD_NAMES and value not in ("", PASSWORD):
            passwords.append(unquote(value))
            return f"{found[1]}{found[2]}={PASSWORD}"
        if name in _USER_NAMES and has_password and value not in ("", USERNAME):
            users.append(unquote(value))
            return f"{found[1]}{found[2]}={USERNAME}"
        return found[0]

    tail = _PARAMETER.sub(kept, tail)
    if len(set(users)) > 1 or len(set(passwords)) > 1:
        raise ValueError("the address holds several accounts or passwords")
    stored = f"{scheme}{host}{tail}"
    # A secret under a name that is not known here would be stored in the open.
    open_part = _PARAMETER.sub(lambda m: "" if m[3] in ("", USERNAME, PASSWORD) else m[0], stored)
    if redact(open_part) != open_part:
        raise ValueError("the address holds something like a secret")
    return Address(stored, users[0] if users else None, passwords[0] if passwords else None)


def star_address(text: str) -> str:
    """An address for a row that is set aside: everything up to its last @ and every secret parameter starred."""
    return redact(re.sub(r"^(.*?://)?.*@", r"\1***@", text, flags=re.DOTALL))
