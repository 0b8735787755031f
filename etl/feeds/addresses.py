"""Addresses of feeds: what may be seen of one, and what of it has to be sealed."""

import re
from typing import NamedTuple

import httpx

from geoapp.access.redaction import redact
from geoapp.errors import Refused

__all__ = ["SecretAddress", "is_address", "split_database_address", "split_web_address"]

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_DATABASE = re.compile(
    r"(?P<scheme>postgres(?:ql)?://)(?:(?P<account>.*)@)?(?P<place>[^?#@]*)(?P<rest>[?#].*)?", re.DOTALL
)


class SecretAddress(NamedTuple):
    """`shown` is what people may see and what is stored openly; `secret` the whole address where that is more."""

    shown: str
    secret: str | None


def is_address(source: str) -> bool:
    """Whether it has a scheme, and so is no folder."""
    return _SCHEME.match(source) is not None


def split_web_address(text: str) -> SecretAddress:
    """An http(s) address without account, password and the values of all parameters: what they are, nobody can know.

    Raises Refused for other schemes and for what is no address; its text does not hold the address.
    """
    scheme = text.split(":", 1)[0].lower()
    if scheme in ("postgres", "postgresql"):
        raise Refused(
            "--from: 数据库表写在清单里 / a table of a database is named in the manifest: "
            "`file: postgresql://…` and `layer: schema.table`; leave --from out."
        )
    if scheme not in ("http", "https"):
        raise Refused(
            f"--from {scheme}:… 不支持 / is not fetched: expected http:// or https://; for files here, name their folder."
        )
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError):
        raise Refused("--from: 不是合法的网址 / is not a well-formed address.") from None
    if not url.host or any(c.isspace() or not c.isprintable() for c in text):
        raise Refused("--from: 网址缺主机名或含空格 / the address lacks a host or holds blanks.")
    # A parameter without a value may be the secret itself.
    names = [f"{name}=***" if value else "***" for name, value in url.params.multi_items()]
    query = "?" + "&".join(dict.fromkeys(names)) if names else ""
    bare = url.copy_with(username=None, password=None, query=None, fragment=None)
    has_more = bool(url.userinfo or url.query)
    return SecretAddress(
        redact(str(bare)) + query, text if has_more or redact(str(bare)) != str(bare) else None
    )


def split_database_address(text: str) -> SecretAddress:
    """A PostgreSQL address without account and parameters. One whose password stands in the environment holds no secret."""
    found = _DATABASE.fullmatch(text)
    if found is None:
        raise Refused("file: 数据库地址写错了 / the address of the database is not well-formed.")
    password = (found["account"] or "").partition(":")[2]
    if "password" not in (found["rest"] or "") and (not password or re.fullmatch(r"\$\{\w+\}", password)):
        return SecretAddress(text, None)
    return SecretAddress(f"{found['scheme']}{found['place']}", text)
