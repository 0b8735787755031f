"""An import taken back: rows that it brought are deleted, rows that it changed are as they were before it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from etl.batch import batch, record_batch
from etl.city_store import stored_city
from etl.ground import Ground
from etl.load import LOAD_LOCK
from etl.outlines import derive_outlines
from geoapp.database.connection import connect
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = ["TakenBack", "roll_back"]

Connection = psycopg.Connection[dict[str, Any]]
_LISTED = 5


class TakenBack(NamedTuple):
    """What became of a batch's rows."""

    batch_id: int
    section: str
    file: str
    deleted: int
    restored: int


class _Table(NamedTuple):
    name: str
    row_id: str
    columns: list[str]

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(*self.name.split("."))


def roll_back(
    url: str,
    *,
    batch_id: int | None = None,
    load_id: int | None = None,
    by: str,
    force: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> list[TakenBack]:
    """Takes back one batch, or all batches of a run, the last first; all or nothing, in one transaction.

    Raises Refused where there is no such batch or it is taken back already, where a later import changed its rows (that
    one has to go first), where something that was entered since hangs on a row, and, unless `force`, where a person
    changed a row since: their change would be lost.
    """
    with connect(url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOAD_LOCK,))
        batches = _batches(connection, batch_id, load_id)
        name = ",".join(str(b["id"]) for b in batches)
        tables = [
            _Table(**row) for row in connection.execute(read_sql("staging/batch_tables").encode()).fetchall()
        ]
        with batch(connection, f"rollback:{name}"):
            taken = [_take_back(connection, tables, one, by, force, say) for one in batches]
            _settle(connection, say)
            connection.execute(
                "UPDATE staging.load AS l SET state = 'rolled_back' WHERE l.id = ANY (%s) AND NOT EXISTS"
                " (SELECT FROM staging.batch AS b WHERE b.load_id = l.id AND b.rolled_back_at IS NULL)",
                ([b["load_id"] for b in batches],),
            )
    return taken


def _batches(connection: Connection, batch_id: int | None, load_id: int | None) -> list[dict[str, Any]]:
    found = connection.execute(
        "SELECT id, load_id, section, file, finished_at, rolled_back_at FROM staging.batch"
        " WHERE id = %s OR load_id = %s ORDER BY id DESC",
        (batch_id, load_id),
    ).fetchall()
    if not found:
        raise Refused(
            f"没有这个批次 / there is no import {batch_id or load_id}. `geoapp load list` shows them."
        )
    left = [row for row in found if row["rolled_back_at"] is None]
    if not left:
        raise Refused("已经撤销过了 / it is taken back already; nothing was changed.")
    return left


def _take_back(
    connection: Connection,
    tables: list[_Table],
    one: dict[str, Any],
    by: str,
    force: bool,
    say: Callable[[str], None],
) -> TakenBack:
    say(f"{one['section']} {one['file']}")
    _refuse_if_overtaken(connection, one)
    deleted = restored = 0
    for table in tables:
        if not force:
            _refuse_if_edited(connection, table, one)
        deleted += _delete(connection, table, one)
    for table in reversed(tables):
        restored += _restore(connection, table, one["id"])
    connection.execute(
        "UPDATE staging.batch SET rolled_back_at = clock_timestamp(), rolled_back_by = %s WHERE id = %s",
        (by, one["id"]),
    )
    detail = {
        "section": one["section"],
        "file": one["file"],
        "deleted": deleted,
        "restored": restored,
        "by": by,
    }
    record_batch(connection, "rollback", "staging.batch", one["id"], detail)
    return TakenBack(one["id"], one["section"], one["file"], deleted, restored)


def _refuse_if_overtaken(connection: Connection, one: dict[str, Any]) -> None:
    later = connection.execute(
        "SELECT DISTINCT c.batch_id, b.file FROM staging.change AS c JOIN staging.batch AS b ON b.id = c.batch_id"
        " WHERE c.before ->> 'batch_id' = %s AND b.rolled_back_at IS NULL ORDER BY 1",
        (str(one["id"]),),
    ).fetchall()
    if later:
        shown = ", ".join(f"{row['batch_id']} ({row['file']})" for row in later)
        raise Refused(
            f"批次 {one['id']} 的行后来被别的导入改过 / rows of batch {one['id']} were changed by later imports: {shown}.\n"
            "  先撤销它们 / take those back first. Nothing was changed."
        )


def _rows_of(table: _Table, batch_id: int) -> sql.Composable:
    """Condition on rows `t` that the batch brought: they carry its number, and were nothing before."""
    return sql.SQL(
        "t.batch_id = {batch} AND NOT EXISTS (SELECT FROM staging.change AS c WHERE c.batch_id = {batch}"
        " AND c.register = {register} AND c.row_id = t.{id}::text)"
    ).format(batch=sql.Literal(batch_id), register=sql.Literal(table.name), id=sql.Identifier(table.row_id))


def _refuse_if_edited(connection: Connection, table: _Table, one: dict[str, Any]) -> None:
    edited = connection.execute(
        sql.SQL(
            "SELECT a.subject_id, a.login, count(*) OVER () AS n FROM {table} AS t"
            " JOIN access.audit AS a ON a.subject = {register} AND a.subject_id = t.{id}::text"
            " WHERE t.batch_id = {batch} AND a.at > {since} AND a.action IN ('update', 'insert') LIMIT {n}"
        ).format(
            table=table.identifier,
            register=sql.Literal(table.name),
            id=sql.Identifier(table.row_id),
            batch=sql.Literal(one["id"]),
            since=sql.Literal(one["finished_at"]),
            n=sql.Literal(_LISTED),
        )
    ).fetchall()
    if edited:
        shown = ", ".join(f"{row['subject_id']} ({row['login'] or '?'})" for row in edited)
        raise Refused(
            f"{table.name}: 有 {edited[0]['n']} 处在导入之后由人改过 / {edited[0]['n']} change(s) were made by people since: {shown}.\n"
            "  撤销会丢掉这些修改；确认要丢，请加 --force / taking the import back would lose them; --force does it all the same."
        )


def _delete(connection: Connection, table: _Table, one: dict[str, Any]) -> int:
    condition = _rows_of(table, one["id"])
    if table.name == "registry.camera":
        connection.execute(
            sql.SQL(
                "DELETE FROM access.secret AS s USING registry.camera AS t"
                " WHERE s.subject_kind = 'camera' AND s.subject_id = t.gb_id AND {}"
            ).format(condition)
        )
    try:
        with connection.transaction():
            gone = connection.execute(
                sql.SQL("DELETE FROM {} AS t WHERE {} RETURNING t.{}::text AS id").format(
                    table.identifier, condition, sql.Identifier(table.row_id)
                )
            ).fetchall()
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            connection.execute("SET CONSTRAINTS ALL DEFERRED")
    except psycopg.errors.ForeignKeyViolation as fault:
        raise Refused(
            f"批次 {one['id']}（{one['file']}）的行已被引用，不能撤销 / rows of batch {one['id']} are in use and cannot be taken back: "
            f"{fault.diag.message_detail or fault.diag.message_primary}\n"
            "  先处理引用它们的记录，或先撤销后来的导入 / settle those records first, or take later imports back first. Nothing was changed."
        ) from None
    if table.name == "territory.grid_cell" and gone:
        # A cell that never should have been leaves no history: its code may come again, in a corrected file.
        connection.execute(
            "DELETE FROM territory.grid_cell_history WHERE code = ANY (%s) AND valid_to = now()",
            ([row["id"] for row in gone],),
        )
    return len(gone)


def _restore(connection: Connection, table: _Table, batch_id: int) -> int:
    columns = [c for c in table.columns if c not in (table.row_id, "version")]
    sets = sql.SQL(", ").join(sql.SQL("{0} = r.{0}").format(sql.Identifier(c)) for c in columns)
    # A version only ever rises: what was restored is a new state.
    if "version" in table.columns and table.name != "territory.grid_cell":
        sets = sql.SQL("{}, version = t.version + 1").format(sets)
    done = connection.execute(
        sql.SQL(
            "UPDATE {table} AS t SET {sets} FROM staging.change AS c, jsonb_populate_record(NULL::{table}, c.before) AS r"
            " WHERE c.batch_id = {batch} AND c.register = {register} AND t.{id}::text = c.row_id"
        ).format(
            table=table.identifier,
            sets=sets,
            batch=sql.Literal(batch_id),
            register=sql.Literal(table.name),
            id=sql.Identifier(table.row_id),
        )
    )
    return done.rowcount


def _settle(connection: Connection, say: Callable[[str], None]) -> None:
    city = stored_city(connection)
    if city is None:
        return
    say("行政区边界 / outlines")
    # Outlines that were made from what is gone now are made anew from what is left, or are none.
    connection.execute(read_sql("staging/outlines_without_parts").encode())
    derive_outlines(Ground(connection, city))
    connection.execute(read_sql("staging/place_again").encode())
