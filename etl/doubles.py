"""Sites that may be one: proposed to a person, never merged in silence."""

from typing import Any

import psycopg

from geoapp.database.sql_files import read_sql

__all__ = ["propose_merges"]


def propose_merges(connection: psycopg.Connection[dict[str, Any]], batch_id: int) -> list[str]:
    """Proposes pairs of the same name and address within 30 m, one of them of this batch; says how many are new."""
    found = connection.execute(read_sql("staging/site_doubles").encode(), {"batch_id": batch_id}).fetchall()
    if not found:
        return []
    return [
        f"{len(found)} 对场所名称和地址相同、相距不到 30 米，可能是同一场所 / pair(s) of sites have the same name and address within 30 m "
        "and may be one site: both are stored, a person decides (registry.site_merge)"
    ]
