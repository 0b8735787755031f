"""What a stranger doubted: leads that never opened, absurd dates and constants, days on which things were not yet or no longer so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from access.signed_in import caller
from clones import AS_OF
from psycopg import sql
from small_town import (
    TOWN_A,
    add_area,
    add_camera,
    add_hazard,
    add_incident,
    add_site,
    add_visit,
)

from layers import answers

DAY = timedelta(days=1)
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def town(led_town: Connection) -> Connection:
    return led_town


def one(connection: Connection, query: str, *values: Any) -> dict[str, Any]:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


def risk(connection: Connection, site: int, as_of: datetime = AS_OF) -> dict[str, Any]:
    return one(connection, "SELECT * FROM analysis.risk_site_at(%s) WHERE site_id = %s", as_of, site)


def test_a_candidate_that_came_to_nothing_raises_no_score(town: Connection) -> None:
    site, camera = add_site(town, 100, 100), add_camera(town, 100, 90, None)
    calm = risk(town, site)["score"]
    lead = add_incident(
        town,
        camera,
        site,
        AS_OF - timedelta(hours=1),
        state="closed",
        closed_at=AS_OF - timedelta(minutes=50),
    )
    assert risk(town, site)["raw"] > 0
    town.execute("UPDATE watch.incident SET opened_at = NULL WHERE id = %s", (lead,))
    row = risk(town, site)
    assert (row["raw"], row["score"]) == (0, calm)
    measures = town.execute("SELECT measure FROM analysis.risk_measures_at(%s, %s)", (AS_OF, site)).fetchall()
    assert "review_lead" not in {m["measure"] for m in measures}
    # Nor was it one before it ended.
    assert risk(town, site, AS_OF - timedelta(minutes=55))["raw"] == 0


def test_absurd_rows_of_one_site_leave_the_map_standing(town: Connection) -> None:
    old, many, calm = (add_site(town, 100 + 10 * k, 100) for k in range(3))
    # An empty date of a spreadsheet.
    add_hazard(
        town, old, "major", datetime(1899, 12, 30, tzinfo=UTC), closed_at=datetime(1900, 1, 1, tzinfo=UTC)
    )
    for _ in range(400):
        add_hazard(town, many, "major", AS_OF - 90 * DAY, deadline=AS_OF - 60 * DAY)
    assert risk(town, calm)["raw"] == 0
    assert risk(town, old)["raw"] == pytest.approx(0, abs=1e-9)
    row = risk(town, many)
    assert (row["dynamic"], row["level"]) == (1, "red")
    for site in (old, many):
        town.execute("SELECT * FROM analysis.risk_explained_at(%s, %s)", (AS_OF, site)).fetchall()
    town.execute("SELECT * FROM analysis.risk_measures_at(%s, %s)", (AS_OF, old)).fetchall()


@pytest.mark.parametrize(
    "name", ["risk_fresh_half_life", "risk_fresh_days", "risk_stale_days", "risk_unreviewed_hours"]
)
def test_a_constant_of_zero_leaves_the_map_standing(town: Connection, name: str) -> None:
    site = add_site(town, 100, 100)
    add_visit(town, site, "patrol", AS_OF - 60 * DAY)
    town.execute("UPDATE analysis.parameter SET value = 0 WHERE name = %s", (name,))
    row = one(
        town, "SELECT * FROM analysis.risk_site_at(%s, constants => now()) WHERE site_id = %s", AS_OF, site
    )
    assert 0 <= row["confidence"] <= 1


def test_an_area_counts_in_its_cell_from_the_day_on_which_it_joined(town: Connection) -> None:
    site = add_site(town, 600, 100)
    add_area(town, site, 600, 100, 100, 100, onboarded=(AS_OF + 10 * DAY).date().isoformat())

    def areas(at: datetime) -> int:
        return int(
            one(town, "SELECT sum(key_risk_area_count) AS n FROM analysis.coverage_cell_at(%s)", at)["n"]
        )

    assert (areas(AS_OF), areas(AS_OF + 11 * DAY)) == (0, 1)


def test_a_past_cell_shows_what_went_on_then(town: Connection) -> None:
    site, camera = add_site(town, 100, 100), add_camera(town, 100, 90, None)
    add_incident(
        town,
        camera,
        site,
        AS_OF - 3 * DAY,
        state="closed",
        closed_at=AS_OF - DAY,
        review="confirmed",
        reviewed_at=AS_OF - DAY,
    )
    code = one(town, "SELECT cell_code FROM registry.site WHERE id = %s", site)["cell_code"]

    def then(at: datetime) -> tuple[int, float, float]:
        found = answers.cell_details(town, code, at)
        assert found is not None
        figures = {
            r["name"]: r["value"]
            for r in town.execute("SELECT * FROM analysis.headline_at(%s)", (at,)).fetchall()
        }
        return len(found["incidents"]), figures["incidents_open"], figures["incidents_unreviewed"]

    assert then(AS_OF - 2 * DAY) == (1, 1, 1)
    assert then(AS_OF) == (0, 0, 0)


def test_a_site_that_has_closed_is_at_no_place(town: Connection) -> None:
    site = add_site(town, 100, 100)
    at = one(
        town,
        "SELECT ST_X(p) AS lon, ST_Y(p) AS lat FROM registry.site AS s CROSS JOIN LATERAL ST_Transform(s.geom, 4326) AS p WHERE s.id = %s",
        site,
    )
    area = add_area(town, site, 50, 50, 100, 100)
    found = answers.identify(town, at["lon"], at["lat"])
    assert [s["id"] for s in found["sites"]] == [site]
    assert [a["id"] for a in found["key_risk_areas"]] == [area]
    town.execute("UPDATE registry.site SET active_to = '2020-01-01' WHERE id = %s", (site,))
    town.execute("UPDATE registry.key_risk_area SET retired_on = '2020-01-01' WHERE id = %s", (area,))
    found = answers.identify(town, at["lon"], at["lat"])
    assert (found["sites"], found["key_risk_areas"]) == ([], [])


def test_events_of_no_class_are_none(town: Connection) -> None:
    camera = add_camera(town, 100, 90, None)
    add_incident(town, camera, None, AS_OF - 3 * DAY)
    town.execute("SELECT watch.fold_events()")
    tile = one(
        town,
        "SELECT territory.bin_column(ST_X(geom_3857)) >> 10 AS x, territory.bin_row(ST_Y(geom_3857)) >> 10 AS y FROM watch.incident",
    )
    count = "SELECT coalesce(sum(n), 0) AS n FROM analysis.event_bins(10, %s, %s, NULL, NULL, %s)"
    assert one(town, count, tile["x"], tile["y"], "welding_arc")["n"] == 1
    assert one(town, count, tile["x"], tile["y"], "grinder_spark")["n"] == 0


def test_a_town_sees_no_hexagon_that_a_site_of_no_town_colours(town: Connection) -> None:
    site = add_site(town, 900, 500)
    reader = caller(town, "of-a", "committee", areas=[TOWN_A])

    def coloured() -> int:
        town.execute("SELECT analysis.keep_risk_surface()")
        with town.transaction():
            town.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(reader.db_role)))
            found = one(town, "SELECT count(*) AS n FROM analysis.risk_surface WHERE density > 0")
            town.execute("RESET ROLE")
        return int(found["n"])

    assert coloured() > 0
    town.execute("UPDATE registry.site SET town_code = NULL, cell_code = NULL WHERE id = %s", (site,))
    assert coloured() == 0
