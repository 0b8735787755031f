"""Logs of the processes that run by themselves, the watch and the feeds: lines for a person at a terminal, JSON for a machine; no secret in either."""

from __future__ import annotations

import logging
import sys

import structlog

from geoapp.access.redaction import install, redact_event


def configure_logs(*, as_json: bool | None = None) -> None:
    """Structured lines on standard error, with UTC time. as_json None: JSON unless a person is watching."""
    machine = not sys.stderr.isatty() if as_json is None else as_json
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact_event,
            structlog.processors.JSONRenderer(ensure_ascii=False)
            if machine
            else structlog.dev.ConsoleRenderer(),
        ],
        # Standard error as it is when a line is written: it may have been replaced since.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    install()
    # Libraries that would print addresses (httpx) or the same fault again and again.
    for name in ("httpx", "httpcore", "apscheduler", "psycopg", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.ERROR)
