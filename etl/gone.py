"""Rows that an earlier version of a file brought, and that the file does not hold any more."""

from datetime import date
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from psycopg import sql

from etl.binary_copy import HEADER, TRAILER, encode
from etl.manifest import Section
from etl.readers import Table
from etl.result import SectionResult
from etl.store import MATCH, Target, keep_before

__all__ = ["Gone"]

_EXAMPLES = 20


class Gone:
    """Notes which stored rows a file still holds, and says at its end which are gone.

    Asked only where an earlier batch of the same file stored rows. They are kept, unless the manifest says `gone:
    retire`: then they end with the day of the import, and stay in the register.
    """

    def __init__(
        self,
        connection: psycopg.Connection[dict[str, Any]],
        section: Section,
        target: Target,
        result: SectionResult,
        *,
        is_asked: bool,
    ) -> None:
        self._connection, self._section, self._target, self._result = connection, section, target, result
        earlier = connection.execute(
            "SELECT array_agg(id) AS ids FROM staging.batch WHERE section = %s AND file = %s AND id < %s"
            " AND rolled_back_at IS NULL AND NOT is_correction",
            (result.section, result.file, result.batch_id),
        ).fetchone()
        assert earlier is not None
        self._earlier: list[int] = (earlier["ids"] or []) if is_asked and target.has_batch else []
        if self._earlier:
            connection.execute("DROP TABLE IF EXISTS pg_temp.held")
            connection.execute("CREATE TEMP TABLE held (key text) ON COMMIT DROP")

    def note(self, values: dict[str, Any], table: Table, accepted: NDArray[np.bool_]) -> None:
        """The keys of a chunk, rows that are kept aside included: a row with a fault is not a row that is gone."""
        if not self._earlier:
            return
        names = [MATCH] if MATCH in values else [self._target.key]
        names += [key for key in self._target.alternative_keys if key in values]
        names += [self._target.key] if MATCH in values and self._target.key in values else []
        with self._connection.cursor().copy("COPY pg_temp.held FROM STDIN (FORMAT binary)") as copy:
            copy.write(HEADER)
            for name in names:
                prefix = "id:" if name == MATCH else f"{name}:"
                keys = pa.array(values[name]).drop_null().cast(pa.string())
                body = encode({"key": pc.binary_join_element_wise(prefix, keys, "")}, {"key": "text"}, srid=0)
                copy.write(body.to_pybytes())
            copy.write(TRAILER)

    def settle(self, today: date) -> None:
        """Counts the rows that are gone, and ends them where the manifest asks for it."""
        if not self._earlier:
            return
        target = self._target
        names = {"id": target.row_id} if target.row_id == "id" else {}
        names |= {key: key for key in (target.key, *target.alternative_keys)}
        held = sql.SQL(" AND ").join(
            sql.SQL(
                "NOT EXISTS (SELECT FROM pg_temp.held AS h WHERE h.key = {prefix} || t.{column}::text)"
            ).format(prefix=sql.Literal(f"{prefix}:"), column=sql.Identifier(column))
            for prefix, column in names.items()
        )
        still = (
            sql.SQL(" AND t.{} IS NULL").format(sql.Identifier(target.retired_by))
            if target.retired_by
            else sql.SQL("")
        )
        where = sql.SQL("WHERE t.batch_id = ANY ({earlier}) AND {held}{still}").format(
            earlier=sql.Literal(self._earlier), held=held, still=still
        )
        self._connection.execute("CREATE INDEX ON pg_temp.held (key)")
        self._connection.execute("ANALYZE pg_temp.held")
        count = self._connection.execute(
            sql.SQL("SELECT count(*) AS n FROM {} AS t {}").format(target.identifier, where)
        ).fetchone()
        assert count is not None
        self._result.gone = count["n"]
        if not self._result.gone:
            return
        shown = sql.SQL(", ").join(
            sql.SQL("t.{}").format(sql.Identifier(c))
            for c in dict.fromkeys((target.key, *target.alternative_keys, target.name))
        )
        self._result.difference["gone"] = self._connection.execute(
            sql.SQL("SELECT {} FROM {} AS t {} ORDER BY t.{} LIMIT {}").format(
                shown, target.identifier, where, sql.Identifier(target.row_id), sql.Literal(_EXAMPLES)
            )
        ).fetchall()
        self._retire(where, today)

    def _retire(self, where: sql.Composable, today: date) -> None:
        target, result = self._target, self._result
        if self._section.gone == "keep" or target.retired_by is None:
            result.notices.append(
                f"{result.gone} 行在文件的新版本中没有了，仍保留在库中 / row(s) of an earlier version of this file are not in it any "
                "more; they stay stored (`gone: retire` in the manifest would end them)"
            )
            return
        keep_before(self._connection, target, result.batch_id, where)
        self._connection.execute(
            sql.SQL("UPDATE {} AS t SET {} = {} {}").format(
                target.identifier, sql.Identifier(target.retired_by), sql.Literal(today), where
            )
        )
        result.notices.append(
            f"{result.gone} 行在文件的新版本中没有了，自 {today} 起停用 / row(s) are not in the file any more and end on {today}"
        )
