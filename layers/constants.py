"""The constants of the formulas on the command line: which hold, since when, and a new value with its reason."""

import math
from datetime import datetime
from typing import Any

import psycopg

from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = ["constants_at", "set_constants"]

Connection = psycopg.Connection[dict[str, Any]]


def constants_at(connection: Connection, moment: datetime, pattern: str = "") -> list[dict[str, Any]]:
    """The constants in force at a moment, with unit, note, since when (None = since ever), by whom and why."""
    return connection.execute(
        read_sql("layers/constants").encode(), {"at": moment, "pattern": pattern}
    ).fetchall()


def set_constants(connection: Connection, settings: list[str], reason: str) -> list[dict[str, Any]]:
    """Gives constants new values ("name=value" each), all or none, from now on; name, former and new value of each.

    Raises Refused for a text that is no setting, an unknown name, a value that no formula can use, or no reason.
    """
    if not reason.strip():
        raise Refused(
            "请用 --reason 说明原因，会写入审计 / say why with --reason: it goes into the audit. Nothing was changed."
        )
    wanted = dict(_setting(text) for text in settings)
    done = []
    with connection.transaction():
        connection.execute("SELECT set_config('geoapp.reason', %s, true)", (reason.strip(),))
        for name, value in wanted.items():
            row = connection.execute(
                "SELECT value FROM analysis.parameter WHERE name = %s FOR UPDATE", (name,)
            ).fetchone()
            if row is None:
                raise Refused(
                    f"没有常数 {name} / no constant {name!r}: geoapp layers parameters lists them. Nothing was changed."
                )
            try:
                connection.execute("UPDATE analysis.parameter SET value = %s WHERE name = %s", (value, name))
            except psycopg.errors.CheckViolation as fault:
                raise Refused(
                    f"{name} 不能是 {value:g} / {name} cannot be {value:g}: no score could be worked out with it. Nothing was changed."
                ) from fault
            done.append({"name": name, "before": row["value"], "after": value})
    return done


def _setting(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not name.strip() or not math.isfinite(number):
        raise Refused(f"不是 名称=数值：{text} / not name=number: {text!r}. Nothing was changed.")
    return name.strip(), number
