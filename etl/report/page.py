"""The quality report of an import: one HTML file, in Chinese and English, that asks no other machine for anything."""

from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from jinja2 import Environment, StrictUndefined

from etl.report.problem_map import MOST_PLACES, problem_map, problem_places
from etl.report.wrong_columns import wrong_columns
from geoapp.access.redaction import redact
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = ["report", "write_report"]

Connection = psycopg.Connection[dict[str, Any]]
_EACH, _MOST_ROWS = 3, 60
_LONGEST_SHOWN = 160
# By these a row is found again. Other columns, people's names and phones among them, are shown only where they are wrong.
_KEYS = frozenset(
    {"id", "code", "uscc", "gb_id", "number", "name", "address", "rule", "unit", "department", "site"}
)
ACCOUNT = (
    ("stored", "存入", "stored"),
    ("unchanged", "未变", "unchanged"),
    ("repaired", "修复后存入", "repaired and stored"),
    ("rejected", "留置", "kept aside"),
)
DIFFERENCE = (
    ("new", "新增", "new"),
    ("changed", "改动", "changed"),
    ("moved", "其中移动超过 5 米", "of these moved > 5 m"),
    ("gone", "文件中没有了", "not in the file any more"),
)


def write_report(
    connection: Connection, batch_id: int, target: Path, *, moment: datetime | None = None
) -> None:
    """Writes the report of a batch to `target` (see `report`)."""
    partial = target.with_name(f".{target.name}.part")
    try:
        partial.write_text(report(connection, batch_id, moment=moment), encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def report(connection: Connection, batch_id: int, *, moment: datetime | None = None) -> str:
    """The report of a batch as HTML. Reads views of analysis and staging, so an admin's connection is enough.

    `moment`: what counts as now (default: the clock). Raises Refused where there is no such batch.
    """
    batch = connection.execute(read_sql("staging/report_batch").encode(), {"batch_id": batch_id}).fetchone()
    if batch is None:
        raise Refused(f"没有批次 {batch_id} / there is no import {batch_id}. `geoapp load list` shows them.")
    places = problem_places(connection, batch_id)
    drawn, outside = problem_map(connection, places)
    in_all = places[0]["rows_in_all"] if places else 0
    with_place = places[0]["rows_with_place"] if places else 0
    few = {"batch_id": batch_id, "each": _EACH, "most": _MOST_ROWS}
    zone = ZoneInfo(batch["timezone"] or "Asia/Shanghai")

    def rows(name: str) -> list[dict[str, Any]]:
        return connection.execute(read_sql(f"staging/{name}").encode(), few).fetchall()

    return _template().render(
        b=batch,
        account=[(name, zh, en, batch[f"rows_{name}"]) for name, zh, en in ACCOUNT],
        difference=[(name, zh, en, batch[f"rows_{name}"]) for name, zh, en in DIFFERENCE],
        adds_up=batch["rows_in"] == sum(batch[f"rows_{name}"] for name, _, _ in ACCOUNT),
        reasons=rows("report_reasons"),
        rejected=[_shown(row, batch) for row in rows("report_rejected")],
        repairs=rows("report_repairs"),
        warnings=rows("report_warnings"),
        map=drawn,
        outside=outside,
        in_all=in_all,
        without_place=in_all - with_place,
        left_out=max(0, with_place - MOST_PLACES),
        most_places=MOST_PLACES,
        style=_text("report.css"),
        clock=lambda at: "—" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
        zone=zone.key,
        made_at=moment or datetime.now(UTC),
    )


def _shown(row: dict[str, Any], batch: dict[str, Any]) -> dict[str, Any]:
    """A row that was kept aside: by what it is known, and what a reason names, long values shortened."""
    used, held = batch["columns_used"], row["columns"]
    wrong = wrong_columns(row["reasons"], used, [*held])
    order = [*dict.fromkeys(column for field, column in used.items() if field in _KEYS and column in held)]
    order += [column for column in wrong if column not in order]
    cells = [(name, redact(held[name] or "")[:_LONGEST_SHOWN], name in wrong) for name in order]
    said = list(dict.fromkeys((reason["zh"], reason["en"]) for reason in row["reasons"]))
    return {"row_no": row["row_no"], "said": said, "cells": [cell for cell in cells if cell[1] or cell[2]]}


@lru_cache(maxsize=1)
def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["n"] = lambda value: f"{value:,}"
    return environment.from_string(_text("report.html"))


def _text(name: str) -> str:
    return files("etl.report").joinpath(name).read_text("utf-8")
