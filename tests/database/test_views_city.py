"""The views over the sample city: totals agree with their parts, every kind of gap is there, and nothing takes long."""

import time
from typing import Any

import psycopg
from clones import AS_OF

Connection = psycopg.Connection[dict[str, Any]]


def values(connection: Connection, query: str) -> list[Any]:
    return [next(iter(r.values())) for r in connection.execute(query.encode(), {"t": AS_OF}).fetchall()]


def test_town_totals_are_the_sums_of_their_cells_and_of_the_headline(city: Connection) -> None:
    figures = {
        r["name"]: r["value"]
        for r in city.execute("SELECT * FROM analysis.headline_at(%s)", (AS_OF,)).fetchall()
    }
    row = city.execute(
        """
        SELECT sum(cells) AS cells_total, sum(sites) AS sites_total, sum(key_risk_areas) AS key_risk_area_total,
            sum(key_risk_areas_under_60) AS key_risk_area_seen_under_60, sum(cameras) AS cameras_total,
            sum(cameras_online) AS cameras_online, sum(red_cells) AS cells_red, sum(orange_cells) AS cells_orange
        FROM analysis.town_summary_at(%s)
        """,
        (AS_OF,),
    ).fetchone()
    assert row is not None
    assert {name: float(value) for name, value in row.items()} == {name: figures[name] for name in row}
    colours = ("red", "orange", "yellow", "blue", "no_site")
    assert sum(figures[f"cells_{c}"] for c in colours) == figures["cells_total"]
    assert figures["sites_total"] == len(
        values(city, "SELECT id FROM registry.site WHERE active_to IS NULL OR active_to > %(t)s")
    )
    assert 0 < figures["ground_declared_no_cell_km2"] <= figures["ground_in_no_cell_km2"]


def test_ground_in_no_cell_agrees_with_one_plain_difference(city: Connection) -> None:
    [plain] = values(
        city,
        "SELECT ST_Area(ST_Difference((SELECT ST_Union(geom) FROM territory.unit WHERE level = 'county'),"
        " (SELECT ST_Union(geom) FROM territory.grid_cell)))",
    )
    [pieces] = values(city, "SELECT sum(area_m2) FROM analysis.no_cell_ground()")
    # Slivers below 1 m2 are left out.
    assert abs(pieces - plain) < 5
    [overlap] = values(city, "SELECT coalesce(sum(ST_Area(ST_Intersection(n.geom, c.geom))), 0) FROM analysis.no_cell AS n"
                             " JOIN territory.grid_cell AS c ON ST_Intersects(n.geom, c.geom)")  # fmt: skip
    assert overlap < 1


def test_seen_area_agrees_with_one_plain_union(city: Connection) -> None:
    city.execute(
        "INSERT INTO watch.camera_health (camera_id, observed, since, last_try_at, last_observed_at)"
        " SELECT c.id, true, %(t)s, %(t)s, %(t)s FROM registry.camera AS c ON CONFLICT (camera_id) DO UPDATE"
        " SET observed = true, reason = NULL, last_observed_at = excluded.last_observed_at",
        {"t": AS_OF},
    )
    rows = city.execute(
        """
        WITH everything AS (SELECT ST_Union(o.sector) AS geom FROM analysis.online_sector_at(%(t)s) AS o)
        SELECT a.seen_m2, coalesce(ST_Area(ST_Intersection(a.geom, e.geom)), 0) AS plain_m2
        FROM analysis.key_risk_area_at(%(t)s) AS a CROSS JOIN everything AS e
        """,
        {"t": AS_OF},
    ).fetchall()
    assert all(abs(r["seen_m2"] - r["plain_m2"]) < 0.01 for r in rows)
    assert any(r["seen_m2"] > 100 for r in rows)


def test_the_city_has_gaps_of_each_kind(city: Connection) -> None:
    kinds = set(values(city, "SELECT DISTINCT kind FROM analysis.coverage_gap_at(%(t)s)"))
    assert kinds >= {"no_cell", "no_grid_worker", "no_camera", "not_checked"}
    assert set(values(city, "SELECT DISTINCT kind FROM analysis.duty_gap_at(%(t)s)")) >= {
        "missing",
        "no_grid_worker",
    }
    assert set(values(city, "SELECT DISTINCT level FROM analysis.risk_site_at(%(t)s)")) >= {
        "orange",
        "yellow",
        "blue",
    }


def test_each_gap_is_one_row(city: Connection) -> None:
    assert (
        values(
            city,
            "SELECT kind || subject || subject_id FROM analysis.coverage_gap_at(%(t)s) GROUP BY 1 HAVING count(*) > 1",
        )
        == []
    )
    assert (
        values(
            city,
            "SELECT kind || subject || subject_id FROM analysis.duty_gap_at(%(t)s) GROUP BY 1 HAVING count(*) > 1",
        )
        == []
    )


def test_one_cell_alone_says_the_same_as_all_cells(city: Connection) -> None:
    for query in (
        "SELECT r::text FROM analysis.risk_cell_at(%(t)s{}) AS r WHERE cell_code = %(cell)s",
        "SELECT r::text FROM analysis.risk_site_at(%(t)s{}) AS r WHERE cell_code = %(cell)s ORDER BY site_id",
        "SELECT r::text FROM analysis.coverage_gap_at(%(t)s{}) AS r WHERE cell_code = %(cell)s ORDER BY 1",
    ):
        for cell in values(
            city, "SELECT cell_code FROM analysis.risk_cell_at(%(t)s) ORDER BY score DESC NULLS LAST LIMIT 3"
        ):
            both = [
                city.execute(query.format(extra).encode(), {"t": AS_OF, "cell": cell}).fetchall()
                for extra in ("", ", %(cell)s")
            ]
            assert both[0] == both[1]


def test_reasons_are_three_and_in_order(city: Connection) -> None:
    for reasons in values(city, "SELECT reasons FROM analysis.risk_site_at(%(t)s)"):
        points = [r["points"] for r in reasons]
        assert 1 <= len(points) <= 3
        assert points == sorted(points, reverse=True)


def test_the_views_of_the_map_are_quick(city: Connection) -> None:
    # A guard against a lost index, not a measurement: the sample city of the demo is measured in benchmarks.
    city.execute("ANALYZE")
    for view in ("risk_cell", "coverage_cell", "duty_cell", "headline", "town_summary", "no_cell"):
        start = time.perf_counter()
        city.execute(f"SELECT * FROM analysis.{view}".encode()).fetchall()
        assert time.perf_counter() - start < 3, view
