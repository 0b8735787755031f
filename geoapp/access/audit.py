"""The audit, searched: who did, looked at, took out or was refused what. Which records are found is for the policies."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geoapp.access.caller import Connection
from geoapp.database.sql_files import read_sql

PAGE = 100
# What one file may hold; who needs more narrows the time.
EXPORT_LIMIT = 10_000

Row = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """What is looked for; a part left empty does not limit.

    since, until: aware moments (from, up to but not including); login: how the login begins; town: 12 digits; text: a
    part of the subject's id, the reason, the address, or of a value before or after; before_id: only older records.
    """

    since: datetime | None = None
    until: datetime | None = None
    login: str = ""
    action: str = ""
    subject: str = ""
    town: str = ""
    text: str = ""
    refused_only: bool = False
    before_id: int | None = None

    def parameters(self, limit: int) -> dict[str, Any]:
        """Parameters of sql/screens/audit.sql; wildcards of LIKE in the text are taken literally."""
        text = self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return {
            "since": self.since,
            "until": self.until,
            "login": self.login.strip().lower() or None,
            "action": self.action or None,
            "subject": self.subject or None,
            "town": self.town or None,
            "like": f"%{text}%" if text else None,
            "refused_only": self.refused_only,
            "before_id": self.before_id,
            "limit": limit,
        }


def found(connection: Connection, search: Search, limit: int = PAGE) -> list[Row]:
    """At most `limit` records, newest first, of those that the connection's role may see. `at` is aware (UTC offset of the session)."""
    return connection.execute(read_sql("screens/audit").encode(), search.parameters(limit)).fetchall()


def page(connection: Connection, search: Search) -> tuple[list[Row], int | None]:
    """One page and the before_id of the next, None where there is none."""
    rows = found(connection, search, PAGE + 1)
    return rows[:PAGE], rows[PAGE - 1]["id"] if len(rows) > PAGE else None


def exported(connection: Connection, search: Search, reason: str, ip: str | None = None) -> list[Row]:
    """The records that a file holds, at most EXPORT_LIMIT; that they were taken out, and what for, is on record in the same transaction.

    Raises psycopg.errors.InsufficientPrivilege for a role that may not export.
    """
    rows = found(connection, search, EXPORT_LIMIT)
    asked = {k: str(v) for k, v in vars(search).items() if v}
    connection.execute(
        "SELECT access.record_export('audit', 'csv', %s, %s, %s::inet, %s::jsonb)",
        (len(rows), reason, ip, _json(asked)),
    )
    return rows


def differences(row: Row) -> list[tuple[str, Any, Any]]:
    """(field, before, after) of a record: only what changed of a change, everything of a new or deleted row.

    What else the record says (detail) comes after, with no before.
    """
    before, after = row["before"] or {}, row["after"] or {}
    fields = [*before, *(name for name in after if name not in before)]
    changed = [(name, before.get(name), after.get(name)) for name in fields]
    if row["before"] is None or row["after"] is None:
        changed = [part for part in changed if part[1:] != (None, None)]
    return changed + [(name, None, value) for name, value in (row["detail"] or {}).items()]


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
