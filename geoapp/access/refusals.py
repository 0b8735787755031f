"""What was refused: counted, and on record in the asker's name. One place for the gate and for every route."""

import json
import threading
from datetime import datetime, timedelta

import psycopg
from prometheus_client import Counter
from psycopg_pool import PoolTimeout

from geoapp.access.caller import Caller, Pool, acting

REFUSALS = Counter("geoapp_refusals", "Requests that were refused, by reason", ["why"], registry=None)
# So many refusals of one account and reason in a minute have a record each; of the rest the next record says how many.
IN_A_MINUTE = {"role": 60}
IN_A_MINUTE_ELSE = 5
_MINUTE = timedelta(minutes=1)
_KEPT = 10_000

# (database role, reason) → since when, how many records, how many refusals without one. A role's name is of one database.
_said: dict[tuple[str, str], tuple[datetime, int, int]] = {}
_guard = threading.Lock()


def record_refusal(
    pool: Pool, caller: Caller, why: str, *, path: str, method: str, ip: str | None, at: datetime
) -> None:
    """Writes down that the caller was refused; whoever could not be recorded was refused all the same.

    why: role, csrf, token_scope, must_change_password, guessing. ip: as geoapp.access.throttle.plain_ip gives it.
    """
    unsaid = _to_say(caller.db_role, why, at)
    if unsaid is None:
        return
    detail: dict[str, object] = {"why": why, "method": method[:20]}
    if unsaid:
        detail["not_recorded_since_the_last"] = unsaid
    try:
        with acting(pool, caller) as connection:
            connection.execute(
                "SELECT access.record('refused', 'path', %s, detail => %s, ok => false, ip => %s::inet)",
                (path[:200].replace("\0", "�"), json.dumps(detail), ip),
            )
    except (psycopg.Error, PoolTimeout):
        return


def _to_say(db_role: str, why: str, at: datetime) -> int | None:
    """How many refusals this record speaks for besides its own; None where it is only counted."""
    with _guard:
        since, said, unsaid = _said.get((db_role, why), (at, 0, 0))
        if abs(at - since) >= _MINUTE:
            since, said = at, 0
        if said >= IN_A_MINUTE.get(why, IN_A_MINUTE_ELSE):
            _said[db_role, why] = (since, said, unsaid + 1)
            return None
        if len(_said) >= _KEPT:
            _said.clear()
        _said[db_role, why] = (since, said + 1, 0)
        return unsaid
