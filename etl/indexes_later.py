"""A table without its indexes and references while it is filled: made afterwards, each is built in one go."""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

__all__ = ["without_indexes"]

# For building indexes of millions of rows; the server's own setting is for its daily work.
_BUILD_MEMORY = "512MB"


def without_indexes(connection: psycopg.Connection[dict[str, Any]], table: str) -> Callable[[], None]:
    """Takes a table's indexes (but its primary key's), its unique constraints and its own references off, and its row
    triggers out of work; gives the function that puts all of it back as it was.

    For an empty table inside a transaction: others wait for its end, and a break leaves everything as it was. Row
    triggers may rest because a load is one record of the audit of its own (etl/batch.py), and nothing hangs on the rows
    of an empty table yet.
    """
    # References that are still to be checked at the end would forbid it: rows of this transaction are checked now.
    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    connection.execute("SET CONSTRAINTS ALL DEFERRED")
    constraints = connection.execute(
        "SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = %s::regclass"
        " AND contype IN ('u', 'f') ORDER BY contype DESC, conname",
        (table,),
    ).fetchall()
    name = sql.Identifier(*table.split("."))
    for constraint in constraints:
        connection.execute(
            sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(name, sql.Identifier(constraint["conname"]))
        )
    indexes = connection.execute(
        "SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index"
        " WHERE indrelid = %s::regclass AND NOT indisprimary AND NOT EXISTS"
        " (SELECT FROM pg_constraint AS c WHERE c.conindid = indexrelid) ORDER BY 1",
        (table,),
    ).fetchall()
    for index in indexes:
        connection.execute(f"DROP INDEX {index['name']}".encode())
    triggers = connection.execute(
        # tgtype's lowest bit: for each row
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgtype & 1 = 1"
        " AND tgenabled = 'O'",
        (table,),
    ).fetchall()
    _switch_triggers(connection, name, triggers, "DISABLE")

    def restore() -> None:
        connection.execute(f"SET LOCAL maintenance_work_mem = '{_BUILD_MEMORY}'".encode())
        _switch_triggers(connection, name, triggers, "ENABLE")
        for constraint in constraints:
            connection.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    name, sql.Identifier(constraint["conname"]), sql.SQL(constraint["definition"])
                )
            )
        for index in indexes:
            connection.execute(index["definition"].encode())
        # A rough picture is enough until the server's own housekeeping looks closer: 0.15 s instead of 0.9 s a million.
        connection.execute("SET LOCAL default_statistics_target = 20")
        connection.execute(sql.SQL("ANALYZE {}").format(name))
        connection.execute("SET LOCAL default_statistics_target TO DEFAULT")

    return restore


def _switch_triggers(
    connection: psycopg.Connection[dict[str, Any]],
    table: sql.Identifier,
    triggers: list[dict[str, Any]],
    how: str,
) -> None:
    for trigger in triggers:
        connection.execute(
            sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(
                table,
                sql.SQL(how),
                sql.Identifier(trigger["tgname"]),
            )
        )
