"""The sample city in the database: sizes, validity, determinism, and a gap of every kind it promises."""

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from clones import AS_OF

from etl.sample_city import facts
from etl.sample_city.build import DEMO, SMALL, build_sample_city
from etl.sample_city.terrain import build_terrain
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.registry.identifiers import camera_gb_id_problem, division_parent, is_uscc
from geoapp.territory.coverage import coverage_problems

Connection = psycopg.Connection[dict[str, Any]]


def value(city: Connection, query: str, *args: Any) -> Any:
    row = city.execute(query.encode(), args or None).fetchone()
    assert row is not None
    return next(iter(row.values()))


def shapes(city: Connection, query: str) -> tuple[list[str], list[shapely.Geometry]]:
    rows = city.execute(query.encode()).fetchall()
    return [r["code"] for r in rows], [shapely.from_wkb(bytes(r["wkb"])) for r in rows]


# --- sizes and flags


def test_row_counts_are_those_asked_for(city: Connection) -> None:
    for table, wanted in (
        ("territory.grid_cell", SMALL.cells),
        ("registry.site", SMALL.sites),
        ("registry.key_risk_area", SMALL.key_risk_areas),
        ("registry.camera", SMALL.cameras),
        ("duty.rule", 68),
    ):
        assert value(city, f"SELECT count(*) FROM {table}") == wanted
    assert value(city, "SELECT count(*) FROM territory.unit WHERE level = 'community'") == SMALL.communities
    assert value(city, "SELECT count(*) FROM territory.unit WHERE level = 'town'") == 11
    assert (
        value(city, "SELECT count(*) FROM registry.key_risk_area WHERE town_code = %s", facts.ZHANGYAN) == 119
    )
    assert (
        value(city, "SELECT count(*) FROM registry.camera WHERE snapshot_url IS NOT NULL")
        == SMALL.live_cameras
    )
    assert (DEMO.cells, DEMO.sites, DEMO.cameras, DEMO.live_cameras, DEMO.days) == (1200, 3000, 400, 60, 90)


# Registers that only a district's own files fill.
BROUGHT_BY_FILES = {"territory.building", "registry.resource", "watch.reported_event"}


def test_every_row_says_that_it_was_generated(city: Connection) -> None:
    tables = city.execute(
        "SELECT table_schema AS s, table_name AS t FROM information_schema.columns"
        " WHERE column_name = 'is_generated' AND table_schema IN ('territory', 'registry', 'duty', 'inspection', 'watch')"
    ).fetchall()
    assert len(tables) >= 12
    for table in tables:
        name = f"{table['s']}.{table['t']}"
        if name not in BROUGHT_BY_FILES:
            assert value(city, f"SELECT count(*) FROM {name}") > 0, name
        assert value(city, f"SELECT count(*) FROM {name} WHERE NOT is_generated") == 0, name
    assert value(city, "SELECT count(*) FROM watch.incident WHERE model_hash <> 'generated'") == 0
    # A watch that did not run must not claim to have looked.
    for empty in (
        "watch.observation",
        "watch.observation_hour",
        "watch.camera_health",
        "watch.scan_due",
        "watch.evidence",
    ):
        assert value(city, f"SELECT count(*) FROM {empty}") == 0


# --- ground


def test_the_stored_grid_is_valid_with_all_ground_in_no_cell_declared(city: Connection) -> None:
    codes, cells = shapes(city, "SELECT code, ST_AsBinary(geom) AS wkb FROM territory.grid_cell")
    _, declared = shapes(
        city, "SELECT name_zh AS code, ST_AsBinary(geom) AS wkb FROM territory.no_cell_ground"
    )
    _, (county,) = shapes(
        city, "SELECT code, ST_AsBinary(geom) AS wkb FROM territory.unit WHERE level = 'county'"
    )
    assert coverage_problems(codes, cells, county, declared) == []
    assert len(declared) >= 5
    assert sum(d.area for d in declared) > 1e6
    # On a grid of 1 mm: what is stored is what was checked.
    assert np.abs(np.round(shapely.get_coordinates(cells), 3) - shapely.get_coordinates(cells)).max() < 1e-9
    # Without the declaration the same ground is a fault, all of it.
    (found,) = coverage_problems(codes, cells, county)
    assert (found.name, found.area_m2) == ("uncovered", pytest.approx(sum(d.area for d in declared)))


def test_outlines_are_exactly_the_sum_of_what_is_below(city: Connection) -> None:
    worst = value(
        city,
        """SELECT max(ST_Area(ST_SymDifference(u.geom, below.geom)))
        FROM territory.unit AS u
        JOIN (
            SELECT community_code AS code, ST_Union(geom) AS geom FROM territory.grid_cell GROUP BY 1
            UNION ALL SELECT parent_code, ST_Union(geom) FROM territory.unit WHERE level = 'town' GROUP BY 1
            UNION ALL SELECT code, ST_Union(geom) FROM (
                SELECT parent_code AS code, geom FROM territory.unit WHERE level = 'community'
                UNION ALL SELECT town_code, geom FROM territory.no_cell_ground
            ) AS parts GROUP BY 1
        ) AS below USING (code)""",
    )
    assert worst < 1e-3


def test_towns_are_the_real_ones_with_their_seats_inside_and_about_their_area(city: Connection) -> None:
    rows = city.execute(
        "SELECT code, name_zh, name_en, ST_Contains(geom, seat) AS holds, ST_Area(geom) / 1e6 AS km2 FROM territory.unit"
        " WHERE level = 'town' ORDER BY code"
    ).fetchall()
    known = {t.code: t for t in facts.TOWNS}
    for row in rows:
        fact = known[row["code"]]
        assert (row["name_zh"], row["name_en"], row["holds"]) == (fact.name_zh, fact.name_en, True)
        assert row["km2"] == pytest.approx(fact.area_km2, rel=0.45)
    assert value(
        city, "SELECT ST_Area(geom) / 1e6 FROM territory.unit WHERE level = 'county'"
    ) == pytest.approx(608, rel=0.12)


def test_codes_follow_the_house_and_cells_are_numbered_from_the_north_west(city: Connection) -> None:
    for unit in city.execute("SELECT code, parent_code FROM territory.unit").fetchall():
        assert unit["parent_code"] == division_parent(unit["code"])
    cells = city.execute(
        "SELECT code, community_code, substr(code, 14, 3)::int AS n, ST_X(ST_Centroid(geom)) AS x, ST_Y(ST_Centroid(geom)) AS y"
        " FROM territory.grid_cell ORDER BY code"
    ).fetchall()
    by_community: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        by_community.setdefault(cell["community_code"], []).append(cell)
    firsts_are_north_west = 0
    for group in by_community.values():
        group.sort(key=lambda c: c["n"])
        assert [c["n"] for c in group] == list(range(1, len(group) + 1))
        first, last = group[0], group[-1]
        firsts_are_north_west += first["y"] > last["y"] or first["x"] < last["x"] or len(group) == 1
    assert firsts_are_north_west == len(by_community)


@pytest.mark.parametrize(("cells", "communities", "seed"), [(150, 33, 1), (400, 60, 2), (2500, 220, 3)])
def test_other_seeds_and_sizes_make_valid_ground_too(cells: int, communities: int, seed: int) -> None:
    ground = build_terrain(cells, communities, np.random.default_rng(seed))
    assert len(set(ground.cell_codes.tolist())) == cells
    assert (
        coverage_problems(
            ground.cell_codes.tolist(), ground.cell_geoms, ground.county, [n.geom for n in ground.no_cell]
        )
        == []
    )
    assert ground.county.geom_type == "MultiPolygon"
    assert len(ground.county.geoms) == 1
    for town in facts.TOWNS:
        assert ground.town_geoms[town.code].contains(shapely.Point(np.array(town.seat_km) * 1000)), (
            town.name_zh
        )


def test_the_base_map_has_every_kind_and_its_sea_leaves_the_land_dry(city: Connection) -> None:
    kinds = {
        r["kind"]: r["n"]
        for r in city.execute("SELECT kind, count(*) AS n FROM territory.base_feature GROUP BY 1")
    }
    assert set(kinds) == {
        "sea",
        "water",
        "river",
        "motorway",
        "main_road",
        "road",
        "railway",
        "green",
        "built_up",
    }
    assert value(
        city,
        "SELECT sum(ST_Area(ST_Intersection(b.geom, u.geom))) FROM territory.base_feature AS b, territory.unit AS u"
        " WHERE b.kind = 'sea' AND u.level = 'county'",
    ) == pytest.approx(0, abs=1)
    assert value(city, "SELECT bool_and(ST_IsValid(geom)) FROM territory.base_feature")


# --- sites and cameras


def test_identifiers_are_valid_and_every_site_has_one(city: Connection) -> None:
    rows = city.execute("SELECT uscc, local_id, cell_code FROM registry.site").fetchall()
    assert all((r["uscc"] is None) != (r["local_id"] is None) for r in rows)
    codes = [r["uscc"] for r in rows if r["uscc"]]
    assert len(codes) > 0.85 * len(rows)
    assert all(is_uscc(code) and code[2:8] == "310116" for code in codes)
    local = [r for r in rows if r["local_id"]]
    assert local
    assert all(r["local_id"].startswith(f"LOCAL:{r['cell_code']}-") for r in local)
    cameras = city.execute("SELECT gb_id, snapshot_url FROM registry.camera").fetchall()
    assert all(camera_gb_id_problem(c["gb_id"], division="310116") is None for c in cameras)
    urls = {c["snapshot_url"] for c in cameras if c["snapshot_url"]}
    assert urls == {f"http://127.0.0.1:8051/snapshot/{c['gb_id']}.jpg" for c in cameras if c["snapshot_url"]}


def test_each_site_and_camera_stands_in_the_cell_and_town_it_names(city: Connection) -> None:
    for table in ("registry.site", "registry.camera"):
        assert (
            value(
                city,
                f"SELECT count(*) FROM {table} AS s JOIN territory.grid_cell AS c ON c.code = s.cell_code"
                " WHERE NOT ST_Intersects(c.geom, s.geom)",
            )
            == 0
        )
        assert (
            value(
                city,
                f"SELECT count(*) FROM {table} AS s, territory.grid_cell AS c WHERE s.cell_code IS NULL AND ST_Contains(c.geom, s.geom)",
            )
            == 0
        )
    assert (
        value(city, "SELECT count(*) FROM registry.site WHERE left(cell_code, 9) <> left(town_code, 9)") == 0
    )


def test_no_site_could_be_taken_for_a_real_firm_and_no_phone_for_a_real_one(city: Connection) -> None:
    assert value(city, "SELECT count(*) FROM registry.site WHERE name_zh NOT LIKE '%样例%'") == 0
    assert value(city, "SELECT count(*) FROM registry.site WHERE contact_phone NOT LIKE '1__****____'") == 0
    assert value(city, "SELECT count(*) FROM duty.person WHERE phone NOT LIKE '021-0%'") == 0


def test_a_sector_is_what_the_watch_computes_from_the_same_pose(city: Connection) -> None:
    from detection.pose import Pose, sector

    rows = city.execute(
        "SELECT ST_X(geom) AS x, ST_Y(geom) AS y, height_m, azimuth_deg, tilt_deg, hfov_deg, width_px, height_px, max_range_m,"
        " ST_AsBinary(sector) AS wkb FROM registry.camera"
    ).fetchall()
    for row in rows:
        pose = Pose(
            row["height_m"],
            row["azimuth_deg"],
            row["tilt_deg"],
            row["hfov_deg"],
            row["width_px"],
            row["height_px"],
        )
        watch = shapely.Polygon(sector(pose, row["max_range_m"]) + np.array([row["x"], row["y"]]))
        stored = shapely.from_wkb(bytes(row["wkb"]))
        assert stored.is_valid
        assert watch.symmetric_difference(stored).area < 0.01 * watch.area


def test_live_cameras_are_mostly_in_zhangyan_and_of_every_scene_kind(
    city_url: str, make_database: Callable[..., str]
) -> None:
    url = make_database()
    with connect(url) as connection:
        build_sample_city(
            connection,
            size=replace(SMALL, sites=600, cameras=90, live_cameras=60, days=7),
            seed=7,
            as_of=AS_OF,
        )
    with connect(url) as connection:
        rows = connection.execute("SELECT * FROM registry.camera WHERE snapshot_url IS NOT NULL").fetchall()
    assert {r["scene_kind"] for r in rows} == {"yard", "shed", "gate", "tank_farm", "workshop", "storeroom"}
    assert 30 <= sum(r["town_code"] == facts.ZHANGYAN for r in rows) <= 40
    assert all(8 <= r["period_s"] <= 12 and (r["width_px"], r["height_px"]) == (960, 540) for r in rows)


def test_areas_join_year_by_year_and_none_in_the_future(city: Connection) -> None:
    years = city.execute(
        "SELECT extract(year FROM onboarded_on)::int AS y, count(*) AS n, max(onboarded_on) AS last FROM registry.key_risk_area"
        " GROUP BY 1 ORDER BY 1"
    ).fetchall()
    assert [r["y"] for r in years] == list(range(2019, 2027))
    assert max(r["last"] for r in years) <= AS_OF.date()


# --- gaps that are meant


GAPS = {
    "risk: sites of every level": "SELECT count(DISTINCT hazard_level) = 4 FROM registry.site",
    "risk: sites not graded": "SELECT count(*) > 0 FROM registry.site WHERE hazard_level IS NULL",
    "risk: open major hazards": "SELECT count(*) >= 3 FROM inspection.hazard WHERE class = 'major' AND closed_at IS NULL",
    "risk: unlicensed welding, open": "SELECT count(*) > 0 FROM inspection.hazard WHERE is_unlicensed_work AND closed_at IS NULL",
    "risk: overdue hazards": "SELECT count(*) > 0 FROM inspection.hazard WHERE closed_at IS NULL AND deadline < %(as_of)s",
    "risk: closed hazards": "SELECT count(*) > 10 FROM inspection.hazard WHERE state = 'verified_closed'",
    "coverage: sites in no cell": "SELECT count(*) >= 3 FROM registry.site WHERE cell_code IS NULL",
    "coverage: ground forgotten": "SELECT count(*) = 1 FROM territory.no_cell_ground WHERE reason LIKE '%%漏划%%'",
    "coverage: cameras not connected": "SELECT count(*) > 20 FROM registry.camera WHERE snapshot_url IS NULL",
    "coverage: areas seen well": "SELECT count(*) > 3 FROM seen WHERE share >= 0.6",
    "coverage: areas seen in part": "SELECT count(*) > 0 FROM seen WHERE share > 0 AND share < 0.6",
    "coverage: areas seen by nobody": "SELECT count(*) > 30 FROM seen WHERE share = 0",
    "coverage: areas seen well by live cameras": "SELECT count(*) > 2 FROM seen WHERE live_share >= 0.6",
    "coverage: cells without a worker": "SELECT count(*) >= 2 FROM territory.grid_cell AS c WHERE NOT EXISTS"
    " (SELECT 1 FROM duty.grid_staff AS s WHERE s.cell_code = c.code AND s.role = 'worker')",
    "coverage: workers whose time is over": "SELECT count(*) >= 2 FROM duty.grid_staff WHERE role = 'worker' AND assigned_to < %(as_of)s",
    "coverage: workers not trained": "SELECT count(*) > 0 FROM duty.grid_staff WHERE role = 'worker' AND trained_at IS NULL",
    "coverage: cells without a chief": "SELECT count(*) > 0 FROM territory.grid_cell AS c WHERE NOT EXISTS"
    " (SELECT 1 FROM duty.grid_staff AS s WHERE s.cell_code = c.code AND s.role = 'chief')",
    "coverage: patrols overdue": "SELECT count(*) > 3 FROM registry.site AS s WHERE NOT EXISTS (SELECT 1 FROM inspection.visit AS v"
    " WHERE v.site_id = s.id AND v.kind = 'patrol' AND v.done_at > %(as_of)s - interval '182 days')",
    "coverage: small places that never check": "SELECT count(*) > 0 FROM registry.site AS s WHERE s.nine_small IS NOT NULL AND NOT EXISTS"
    " (SELECT 1 FROM inspection.visit AS v WHERE v.site_id = s.id AND v.kind = 'self_check')",
    "duty: sites without a place type": "SELECT count(*) >= 3 FROM registry.site WHERE rule_code IS NULL",
    "duty: proposed": "SELECT count(*) > 0 FROM duty.assignment WHERE role = 'lead' AND status = 'proposed'",
    "duty: disputed": "SELECT count(*) > 1 FROM duty.assignment WHERE role = 'lead' AND status = 'disputed'",
    "duty: designated": "SELECT count(*) > 0 FROM duty.assignment WHERE role = 'lead' AND status = 'designated'",
    "duty: missing": "SELECT count(*) > 0 FROM duty.rule AS r WHERE NOT EXISTS (SELECT 1 FROM duty.assignment AS a"
    " WHERE a.rule_code = r.code AND a.role = 'lead')",
    "duty: expired": "SELECT count(*) > 0 FROM duty.assignment WHERE role = 'lead' AND valid_to < %(as_of)s",
    "duty: two leads": "SELECT count(*) = 1 FROM (SELECT rule_code FROM duty.assignment WHERE role = 'lead' AND status = 'confirmed'"
    " AND unit_code = '310116000000' GROUP BY 1 HAVING count(*) > 1) AS doubled",
    "duty: no person": "SELECT count(*) > 0 FROM duty.assignment WHERE role = 'lead' AND status = 'confirmed' AND person_id IS NULL",
    "duty: a town that differs": "SELECT count(*) > 0 FROM duty.assignment WHERE role = 'lead' AND unit_code LIKE '310116102%%'",
    "duty: a town without a person": "SELECT count(*) = 1 FROM territory.unit AS u WHERE u.level = 'town' AND NOT EXISTS"
    " (SELECT 1 FROM duty.unit_staff AS s WHERE s.unit_code = u.code)",
    "watch: reviews": "SELECT count(DISTINCT review) >= 3 FROM watch.incident",
}
SEEN = """CREATE TEMP TABLE seen AS
SELECT k.id, coalesce(ST_Area(ST_Intersection(k.geom, ST_Union(c.sector))) / ST_Area(k.geom), 0) AS share,
    coalesce(ST_Area(ST_Intersection(k.geom, ST_Union(c.sector) FILTER (WHERE c.snapshot_url IS NOT NULL))) / ST_Area(k.geom), 0)
        AS live_share
FROM registry.key_risk_area AS k LEFT JOIN registry.camera AS c ON ST_Intersects(c.sector, k.geom) GROUP BY k.id"""


def test_a_gap_of_every_kind_is_there(city: Connection) -> None:
    city.execute(SEEN)
    lacking = []
    for name, query in GAPS.items():
        row = city.execute(query.encode(), {"as_of": AS_OF}).fetchone()
        assert row is not None
        if next(iter(row.values())) is not True:
            lacking.append(name)
    assert lacking == []


# --- duty, inspection, history


def test_all_68_duty_rules_are_stored_as_the_table_says(city: Connection) -> None:
    from importlib import resources

    text = resources.files("etl.sample_city").joinpath("responsibilities.csv").read_text(encoding="utf-8-sig")
    table = {r["code"]: r for r in csv.DictReader(text.splitlines())}
    stored = city.execute("SELECT * FROM duty.rule").fetchall()
    assert len(stored) == len(table) == 68
    departments = {r["code"]: r for r in city.execute("SELECT * FROM duty.department").fetchall()}
    for rule in stored:
        source = table[rule["code"]]
        assert (rule["place_type_zh"], rule["place_type_en"]) == (
            source["place_type_zh"],
            source["place_type_en"],
        )
        assert rule["nine_small"] == (source["nine_small"] == "Y")
        assert departments[rule["lead_code"]]["name_zh"] == source["lead_dept_zh"]
        assert "、".join(departments[c]["name_zh"] for c in rule["co_codes"]) == source["co_depts_zh"]
        assert "; ".join(departments[c]["name_en"] for c in rule["co_codes"]) == source["co_depts_en"]


def test_nothing_was_seen_or_done_after_the_as_of_moment(city: Connection) -> None:
    for query in (
        "SELECT max(done_at) FROM inspection.visit",
        "SELECT max(greatest(found_at, closed_at)) FROM inspection.hazard",
        "SELECT max(last_seen_at) FROM watch.incident",
        "SELECT max(closed_at) FROM watch.incident",
        "SELECT max(verified_at) FROM registry.certificate",
    ):
        assert value(city, query) <= AS_OF, query
    assert value(city, "SELECT min(first_seen_at) FROM watch.incident") > AS_OF - timedelta(
        days=SMALL.days + 9
    )


def test_inspections_stay_within_the_yearly_cap_by_certified_officers(city: Connection) -> None:
    assert (
        value(
            city,
            "SELECT count(*) FROM registry.site AS s JOIN LATERAL (SELECT count(*) AS n FROM inspection.visit AS v"
            " WHERE v.site_id = s.id AND v.kind = 'admin_inspection') AS v ON true WHERE v.n > s.visit_cap_per_year",
        )
        == 0
    )
    assert (
        value(
            city,
            "SELECT count(*) FROM inspection.visit AS v LEFT JOIN duty.person AS p ON p.id = v.person_id"
            " WHERE v.kind = 'admin_inspection' AND NOT coalesce(p.can_admin_inspect, false)",
        )
        == 0
    )
    assert (
        value(
            city,
            "SELECT count(*) FROM inspection.visit AS v JOIN duty.person AS p ON p.id = v.person_id"
            " WHERE v.kind = 'patrol' AND p.can_admin_inspect",
        )
        == 0
    )


def test_permits_of_now_lie_under_live_cameras_and_obey_their_limits(city: Connection) -> None:
    active = city.execute(
        "SELECT p.*, (SELECT max(ST_Area(ST_Intersection(c.sector, p.geom))) FROM registry.camera AS c"
        " WHERE c.site_id = p.site_id AND c.snapshot_url IS NOT NULL) AS seen FROM registry.hot_work_permit AS p"
        " WHERE p.starts_at <= %s AND p.ends_at > %s AND p.status = 'active'",
        (AS_OF, AS_OF),
    ).fetchall()
    assert len(active) >= 2
    assert all(p["seen"] for p in active)
    assert (
        value(
            city,
            "SELECT count(*) FROM registry.hot_work_permit WHERE ends_at - starts_at > CASE level WHEN 'second' THEN interval '72 hours'"
            " ELSE interval '8 hours' END",
        )
        == 0
    )
    # A permitted incident names a permit of its site that was in force.
    assert (
        value(
            city,
            "SELECT count(*) FROM watch.incident AS i LEFT JOIN registry.hot_work_permit AS p ON p.id = i.permit_id"
            " AND p.site_id = i.site_id AND i.first_seen_at BETWEEN p.starts_at AND p.ends_at AND p.status IN ('active', 'closed')"
            " WHERE i.review = 'permitted' AND p.id IS NULL",
        )
        == 0
    )
    assert value(city, "SELECT count(*) FROM watch.incident WHERE review = 'permitted'") > 0


def test_past_incidents_are_closed_placed_in_view_and_follow_the_working_day(city: Connection) -> None:
    assert value(city, "SELECT count(*) FROM watch.incident WHERE state <> 'closed'") == 0
    assert (
        value(
            city,
            "SELECT count(*) FROM watch.incident AS i JOIN registry.camera AS c ON c.id = i.camera_id"
            " WHERE NOT ST_DWithin(c.sector, i.geom, 0.01) OR c.snapshot_url IS NULL",
        )
        == 0
    )
    assert (
        value(
            city,
            "SELECT count(*) FILTER (WHERE h BETWEEN 7 AND 18)::float / count(*) FROM (SELECT extract(hour FROM first_seen_at"
            " AT TIME ZONE 'Asia/Shanghai') AS h FROM watch.incident WHERE class IN ('welding_arc', 'sparks')) AS hours",
        )
        > 0.7
    )
    # Every welder caught has a hazard written for it within the day.
    assert (
        value(
            city,
            "SELECT count(*) FROM watch.incident AS i WHERE i.review = 'confirmed' AND i.class IN ('welding_arc', 'sparks')"
            " AND NOT EXISTS (SELECT 1 FROM inspection.hazard AS h WHERE h.site_id = i.site_id AND h.is_unlicensed_work"
            " AND h.found_at BETWEEN i.first_seen_at AND i.first_seen_at + interval '1 day')",
        )
        == 0
    )


# --- determinism and refusals


def digest(url: str) -> str:
    """SHA-256 of every row that belongs to the city; what the database notes for itself (versions, caches) is not."""
    total = hashlib.sha256()
    with connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname || '.' || tablename AS t FROM pg_tables WHERE schemaname IN"
            " ('territory', 'registry', 'duty', 'inspection', 'watch') AND schemaname || '.' || tablename <> ALL (%s)"
            " ORDER BY 1",
            (
                [
                    "territory.layer_version",
                    "territory.no_cell_made_from",
                    # Since when something is on record, and the policy that a new database begins with.
                    "watch.connection_record",
                    "watch.camera_connection",
                    "watch.camera_mode",
                    "watch.retention_policy",
                    # What is to be worked out again, and since when.
                    "registry.risk_due",
                    "registry.risk_made_from",
                    "registry.sight_due",
                    "watch.event_change",
                ],
            ),
        ).fetchall()
        for table in tables:
            rows = connection.execute(
                f"SELECT x::text AS x FROM {table['t']} AS x ORDER BY 1".encode()
            ).fetchall()
            total.update(json.dumps([table["t"], [r["x"] for r in rows]]).encode())
    return total.hexdigest()


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(
    city_url: str, make_database: Callable[..., str]
) -> None:
    again, other = make_database(), make_database()
    with connect(again) as connection:
        build_sample_city(connection, size=SMALL, seed=116, as_of=AS_OF)
    with connect(other) as connection:
        build_sample_city(connection, size=SMALL, seed=117, as_of=AS_OF)
    assert digest(city_url) == digest(again)
    assert digest(other) != digest(again)


def test_a_second_city_is_refused_and_nothing_is_changed(city_url: str) -> None:
    before = digest(city_url)
    with connect(city_url) as connection, pytest.raises(Refused, match="holds a city already"):
        build_sample_city(connection, size=SMALL, seed=2, as_of=AS_OF)
    assert digest(city_url) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key_risk_areas": 100}, "119 are asked for in Zhangyan"),
        ({"live_cameras": 61}, "live must not exceed all"),
        ({"cells": 20}, "do not fit"),
        ({"communities": 100}, "do not fit"),
        ({"sites": 10}, "at least 120 sites"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_and_leave_the_database_empty(
    empty_url: str, changes: dict[str, int], said: str
) -> None:
    with connect(empty_url) as connection, pytest.raises(Refused, match=said):
        build_sample_city(connection, size=replace(SMALL, **changes), seed=1, as_of=AS_OF)
    with connect(empty_url) as connection:
        assert value(connection, "SELECT count(*) FROM territory.city") == 0
        assert value(connection, "SELECT count(*) FROM territory.unit") == 0


def test_progress_is_told_and_only_grows(empty_url: str) -> None:
    told: list[tuple[str, float]] = []
    with connect(empty_url) as connection:
        counts = build_sample_city(
            connection,
            size=SMALL,
            seed=5,
            as_of=AS_OF,
            progress=lambda step, share: told.append((step, share)),
        )
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert counts["territory.grid_cell"] == SMALL.cells
