"""What was found in the rows of a file, written to staging chunk by chunk: kept aside, repaired, to be looked at."""

from collections import Counter
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray

from etl.binary_copy import Places
from etl.kept_aside import plain, row_as_json
from etl.manifest import Section
from etl.readers import Table
from etl.reasons import REASONS, Finding, Findings, Repair
from geoapp.access.redaction import redact

__all__ = ["LISTED", "Notes"]

LISTED = 1000
"""Rows that a result lists itself; all of them are in staging."""


class Notes:
    """The findings of one file's rows. Repairs wait in a temporary table until it is known which rows were written."""

    def __init__(
        self, connection: psycopg.Connection[dict[str, Any]], section: Section, batch_id: int, srid: int
    ) -> None:
        self._connection, self._section, self._batch_id, self._srid = connection, section, batch_id, srid
        self.reasons: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self.rejected = 0
        self.warned = 0
        self.rejected_rows: list[dict[str, Any]] = []
        self._mended = 0

    def write(self, table: Table, findings: Findings, geom: Places | NDArray[np.object_] | None) -> None:
        """Keeps what was found in a chunk. `geom`: where its rows lie (metres of the city's zone), as far as known."""
        self._count(findings)
        if findings.reasons:
            self._write_rejected(table, findings, geom)
        accepted = findings.accepted
        kept = {row: found for row, found in findings.warnings.items() if accepted[row]}
        if kept:
            self._write_warnings(table, kept, geom)
        mended = {row: found for row, found in findings.repairs.items() if accepted[row]}
        if mended:
            self._write_mended(table, mended, geom)

    def _count(self, findings: Findings) -> None:
        self.reasons.update(dict(findings.top()))
        self.rejected += len(findings.reasons)

    def _place(self, geom: Places | NDArray[np.object_] | None, row: int) -> str | None:
        if isinstance(geom, Places):
            known = np.isfinite(geom.x[row]) and np.isfinite(geom.y[row])
            return f"SRID={self._srid};POINT({geom.x[row]} {geom.y[row]})" if known else None
        if geom is None or geom[row] is None or shapely.is_empty(geom[row]):
            return None
        point = (
            shapely.point_on_surface(geom[row])
            if shapely.is_valid(geom[row])
            else shapely.centroid(geom[row])
        )
        return f"SRID={self._srid};{point.wkt}"

    def _write_rejected(
        self, table: Table, findings: Findings, geom: Places | NDArray[np.object_] | None
    ) -> None:
        with self._connection.cursor().copy(
            "COPY staging.rejected (batch_id, row_no, reason_code, field, reason_zh, reason_en, fix_zh, fix_en, place, columns)"
            " FROM STDIN"
        ) as copy:
            for row in sorted(findings.reasons):
                columns = row_as_json(table, row, self._section, findings)
                place = self._place(geom, row)
                number = int(table.row_no[row])
                for found in findings.reasons[row]:
                    reason = REASONS[found.code]
                    fix = (reason.fix_zh, reason.fix_en)
                    copy.write_row((self._batch_id, number, *_said(found), *fix, place, columns))
                if len(self.rejected_rows) < LISTED:
                    said = [
                        {**found._asdict(), "zh": plain(found.zh), "en": plain(found.en)}
                        for found in findings.reasons[row]
                    ]
                    self.rejected_rows.append({"row_no": number, "reasons": said})

    def _write_warnings(
        self, table: Table, kept: dict[int, list[Finding]], geom: Places | NDArray[np.object_] | None
    ) -> None:
        self.warned += len(kept)
        with self._connection.cursor().copy(
            "COPY staging.warning (batch_id, row_no, reason_code, field, reason_zh, reason_en, fix_zh, fix_en, place) FROM STDIN"
        ) as copy:
            for row, found in sorted(kept.items()):
                self.warnings.update({one.code for one in found})
                for one in found:
                    reason = REASONS[one.code]
                    fix = (reason.fix_zh, reason.fix_en)
                    copy.write_row(
                        (self._batch_id, int(table.row_no[row]), *_said(one), *fix, self._place(geom, row))
                    )

    def _write_mended(
        self, table: Table, mended: dict[int, list[Repair]], geom: Places | NDArray[np.object_] | None
    ) -> None:
        if not self._mended:
            self._connection.execute("DROP TABLE IF EXISTS pg_temp.mended")
            self._connection.execute(
                "CREATE TEMP TABLE mended ON COMMIT DROP AS"
                " SELECT row_no, reason_code, field, reason_zh, reason_en, before, after, place FROM staging.repaired WITH NO DATA"
            )
        self._mended += len(mended)
        with self._connection.cursor().copy("COPY pg_temp.mended FROM STDIN") as copy:
            for row, changes in sorted(mended.items()):
                for change in changes:
                    reason = REASONS[change.code]
                    before, after = change.before, change.after
                    if change.field != "geometry":
                        before, after = redact(before), redact(after)
                    said = (change.code, change.field, reason.zh, reason.en)
                    copy.write_row(
                        (int(table.row_no[row]), *said, plain(before), plain(after), self._place(geom, row))
                    )

    def repaired(self, unchanged: Any) -> tuple[int, list[dict[str, Any]]]:
        """Moves the repairs of rows that were written to staging.repaired: how many rows, and the first of them.

        `unchanged` gives which of some row numbers were stored already as they are now.
        """
        if not self._mended:
            return 0, []
        rows = self._connection.execute("SELECT DISTINCT row_no FROM pg_temp.mended").fetchall()
        numbers = np.array([row["row_no"] for row in rows], dtype=np.int64)
        same = unchanged(numbers)
        self._connection.execute("DELETE FROM pg_temp.mended WHERE row_no = ANY (%s)", (list(same),))
        self._connection.execute(
            "INSERT INTO staging.repaired (batch_id, row_no, reason_code, field, reason_zh, reason_en, before, after, place)"
            " SELECT %s, * FROM pg_temp.mended ORDER BY row_no",
            (self._batch_id,),
        )
        listed = self._connection.execute(
            "SELECT row_no, reason_code AS code, field, before, after FROM pg_temp.mended ORDER BY row_no LIMIT %s",
            (LISTED,),
        ).fetchall()
        return len(numbers) - len(same), listed


def _said(found: Finding) -> tuple[str, str | None, str, str]:
    return found.code, found.field, plain(found.zh), plain(found.en)
