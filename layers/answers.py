"""What the map asks besides tiles: classes by lens, incidents, one place, one cell, the figures.

Each function runs one query of sql/layers on an open connection and gives plain values for JSON. Times are aware
(UTC), positions are EPSG:4326 (longitude, latitude), lengths metres. `as_of` None = the database's now().
"""

from collections import Counter
from datetime import datetime
from functools import cache
from typing import Any

import psycopg

from geoapp.database.sql_files import read_sql
from layers.asked import WrongValue
from layers.registry import Classing, Lens

Connection = psycopg.Connection[dict[str, Any]]
INCIDENT_LIMIT = 2000
NEAR_M = 40.0


@cache
def _query(name: str) -> str:
    return read_sql(f"layers/{name}")


def _one(connection: Connection, query: str, values: dict[str, Any]) -> dict[str, Any] | None:
    return connection.execute(query.encode(), values).fetchone()


def _moment(connection: Connection, as_of: datetime | None) -> datetime:
    row = _one(connection, "SELECT coalesce(%(as_of)s::timestamptz, now()) AS at", {"as_of": as_of})
    assert row is not None
    return row["at"]


def lens_classing(lens: Lens, name: str) -> Classing:
    """The way to class the cells that a text names, "" = the usual one. Raises Refused, with the known names, for any other."""
    known = lens.classings or (Classing("", lens.name_zh, lens.name_en, "class", lens.classes),)
    for one in known:
        if name in ("", one.id):
            return one
    names = ", ".join(one.id for one in known if one.id) or "无 / none"
    raise WrongValue(
        f"没有分类 {name[:40]} / no classing {name[:40]!r} of {lens.id!r}. 可用 / known: {names}."
    )


def lens_classes(
    connection: Connection, lens: Lens, as_of: datetime | None = None, by: str = ""
) -> dict[str, Any]:
    """Class of every cell by cell_no, counts of all classes (zero too), scores, and, of the usual classing, why a cell is hatched; of
    coverage also what its figures lack (said_zh, said_en). by: a classing of the lens, "" = the usual one."""
    classing = lens_classing(lens, by)
    rows = connection.execute(_query(f"lens_{lens.id}").encode(), {"as_of": as_of}).fetchall()
    for row in rows:
        row["class"] = row[classing.field]
    counted = Counter(row["class"] for row in rows)
    is_usual = classing.classes == lens.classes
    answer: dict[str, Any] = {
        "lens": lens.id,
        "classing": classing.id,
        "as_of": _moment(connection, as_of).isoformat(),
        "classes": {row["cell_no"]: row["class"] for row in rows},
        "counts": {c.id: counted.get(c.id, 0) for c in classing.classes},
        "scores": {row["cell_no"]: row["score"] for row in rows if row["score"] is not None},
        # What a classing of its own says is not said twice.
        "hatched": {row["cell_no"]: row["hatched"] for row in rows if row["hatched"] and is_usual},
    }
    if rows and "kinds" in rows[0]:
        answer["kinds"] = {row["cell_no"]: row["kinds"] for row in rows if row["kinds"]}
    if lens.id == "coverage":
        moment = {"moment": _moment(connection, as_of)}
        answer["lacks"] = connection.execute(_query("coverage_lacks").encode(), moment).fetchall()
    return answer


def incident_features(connection: Connection, since: datetime) -> dict[str, Any]:
    """GeoJSON of live incidents and those last seen at or after `since`; `truncated` where there were more than 2000."""
    rows = connection.execute(
        _query("incident_features").encode(), {"since": since, "limit": INCIDENT_LIMIT + 1}
    ).fetchall()
    features = []
    for row in rows[:INCIDENT_LIMIT]:
        geometry = row.pop("geometry")
        features.append(
            {"type": "Feature", "id": row["incident_no"], "geometry": geometry, "properties": row}
        )
    return {
        "type": "FeatureCollection",
        "as_of": _moment(connection, None).isoformat(),
        "truncated": len(rows) > INCIDENT_LIMIT,
        "features": features,
    }


def identify(connection: Connection, lon: float, lat: float) -> dict[str, Any]:
    """What stands at a point: cell or ground in no cell, units, key risk areas, cameras that see it, sites within 40 m."""
    row = _one(connection, _query("identify"), {"lon": lon, "lat": lat, "within_m": NEAR_M})
    assert row is not None
    lists = ("units", "key_risk_areas", "cameras", "sites")
    return row | {name: row[name] or [] for name in lists} | {"lon": lon, "lat": lat}


def cell_details(connection: Connection, code: str, as_of: datetime | None = None) -> dict[str, Any] | None:
    """One cell with score and reasons, sites, cameras, who answers, open incidents and gaps; None = no such cell."""
    return _one(connection, _query("cell_details"), {"code": code, "as_of": as_of})


def headline(connection: Connection, as_of: datetime | None = None) -> dict[str, Any]:
    """The figures of analysis.headline by name, each with value, numerator, denominator and unit."""
    rows = connection.execute(
        "SELECT * FROM analysis.headline_at(coalesce(%(as_of)s::timestamptz, now()))", {"as_of": as_of}
    ).fetchall()
    figures = {row.pop("name"): row for row in rows}
    moment = next(iter(figures.values()))["as_of"]
    for row in figures.values():
        row.pop("as_of")
    return {"as_of": moment, "figures": figures}


def town_summaries(connection: Connection, as_of: datetime | None = None) -> dict[str, Any]:
    """The rows of analysis.town_summary, by code of town."""
    rows = connection.execute(
        "SELECT * FROM analysis.town_summary_at(coalesce(%(as_of)s::timestamptz, now())) ORDER BY town_code",
        {"as_of": as_of},
    ).fetchall()
    for row in rows:
        row.pop("as_of")
    return {"as_of": _moment(connection, as_of), "towns": rows}


def extent(connection: Connection) -> list[float] | None:
    """West, south, east, north of all units and cells in EPSG:4326; None on an empty database."""
    row = _one(connection, _query("extent"), {})
    if row is None or row["west"] is None:
        return None
    return [round(row[side], 6) for side in ("west", "south", "east", "north")]
