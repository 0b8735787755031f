"""What goes out says no secret: logs, messages, pages, rows kept aside.

`redact` knows secrets by their form, not by their value, and covers too much rather than too little. It is the second
line: a secret that is never put into a text needs no redaction.
"""

from __future__ import annotations

import base64
import binascii
import logging
import re
import sys
import threading
import traceback
import unicodedata
from collections.abc import Mapping, MutableMapping
from datetime import date
from types import TracebackType
from typing import Any

import structlog

__all__ = ["MASK", "install", "is_secret_name", "mask_id_numbers", "redact", "redact_event", "redact_values"]

MASK = "***"

# Lengths are bounded, so that no text, however made, holds up a log: what is not read is not passed on either.
_LONGEST = 100_000
_NAME = (
    r"(?:pass(?:word|wd|phrase|code)?|pwd|secret|(?:[a-z]{1,12}[_-])?token|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"client[_-]?secret|credentials?|csrf|auth|sign(?:ature)?|密码|口令|密钥|令牌)"
)
_USERINFO = re.compile(r"(://)[^\s\"<>/?#]{0,1024}@")
# An unescaped slash or question mark in a password: account, colon, anything up to the last @ of the word.
_LOOSE_USERINFO = re.compile(r"(://)[^\s\"<>/?#@:]{0,256}:[^\s\"<>]{1,1024}@")
_ENCODED_USERINFO = re.compile(r"(%3A%2F%2F)[^\s\"<>&]{1,1024}%40", re.IGNORECASE)
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-csrf-?token)\b(?P<mid>[\"']?\s{0,8}[:=]\s{0,8}b?|[\"']\s{0,8},\s{0,8}b?)"
    r"(?:\"(?P<double>[^\"\r\n]*)\"|'(?P<single>[^'\r\n]*)'|[^\r\n]+)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(
    rf"((?:(?<![a-z])|(?<=%[0-9a-f][0-9a-f])){_NAME}(?:_[a-z0-9]{{1,20}})?)(?P<mid>[\"']?\s{{0,8}}(?:=|:|：|%3D)\s{{0,8}})"
    r"(?P<value>\"(?:[^\"\\\r\n]|\\.)*\"|'(?:[^'\\\r\n]|\\.)*'|\\{1,3}\"[^\"\r\n]*\"|[\"'][^\r\n]*"
    r"|(?:(?!&\w{1,40}=|%26\w{1,40}%3D)[^\s\"<>])+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer|Token)(\s{1,8})[A-Za-z0-9._~+/=-]{12,}", re.IGNORECASE)
_BASIC = re.compile(r"\b(Basic)(\s{1,8})([A-Za-z0-9+/_-]{4,}={0,2})", re.IGNORECASE)
_DIGEST = re.compile(r"\b(Digest)(\s{1,8})\w{1,20}\s?=[^\r\n]+", re.IGNORECASE)
_TOKEN = re.compile(r"(?<![A-Za-z0-9])ga_[A-Za-z0-9_-]{8,}")
# A resident's number: 6 of the place, 8 (formerly 6) of the birth, 3 (and a check) of the person.
_ID_18 = re.compile(r"(?<![0-9A-Za-z])(T?)(\d{6})([ -]?)(\d{8})\3(\d{3}[\dXxＸｘ])(?![0-9A-Za-z])")
_ID_15 = re.compile(r"(?<![0-9A-Za-z.])(T?)(\d{6})(\d{6})(\d{3})(?![0-9A-Za-z])")
_PROVINCES = frozenset(
    (
        *range(11, 16),
        *range(21, 24),
        *range(31, 38),
        *range(41, 47),
        *range(50, 55),
        *range(61, 66),
        71,
        81,
        82,
        83,
    )
)
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS = "10X98765432"
_SECRET_NAME = re.compile(
    rf"(?<![a-z]){_NAME}(?![a-z])|cookie|authorization|身份证|证件号|id_?card|id_?number", re.IGNORECASE
)
# Names that hold one of those words and no secret.
_HARMLESS = re.compile(r"_(?:set_)?at$|_hash$|_id$|^sign$|^auth$", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with every secret that has a known form replaced by *** (ID numbers: 310***********1234).

    Accounts and passwords in addresses, values of parameters named like a secret, headers that carry credentials,
    tokens, and ID and certificate numbers. A text of more than 100 000 characters is cut there.
    """
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} … ({len(text) - _LONGEST} more characters)"
    text = _HEADER.sub(_header_masked, text)
    text = _LOOSE_USERINFO.sub(rf"\1{MASK}@", text)
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    text = _ENCODED_USERINFO.sub(rf"\1{MASK}%40", text)
    text = _PARAMETER.sub(_parameter_masked, text)
    text = _BEARER.sub(rf"\1\2{MASK}", text)
    text = _BASIC.sub(_basic_masked, text)
    text = _DIGEST.sub(rf"\1\2{MASK}", text)
    text = _TOKEN.sub(f"ga_{MASK}", text)
    return mask_id_numbers(text)


def mask_id_numbers(text: str) -> str:
    """The text with ID numbers (18 digits with the right check digit, 15 with a date) and certificate numbers masked.

    Three digits of the place and the last four are kept: enough to find the row again, too little to know the person.
    """
    if not any(character.isdigit() for character in text):
        return text
    return _ID_15.sub(_id_15_masked, _ID_18.sub(_id_18_masked, text))


def is_secret_name(name: str) -> bool:
    """Whether a field, column or parameter of this name holds a secret or an ID number."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS.search(name)


def redact_values(value: Any, name: str = "") -> Any:
    """A value with all texts in it redacted, at any depth; texts under a secret's name are replaced as a whole."""
    if isinstance(value, str):
        return MASK if value and is_secret_name(name) else redact(value)
    if isinstance(value, bytes | bytearray):
        return MASK if is_secret_name(name) else redact(bytes(value).decode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return {key: redact_values(held, str(key)) for key, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_values(held, name) for held in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))


def redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor; it stands last before the renderer, after the one that writes out exceptions."""
    for key, value in event.items():
        event[key] = redact_values(value, "" if key == "event" else key)
    return event


class Redacting(logging.Filter):
    """Redacts a record of the standard library's logging, its traceback included. Lets every record through."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("uvicorn") and isinstance(record.args, tuple) and record.args:
            record.args = tuple(redact_values(a) for a in record.args)  # its formatters take them one by one
        else:
            try:
                said = record.getMessage()
            except Exception:  # a wrong format string: logging itself would print the arguments
                said = f"{record.msg} (a log line whose arguments do not fit)"
            record.msg, record.args = redact(said), None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip())
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def install() -> None:
    """Makes this process redact what it logs, by structlog or the standard library, and its tracebacks.

    Records are redacted when they are made, so handlers that are added later need nothing. A structlog that is
    configured elsewhere needs `redact_event` in its own list. A second call changes nothing.
    """
    if getattr(logging.getLogRecordFactory(), "is_redacting", False):
        return
    make, redacting = logging.getLogRecordFactory(), Redacting()

    def record(*arguments: Any, **named: Any) -> logging.LogRecord:
        made = make(*arguments, **named)
        redacting.filter(made)
        return made

    record.is_redacting = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(record)
    sys.excepthook = _say_exception
    threading.excepthook = _say_thread_exception
    if not structlog.is_configured():
        *first, renderer = structlog.get_config()["processors"]
        structlog.configure(processors=[*first, structlog.processors.format_exc_info, redact_event, renderer])


def _say_exception(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, fault, trace))))


def _say_thread_exception(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit or arguments.exc_value is None:
        return
    name = arguments.thread.name if arguments.thread else "?"
    sys.stderr.write(f"Exception in thread {name}:\n")
    _say_exception(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def _header_masked(found: re.Match[str]) -> str:
    quote = '"' if found["double"] is not None else "'" if found["single"] is not None else ""
    return f"{found[1]}{found['mid']}{quote}{MASK}{quote}"


def _parameter_masked(found: re.Match[str]) -> str:
    """Quotes stay, so that JSON stays JSON."""
    quote = re.match(r"(\\{0,3}[\"'])(?:.*\1)$", found["value"], re.DOTALL)
    edge = quote[1] if quote else ""
    # "password=x, user=y": the comma is the sentence's.
    end = "" if quote else found["value"][len(found["value"].rstrip(",;)]}")) :]
    return f"{found[1]}{found['mid']}{edge}{MASK}{edge}{end}"


def _basic_masked(found: re.Match[str]) -> str:
    """Only what is an account and a password in base64: "basic authentication" is a word."""
    try:
        held = base64.b64decode(found[3] + "=" * (-len(found[3]) % 4), altchars=None)
    except (binascii.Error, ValueError):
        return found[0]
    return f"{found[1]}{found[2]}{MASK}" if b":" in held else found[0]


def _id_18_masked(found: re.Match[str]) -> str:
    digits = unicodedata.normalize("NFKC", found[2] + found[4] + found[5]).upper()
    right = _CHECK_DIGITS[sum(w * int(d) for w, d in zip(_WEIGHTS, digits[:17], strict=True)) % 11]
    is_number = (
        int(digits[:2]) in _PROVINCES and _is_birthday(digits[6:14]) and digits[17] == right
    ) or found[1] == "T"
    return f"{found[1]}{digits[:3]}{'*' * 11}{digits[14:]}" if is_number else found[0]


def _id_15_masked(found: re.Match[str]) -> str:
    digits = unicodedata.normalize("NFKC", found[2] + found[3] + found[4])
    is_number = int(digits[:2]) in _PROVINCES and _is_birthday("19" + digits[6:12])
    return f"{found[1]}{digits[:3]}{'*' * 8}{digits[11:]}" if is_number else found[0]


def _is_birthday(digits: str) -> bool:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return 1850 <= born.year <= 2099
