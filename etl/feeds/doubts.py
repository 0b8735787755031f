"""Whether what a feed brings looks like rubbish, compared with what the same files brought before."""

from typing import Any, NamedTuple

import psycopg

from etl.manifest import Manifest
from etl.result import SectionResult
from etl.sections import TARGETS
from geoapp.database.sql_files import read_sql

__all__ = ["MOST_GONE", "doubts"]

MOST_GONE = 0.5


class _Before(NamedTuple):
    taken: int
    rejected_share: float
    gone: int


def doubts(
    connection: psycopg.Connection[dict[str, Any]],
    manifest: Manifest,
    results: list[SectionResult],
    most_rejected: float,
) -> list[str]:
    """What is suspicious, one sentence each in both languages; asked inside the transaction of the load.

    More than `most_rejected` (0 to 1) of a file's rows kept aside, or less than half of its rows left, or more than
    half of them gone, where it was not so the last time that the file was loaded (by whomever).
    """
    ends_rows = {s.name for s in manifest.in_order() if s.gone == "retire" and TARGETS[s.name].retired_by}
    found: list[str] = []
    for result in results:
        before = _before(connection, result)
        if before is not None:
            found += _doubts(result, before, most_rejected, ends_rows=result.section in ends_rows)
    return found


def _before(connection: psycopg.Connection[dict[str, Any]], result: SectionResult) -> _Before | None:
    row = connection.execute(
        read_sql("staging/batch_before").encode(),
        {"section": result.section, "file": result.file, "batch_id": result.batch_id},
    ).fetchone()
    return None if row is None else _Before(**row)


def _doubts(result: SectionResult, before: _Before, most_rejected: float, *, ends_rows: bool) -> list[str]:
    what = f"{result.section}, {result.file}"
    found = []
    share = result.rejected / result.rows_in if result.rows_in else 0.0
    if share > most_rejected >= before.rejected_share:
        found.append(
            f"{what}: {share:.0%} 的行会被留置，上次是 {before.rejected_share:.0%} / {share:.0%} of the rows would be kept aside, "
            f"{before.rejected_share:.0%} the last time"
        )
    taken = result.rows_in - result.rejected
    if taken < (1 - MOST_GONE) * before.taken and not found:
        found.append(
            f"{what}: 只有 {taken:,} 行可用，上次 {before.taken:,} 行 / only {taken:,} usable rows, {before.taken:,} the last time"
        )
    # Rows that stay stored although the file lacks them are counted again each time.
    gone = result.gone - (0 if ends_rows else before.gone)
    if gone > MOST_GONE * before.taken and not found:
        found.append(
            f"{what}: 上次的 {before.taken:,} 行中有 {gone:,} 行不见了 / {gone:,} of the {before.taken:,} rows of the last time are gone"
        )
    return found
