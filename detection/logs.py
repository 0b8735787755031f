"""Logs of the watch: lines for a person at a terminal, JSON for a machine; no secret in either."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# Account and password before the host of any address, and the value of any parameter that is named like a secret.
_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@'\"]+@", re.IGNORECASE)
_PARAMETER = re.compile(
    r"((?:pass(?:word|wd)?|pwd|token|secret|api_?key|auth(?:orization)?|sign(?:ature)?)\s*[=:]\s*)[^\s&;,'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text without accounts in addresses and without values of secret parameters."""
    return _PARAMETER.sub(r"\1***", _USERINFO.sub(r"\1***@", text))


def _redact_event(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redact(value)
    return event


def configure_logs(*, as_json: bool | None = None) -> None:
    """Structured lines on standard error, with UTC time. as_json None: JSON unless a person is watching."""
    machine = not sys.stderr.isatty() if as_json is None else as_json
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _redact_event,
            structlog.processors.JSONRenderer(ensure_ascii=False)
            if machine
            else structlog.dev.ConsoleRenderer(),
        ],
        # Standard error as it is when a line is written: it may have been replaced since.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries that would print addresses (httpx) or the same fault again and again.
    for name in ("httpx", "httpcore", "apscheduler", "psycopg", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.ERROR)
