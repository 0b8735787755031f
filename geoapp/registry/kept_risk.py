"""Kept scores: brings registry.site_risk and cell_risk up to date (analysis.keep_risk)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

__all__ = ["KeptRisk", "keep_risk"]

Connection = psycopg.Connection[dict[str, Any]]
ALL_AT_ONCE = 1_000_000_000


@dataclass(frozen=True, slots=True)
class KeptRisk:
    """What a call did: scores of sites and cells worked out, sites still due, and whether all were done anew."""

    sites: int
    cells: int
    still_due: int
    was_all: bool


def keep_risk(
    connection: Connection,
    *,
    most: int = ALL_AT_ONCE,
    until_done: bool = False,
    progress: Callable[[int, int], None] = lambda done, due: None,
) -> KeptRisk:
    """Works out the scores that are due, `most` sites in a transaction; `until_done` goes on until none is.

    The connection must be the owner's or the watch's, and in autocommit: each call is a transaction of its own. Somebody
    else who is at it does the work instead: then nothing was done here.
    """
    sites = cells = 0
    was_all = False
    while True:
        row = connection.execute("SELECT * FROM analysis.keep_risk(%s::integer)", (most,)).fetchone()
        assert row is not None
        sites, cells, was_all = sites + row["sites"], cells + row["cells"], was_all or row["was_all"]
        progress(sites, row["still_due"])
        if not until_done or not row["still_due"] or not row["sites"]:
            return KeptRisk(sites, cells, row["still_due"], was_all)
