"""Numbers of the map, each told a second time from the tables alone: plain SQL and plain Python, none of our views."""

import math
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from clones import AS_OF
from small_town import add_certificate, add_hazard, add_incident

Connection = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]
TODAY = AS_OF.astimezone(ZoneInfo("Asia/Shanghai")).date()
MIDNIGHT = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)


def rows(connection: Connection, query: str) -> list[Row]:
    values = {"t": AS_OF, "today": TODAY, "midnight": MIDNIGHT}
    return connection.execute(query.encode(), values).fetchall()


def one(connection: Connection, query: str) -> Any:
    return next(iter(rows(connection, query)[0].values()))


@pytest.fixture
def lived_in(city: Connection) -> Connection:
    """The sample city with cameras of which some look, incidents of each kind, hazards and certificates of each kind."""
    city.execute(
        "INSERT INTO watch.camera_health (camera_id, observed, reason, since, last_try_at, last_observed_at)"
        " SELECT c.id, c.id %% 5 > 0, CASE WHEN c.id %% 5 = 0 THEN 'black' END, %(t)s - interval '1 hour', %(t)s,"
        "     %(t)s - CASE c.id %% 5 WHEN 0 THEN interval '2 hours' WHEN 1 THEN interval '11 minutes' ELSE interval '1 minute' END"
        " FROM registry.camera AS c WHERE c.is_connected ON CONFLICT (camera_id) DO UPDATE SET observed = excluded.observed,"
        " reason = excluded.reason, since = excluded.since, last_try_at = excluded.last_try_at, last_observed_at = excluded.last_observed_at",
        {"t": AS_OF},
    )
    sites = [
        r["id"]
        for r in rows(city, "SELECT id FROM registry.site WHERE cell_code IS NOT NULL ORDER BY id LIMIT 12")
    ]
    camera = one(city, "SELECT id FROM registry.camera WHERE is_connected ORDER BY id LIMIT 1")
    day = timedelta(days=1)
    for site, kind, review, ago, closed in (
        (sites[0], "welding_arc", "confirmed", 2 * day, True),
        (sites[1], "fire", "confirmed", 20 * day, True),
        (sites[2], "smoke", "unreviewed", timedelta(minutes=20), False),
        (sites[3], "smoke", "false", 3 * day, True),
        (sites[4], "sparks", "unreviewed", 3 * day, True),
    ):
        seen = AS_OF - ago
        end = seen + timedelta(minutes=16)
        add_incident(
            city, camera, site, seen, class_=kind, review=review, state="closed" if closed else "open",
            closed_at=end if closed else None, reviewed_at=None if review == "unreviewed" else end,
        )  # fmt: skip
    add_hazard(city, sites[5], "major", AS_OF - 5 * day)
    add_hazard(city, sites[6], "serious", AS_OF - 50 * day, deadline=AS_OF - 12 * day)
    add_hazard(city, sites[7], "general", AS_OF - 90 * day, closed_at=AS_OF - 45 * day)
    add_certificate(city, sites[8], AS_OF)
    return city


ACTIVE_SITE = "s.active_from <= %(today)s AND coalesce(s.active_to > %(today)s, true)"
# A camera looks where it is connected, in use, there on that day, and had a picture in the last ten minutes.
ONLINE_CAMERA = """
    SELECT c.id, c.ground, c.sector FROM registry.camera AS c JOIN watch.camera_health AS h ON h.camera_id = c.id
    WHERE c.is_connected AND c.enabled AND coalesce(c.installed_on <= %(today)s, true)
        AND coalesce(c.retired_on > %(today)s, true) AND h.last_observed_at >= %(t)s - interval '10 minutes'
"""
# One confirmed or designated lead for the site's kind: the town's own word (a proposal is none) before the district's.
LEADS = """
    SELECT s.id, (
        SELECT count(DISTINCT a.department_code) FROM duty.assignment AS a
        WHERE a.role = 'lead' AND a.rule_code = s.rule_code AND a.status IN ('confirmed', 'designated')
            AND a.valid_from <= %(today)s AND coalesce(a.valid_to > %(today)s, true)
            AND a.unit_code = CASE WHEN EXISTS (
                SELECT FROM duty.assignment AS o
                WHERE o.role = 'lead' AND o.rule_code = s.rule_code AND o.unit_code = s.town_code AND o.status <> 'proposed'
                    AND o.valid_from <= %(today)s AND coalesce(o.valid_to > %(today)s, true)
            ) THEN s.town_code ELSE left(s.town_code, 6) || '000000' END
    ) AS leads FROM registry.site AS s
"""
BY_HAND = {
    "sites_total": f"SELECT count(*) FROM registry.site AS s WHERE {ACTIVE_SITE}",
    "cells_total": "SELECT count(*) FROM territory.grid_cell",
    "cells_without_worker": """
        SELECT count(*) FROM territory.grid_cell AS g WHERE NOT EXISTS (
            SELECT FROM duty.grid_staff AS w WHERE w.cell_code = g.code AND w.role = 'worker'
                AND w.assigned_from <= %(today)s AND coalesce(w.assigned_to > %(today)s, true))""",
    "cameras_online": f"SELECT count(*) FROM ({ONLINE_CAMERA}) AS o",
    "key_risk_area_seen_under_60": f"""
        SELECT count(*) FROM registry.key_risk_area AS a
        WHERE a.status = 'active' AND coalesce(a.onboarded_on <= %(today)s, true) AND coalesce(a.retired_on > %(today)s, true)
            AND coalesce(ST_Area(ST_Intersection(a.geom, (
                SELECT ST_Union(o.ground) FROM ({ONLINE_CAMERA}) AS o WHERE o.ground && a.geom))), 0) < 0.6 * ST_Area(a.geom)""",
    "ground_in_no_cell_km2": """
        SELECT ST_Area(ST_Difference((SELECT ST_Union(u.geom) FROM territory.unit AS u WHERE u.level = 'county'),
            (SELECT ST_Union(g.geom) FROM territory.grid_cell AS g))) / 1e6""",
    "sites_without_confirmed_lead": f"""
        SELECT count(*) FROM ({LEADS}) AS l JOIN registry.site AS s ON s.id = l.id WHERE {ACTIVE_SITE} AND l.leads <> 1""",
    "incidents_open": "SELECT count(*) FROM watch.incident WHERE mode = 'alert' AND state IN ('open', 'quiet')",
    "incidents_today": """
        SELECT count(*) FROM watch.incident WHERE mode = 'alert' AND state <> 'candidate' AND first_seen_at >= %(midnight)s""",
}


def test_the_figures_of_the_first_screen_are_what_the_tables_say(lived_in: Connection) -> None:
    shown = {
        r["name"]: r["value"]
        for r in lived_in.execute("SELECT * FROM analysis.headline_at(%s)", (AS_OF,)).fetchall()
    }
    for name, query in BY_HAND.items():
        by_hand = float(one(lived_in, query))
        # Slivers below a square metre are no gap.
        assert shown[name] == pytest.approx(by_hand, abs=5e-6 if name.endswith("km2") else 0), name
        assert by_hand > 0, name


# --- risk, by domain.md 7.2 in plain Python ---------------------------------------------------------------------------

GRADE_H = {"blue": 0.3, "yellow": 0.5, "orange": 0.7, "red": 0.9, None: 0.7}
GRADE_V = {"normal": 0.3, "mixed": 0.5, "sleeping": 0.7, "both": 0.9, None: 0.7}
CHECK_DAYS = {"red": 30, "orange": 60, "yellow": 90, "blue": 180, None: 60}
COLOURS = ((75, "red"), (55, "orange"), (35, "yellow"), (-1, "blue"))


def people_grade(people: int | None) -> float:
    if people is None:
        return 0.6
    return next(
        e for least, e in ((1000, 1.0), (200, 0.8), (50, 0.6), (10, 0.4), (0, 0.2)) if people >= least
    )


def colour(score: float) -> str:
    return next(name for least, name in COLOURS if score >= least)


def score(i: float, raw: float, c: float) -> float:
    return 100 * (1 - (1 - i) * math.exp(-raw / 10)) * (1 - 0.3 * c)


def by_site(found: list[Row]) -> dict[int, list[Row]]:
    out: dict[int, list[Row]] = defaultdict(list)
    for row in found:
        out[row["site_id"]].append(row)
    return out


def days(since: datetime) -> float:
    return (AS_OF - since).total_seconds() / 86400


def plain_scores(connection: Connection) -> Iterator[tuple[Row, float, str]]:
    """Score and colour of every site, by hand."""
    visits = by_site(
        rows(connection, "SELECT * FROM inspection.visit WHERE done_at <= %(t)s AND outcome <> 'unknown'")
    )
    hazards = by_site(rows(connection, "SELECT * FROM inspection.hazard WHERE found_at <= %(t)s"))
    certificates = by_site(
        rows(connection, "SELECT * FROM registry.certificate WHERE issued_on <= %(today)s")
    )
    incidents = by_site(rows(connection, """
        SELECT i.*, coalesce(i.site_id, a.site_id) AS site_id FROM watch.incident AS i
        LEFT JOIN registry.key_risk_area AS a ON a.id = i.key_risk_area_id
        WHERE i.mode = 'alert' AND i.state <> 'candidate' AND i.opened_at <= %(t)s"""))  # fmt: skip
    seen = {r["id"] for r in rows(connection, f"""
        SELECT s.id FROM registry.site AS s JOIN ({ONLINE_CAMERA}) AS o ON ST_Intersects(o.ground, s.geom)
        UNION SELECT a.site_id FROM registry.key_risk_area AS a
        WHERE a.status = 'active' AND coalesce(a.onboarded_on <= %(today)s, true) AND ST_Area(ST_Intersection(a.geom, (
            SELECT ST_Union(o.ground) FROM ({ONLINE_CAMERA}) AS o WHERE o.ground && a.geom))) >= 0.6 * ST_Area(a.geom)""")}  # fmt: skip
    worked = {r["cell_code"] for r in rows(connection, """
        SELECT cell_code FROM duty.grid_staff WHERE role = 'worker' AND assigned_from <= %(today)s
            AND coalesce(assigned_to > %(today)s, true)""")}  # fmt: skip
    for site in rows(connection, f"SELECT * FROM registry.site AS s WHERE {ACTIVE_SITE}"):
        of = site["id"]
        inherent = (
            GRADE_H[site["hazard_level"]] ** 0.5
            * people_grade(site["people"]) ** 0.3
            * GRADE_V[site["vulnerability"]] ** 0.2
        )
        confirmed = lead = 0.0
        is_red = False
        for h in hazards[of]:
            weight = {"general": 2, "serious": 4, "major": 10}[h["class"]]
            if h["is_unlicensed_work"]:
                weight = 10
            if h["closed_at"] is not None and h["closed_at"] <= AS_OF:
                confirmed += weight * 2 ** (-days(h["closed_at"]) / 30)
                continue
            late = min(1, max(0, days(h["deadline"]) / 30)) if h["deadline"] else 0
            confirmed += weight * (1 + late)
            is_red |= weight == 10
        for i in incidents[of]:
            fades = 1 if i["state"] != "closed" else 2 ** (-days(i["closed_at"]) / 14)
            hot = i["class"] in ("welding_arc", "sparks")
            if i["review"] == "confirmed" and hot and i["permit_id"] is None:
                written = any(
                    h["is_unlicensed_work"]
                    and timedelta(0) <= h["found_at"] - i["first_seen_at"] < timedelta(days=3)
                    for h in hazards[of]
                )
                accepted = [
                    v["done_at"] for v in visits[of]
                    if v["kind"] == "admin_inspection" and v["outcome"] == "ok" and v["done_at"] > i["last_seen_at"]
                ]  # fmt: skip
                if not written:
                    confirmed += 10 * (2 ** (-days(min(accepted)) / 30) if accepted else 1)
                    is_red |= not accepted
            elif i["review"] == "confirmed":
                confirmed += 4 * fades
            elif i["review"] == "unreviewed" and not (hot and i["permit_id"]) and days(i["last_seen_at"]) < 1:
                lead += 4 * 0.5 * i["peak_score"] * fades
        within = CHECK_DAYS[site["hazard_level"]]

        def in_date(kinds: tuple[str, ...], of: int = of, within: int = within) -> bool:
            return any(v["kind"] in kinds and days(v["done_at"]) < within for v in visits[of])

        newest: dict[tuple[str, str], Row] = {}
        for c in sorted(certificates[of], key=lambda c: c["valid_to"]):
            newest[c["holder_hash"], c["job_class"]] = c
        good = bool(newest) and all(
            c["verified_result"] == "valid" and c["verified_at"] <= AS_OF and c["valid_to"] >= TODAY
            for c in newest.values()
        )
        control = (
            0.35 * in_date(("patrol", "remote_check", "admin_inspection"))
            + 0.20 * in_date(("self_check",))
            + 0.20 * good
            + 0.15 * (of in seen)
            + 0.10 * (site["cell_code"] in worked)
        )
        full, sure = score(inherent, confirmed + lead, control), score(inherent, confirmed, control)
        cap = 100.0 if sure >= 55 else 74.99 if sure >= 35 else 54.99
        final = min(full, cap)
        yield site, final, "red" if is_red else colour(final)


def test_risk_of_every_site_and_cell_is_what_the_formula_says(lived_in: Connection) -> None:
    shown = {
        r["site_id"]: r
        for r in lived_in.execute("SELECT * FROM analysis.risk_site_at(%s)", (AS_OF,)).fetchall()
    }
    in_cell: dict[str, list[tuple[float, str]]] = defaultdict(list)
    count = 0
    for site, points, level in plain_scores(lived_in):
        row = shown[site["id"]]
        assert row["score"] == pytest.approx(points, abs=1e-6), site["id"]
        assert row["level"] == level, site["id"]
        count += 1
        if site["cell_code"]:
            in_cell[site["cell_code"]].append((points, level))
    assert count == len(shown) > 100
    cells = lived_in.execute("SELECT * FROM analysis.risk_cell_at(%s)", (AS_OF,)).fetchall()
    for cell in cells:
        best = sorted((points for points, _ in in_cell[cell["cell_code"]]), reverse=True)
        if not best:
            assert cell["score"] is None, cell["cell_code"]
            continue
        points = 0.6 * best[0] + 0.4 * sum(best[:5]) / len(best[:5])
        assert cell["score"] == pytest.approx(points, abs=1e-6), cell["cell_code"]
        level = colour(points)
        if level in ("yellow", "blue") and any(one == "red" for _, one in in_cell[cell["cell_code"]]):
            level = "orange"
        assert cell["level"] == level, cell["cell_code"]
    assert {"red", "orange", "yellow"} <= {cell["level"] for cell in cells}
