"""analysis.risk_site and analysis.risk_cell: the formula's numbers, its overrides, and that it only moves the right way."""

import itertools
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_town import (
    add_camera,
    add_certificate,
    add_hazard,
    add_incident,
    add_site,
    add_visit,
    box,
)

DAY = timedelta(days=1)
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def town(led_town: Connection) -> Connection:
    return led_town


def risk(connection: Connection, site: int, as_of: Any = AS_OF) -> dict[str, Any]:
    row = connection.execute(
        "SELECT * FROM analysis.risk_site_at(%s) WHERE site_id = %s", (as_of, site)
    ).fetchone()
    assert row is not None
    return row


def cell(connection: Connection, code: str) -> dict[str, Any]:
    row = connection.execute(
        "SELECT * FROM analysis.risk_cell_at(%s) WHERE cell_code = %s", (AS_OF, code)
    ).fetchone()
    assert row is not None
    return row


def plant(connection: Connection) -> tuple[int, int]:
    """The plant of vectors B to D: H .5, E .4, V .3, control .6 = check .35 + camera .15 + worker .10."""
    site = add_site(connection, 100, 100)
    add_visit(connection, site, "patrol", AS_OF - DAY)
    camera = add_camera(connection, 100, 90, box(50, 50, 100, 100), seen=AS_OF - timedelta(minutes=1))
    return site, camera


def test_vector_a_small_shop(town: Connection) -> None:
    # Cell 5,1 has no worker: .35 + .20 + .20 + .15 = .9.
    site = add_site(town, 2600, 600, hazard="blue", people=20, vulnerability="mixed")
    add_visit(town, site, "admin_inspection", AS_OF - DAY)
    add_visit(town, site, "self_check", AS_OF - DAY)
    add_certificate(town, site, AS_OF)
    add_camera(town, 2600, 590, box(2550, 550, 100, 100), seen=AS_OF - timedelta(minutes=1))
    row = risk(town, site)
    assert row["control"] == pytest.approx(0.9)
    assert row["inherent"] == pytest.approx(0.3622, abs=5e-5)
    assert row["raw"] == 0
    assert row["dynamic"] == 0
    assert row["score"] == pytest.approx(26.44, abs=0.005)
    assert row["level"] == "blue"
    assert row["unknown_parts"] == []
    assert row["has_duty_gap"]  # no grid worker
    assert not row["is_stale"]


def test_vector_b_unconfirmed_welding(town: Connection) -> None:
    site, camera = plant(town)
    add_incident(town, camera, site, AS_OF, score=0.7)
    row = risk(town, site)
    assert row["control"] == pytest.approx(0.6)
    assert row["inherent"] == pytest.approx(0.4222, abs=5e-5)
    assert row["raw"] == pytest.approx(1.4)
    assert row["dynamic"] == pytest.approx(0.1306, abs=5e-5)
    assert row["score"] == pytest.approx(40.81, abs=0.005)
    assert row["level"] == "yellow"
    assert set(row["unknown_parts"]) == {"self_check", "certificates"}


def test_vector_c_confirmed_unlicensed_welding_is_red(town: Connection) -> None:
    site, camera = plant(town)
    add_incident(town, camera, site, AS_OF, review="confirmed", reviewed_at=AS_OF)
    row = risk(town, site)
    assert row["raw"] == pytest.approx(10)
    assert row["dynamic"] == pytest.approx(0.6321, abs=5e-5)
    assert row["score"] == pytest.approx(64.57, abs=0.005)
    assert (row["level"], row["override_reason"]) == ("red", "unlicensed_work")


def test_vector_d_closed_sixty_days_ago(town: Connection) -> None:
    site, _ = plant(town)
    add_hazard(town, site, "major", AS_OF - 70 * DAY, closed_at=AS_OF - 60 * DAY, unlicensed=True)
    row = risk(town, site)
    assert row["raw"] == pytest.approx(2.5)
    assert row["dynamic"] == pytest.approx(0.2212, abs=5e-5)
    assert row["score"] == pytest.approx(45.10, abs=0.005)
    assert (row["level"], row["override_reason"]) == ("yellow", None)


def test_vector_e_one_general_hazard_fifteen_days_late(town: Connection) -> None:
    site = add_site(town, 100, 100)
    add_visit(town, site, "self_check", AS_OF - DAY)
    add_hazard(town, site, "general", AS_OF - 25 * DAY, deadline=AS_OF - 15 * DAY)
    row = risk(town, site)
    assert row["control"] == pytest.approx(0.3)
    assert row["raw"] == pytest.approx(3.0)
    assert row["dynamic"] == pytest.approx(0.2592, abs=5e-5)
    assert row["score"] == pytest.approx(52.05, abs=0.005)
    assert row["level"] == "yellow"


def test_reasons_are_the_largest_terms_of_the_sum(town: Connection) -> None:
    site, camera = plant(town)
    add_incident(town, camera, site, AS_OF, review="confirmed", reviewed_at=AS_OF)
    row = risk(town, site)
    assert [r["key"] for r in row["reasons"]][:2] == ["inherent", "unlicensed_work"]
    # 100·I·0.7; 100·(1−I)·D·0.7; missing self-check and certificates 100·U·0.3·0.2 each: together the score.
    known = sum(r["points"] for r in row["reasons"])
    other = 100 * (1 - (1 - row["inherent"]) * (1 - row["dynamic"])) * 0.3 * 0.2
    assert known + other == pytest.approx(row["score"], abs=0.02)
    assert all(r["zh"] and r["en"] for r in row["reasons"])


@pytest.mark.parametrize("review", ["false", "permitted"])
def test_dismissed_incident_counts_nothing(town: Connection, review: str) -> None:
    site, camera = plant(town)
    before = risk(town, site)["score"]
    add_incident(town, camera, site, AS_OF, review=review, reviewed_at=AS_OF)
    assert risk(town, site)["score"] == pytest.approx(before)


@pytest.mark.parametrize(("class_", "review", "raw"), [
    ("welding_arc", "unreviewed", 0), ("sparks", "unreviewed", 0),
    ("fire", "unreviewed", 1.4), ("welding_arc", "confirmed", 4),
])  # fmt: skip
def test_hot_work_under_a_permit_counts_nothing_until_confirmed(
    town: Connection, class_: str, review: str, raw: float
) -> None:
    site, camera = plant(town)
    incident = add_incident(town, camera, site, AS_OF, class_=class_, review=review)
    town.execute(
        """
        WITH permit AS (
            INSERT INTO registry.hot_work_permit (permit_no, site_id, level, geom, starts_at, ends_at, status)
            SELECT 'P1', s.id, 'first', ST_Buffer(s.geom, 20), %(t)s::timestamptz - interval '1 hour',
                %(t)s::timestamptz + interval '1 hour', 'active'
            FROM registry.site AS s WHERE s.id = %(site)s
            RETURNING id
        )
        UPDATE watch.incident SET permit_id = permit.id FROM permit WHERE incident.id = %(incident)s
        """,
        {"t": AS_OF, "site": site, "incident": incident},
    )
    assert risk(town, site)["raw"] == pytest.approx(raw)


def test_unreviewed_incident_expires_after_a_day(town: Connection) -> None:
    site, camera = plant(town)
    add_incident(town, camera, site, AS_OF - timedelta(hours=23), state="quiet")
    assert risk(town, site)["raw"] == pytest.approx(1.4)
    assert risk(town, site, AS_OF + timedelta(hours=1, minutes=1))["raw"] == 0


def test_candidates_count_nothing(town: Connection) -> None:
    site, camera = plant(town)
    add_incident(town, camera, site, AS_OF, state="candidate")
    assert risk(town, site)["raw"] == 0


def test_many_unreviewed_leads_raise_one_colour_at_most(town: Connection) -> None:
    site, camera = plant(town)
    assert risk(town, site)["level"] == "blue"
    for _ in range(12):
        add_incident(town, camera, site, AS_OF, score=1.0)
    row = risk(town, site)
    assert row["dynamic"] > 0.9
    assert (row["level"], row["override_reason"]) == ("yellow", "unreviewed_capped")


def test_confirmed_work_stays_red_until_accepted(town: Connection) -> None:
    site, camera = plant(town)
    seen = AS_OF - 5 * DAY
    add_incident(
        town, camera, site, seen, review="confirmed", reviewed_at=seen, state="closed", closed_at=seen
    )
    assert risk(town, site)["level"] == "red"
    add_visit(town, site, "admin_inspection", AS_OF - 2 * DAY, outcome="hazard")
    assert risk(town, site)["level"] == "red"
    add_visit(town, site, "admin_inspection", AS_OF - DAY, outcome="ok")
    after = risk(town, site)
    assert after["level"] != "red"
    assert after["raw"] == pytest.approx(10 * 2 ** (-1 / 30))


def test_written_hazard_takes_the_incidents_place(town: Connection) -> None:
    site, camera = plant(town)
    seen = AS_OF - 5 * DAY
    add_incident(
        town, camera, site, seen, review="confirmed", reviewed_at=seen, state="closed", closed_at=seen
    )
    hazard = add_hazard(town, site, "major", seen + timedelta(hours=2), unlicensed=True)
    assert risk(town, site)["raw"] == pytest.approx(10)
    assert risk(town, site)["level"] == "red"
    town.execute(
        "UPDATE inspection.hazard SET state = 'verified_closed', closed_at = %s WHERE id = %s",
        (AS_OF - DAY, hazard),
    )
    assert risk(town, site)["level"] != "red"


def test_open_major_hazard_is_red(town: Connection) -> None:
    site, _ = plant(town)
    add_hazard(town, site, "major", AS_OF - DAY)
    row = risk(town, site)
    assert row["score"] < 75
    assert (row["level"], row["override_reason"]) == ("red", "major_hazard_open")


def test_a_past_moment_knows_nothing_of_what_came_later(town: Connection) -> None:
    site, camera = plant(town)
    add_incident(town, camera, site, AS_OF - DAY, review="false", reviewed_at=AS_OF)
    add_hazard(town, site, "general", AS_OF - 10 * DAY, closed_at=AS_OF)
    then = risk(town, site, AS_OF - timedelta(hours=12))
    assert then["raw"] == pytest.approx(1.4 + 2)


def test_unknown_is_flagged_and_never_low(town: Connection) -> None:
    known = add_site(town, 600, 100, hazard="blue", people=5, vulnerability="normal")
    site = add_site(town, 620, 100, hazard=None, people=None, vulnerability=None)
    row = risk(town, site)
    assert row["level"] == "orange"
    assert row["score"] > risk(town, known)["score"]
    assert {"hazard_level", "people", "vulnerability", "check", "self_check", "certificates"} == set(
        row["unknown_parts"]
    )
    assert row["is_stale"]  # no data at all


def test_visit_that_could_not_look_is_no_check(town: Connection) -> None:
    site, _ = plant(town)
    town.execute("UPDATE inspection.visit SET outcome = 'unknown'")
    row = risk(town, site)
    assert row["control"] == pytest.approx(0.25)
    assert "check" in row["unknown_parts"]


def test_cell_score_and_colours(town: Connection) -> None:
    code = town.execute("SELECT code FROM territory.grid_cell WHERE name_zh = '0,0'").fetchone()["code"]  # type: ignore[index]
    assert cell(town, code)["level"] is None
    sites = [
        add_site(town, 100 + i, 100, hazard=h)
        for i, h in enumerate(["blue", "blue", "yellow", "orange", "red", "blue", "blue"])
    ]
    scores = sorted((risk(town, s)["score"] for s in sites), reverse=True)
    row = cell(town, code)
    assert row["site_count"] == 7
    assert row["score"] == pytest.approx(0.6 * scores[0] + 0.4 * sum(scores[:5]) / 5)
    assert row["top_site_id"] == sites[4]
    empty = town.execute(
        "SELECT count(*) AS n FROM analysis.risk_cell_at(%s) WHERE level IS NULL AND score IS NULL", (AS_OF,)
    )
    assert empty.fetchone() == {"n": 9}


def test_red_site_makes_its_cell_orange_at_least(town: Connection) -> None:
    site = add_site(town, 100, 100, hazard="blue", people=5)
    for i in range(6):
        add_site(town, 110 + i, 100, hazard="blue", people=5)
    for kind in ("patrol", "self_check"):
        add_visit(town, site, kind, AS_OF - DAY)
    add_hazard(town, site, "major", AS_OF - DAY)
    row = cell(town, risk(town, site)["cell_code"])
    assert risk(town, site)["level"] == "red"
    assert row["score"] < 55
    assert row["level"] == "orange"
    assert row["top_site_id"] == site


GRADES = ("blue", "yellow", "orange", "red")
HAZARD = st.tuples(
    st.sampled_from(["general", "serious", "major"]), st.integers(0, 200), st.integers(-30, 60), st.booleans()
)


def _order(row: dict[str, Any]) -> tuple[int, float]:
    return GRADES.index(row["level"]), row["score"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hazards=st.lists(HAZARD, max_size=4), extra=HAZARD, incidents=st.integers(0, 3), score=st.floats(0.1, 1)
)
def test_more_open_hazards_never_lower_and_closing_never_raises(
    town: Connection, hazards: list[Any], extra: Any, incidents: int, score: float
) -> None:
    with town.transaction(force_rollback=True):
        site, camera = plant(town)
        for _ in range(incidents):
            add_incident(town, camera, site, AS_OF, score=score)
        for hazard_class, age, late, closed in hazards:
            add_hazard(
                town, site, hazard_class, AS_OF - (age + 1) * DAY, deadline=AS_OF - late * DAY,
                closed_at=AS_OF - age * DAY if closed else None,
            )  # fmt: skip
        before = risk(town, site)
        hazard = add_hazard(
            town, site, extra[0], AS_OF - (extra[1] + 1) * DAY, deadline=AS_OF - extra[2] * DAY
        )
        more = risk(town, site)
        assert _order(more) >= _order(before)
        assert more["score"] >= before["score"] - 1e-9
        town.execute(
            "UPDATE inspection.hazard SET state = 'verified_closed', closed_at = %s WHERE id = %s",
            (AS_OF, hazard),
        )
        closed_row = risk(town, site)
        assert closed_row["score"] <= more["score"] + 1e-9
        assert _order(closed_row)[0] <= _order(more)[0]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.sets(st.sampled_from(["patrol", "self_check", "certificate", "camera"])),
    more=st.sampled_from(["patrol", "self_check", "certificate", "camera"]),
    grade=st.sampled_from(GRADES),
    incidents=st.integers(0, 2),
)
def test_better_control_never_raises(
    town: Connection, start: set[str], more: str, grade: str, incidents: int
) -> None:
    with town.transaction(force_rollback=True):
        site = add_site(town, 700, 100, hazard=grade)
        blind = add_camera(town, 700, 90, None, url=None)
        for _ in range(incidents):
            add_incident(town, blind, site, AS_OF, score=0.9)
        for step, control in enumerate(itertools.chain(sorted(start), [more])):
            if step == len(start):
                before = risk(town, site)
            if control == "certificate":
                town.execute("DELETE FROM registry.certificate")
                add_certificate(town, site, AS_OF)
            elif control == "camera":
                add_camera(town, 700, 90, box(650, 50, 100, 100), seen=AS_OF)
            else:
                add_visit(town, site, control, AS_OF - DAY)
        after = risk(town, site)
        assert after["score"] <= before["score"] + 1e-9
        assert _order(after)[0] <= _order(before)[0]


def test_a_cell_lacks_data_where_each_of_its_sites_does(town: Connection) -> None:
    """By one rule: all of it old, or grade, people and vulnerability all unknown. One of the three does not make it."""
    partly = add_site(town, 100, 100, hazard="blue", people=None)
    add_visit(town, partly, "patrol", AS_OF - DAY)
    code = town.execute("SELECT cell_code FROM registry.site WHERE id = %s", (partly,)).fetchone()
    assert code is not None

    def look() -> tuple[str, str, bool, int]:
        row = cell(town, code["cell_code"])
        return risk(town, partly)["look"], row["look"], row["lacks_data"], row["unknown_site_count"]

    assert look() == ("blue", "blue", False, 1)
    # Beside one that is old and one of which nothing is known the cell still knows of one.
    old = add_site(town, 110, 100, hazard="blue")
    add_visit(town, old, "patrol", AS_OF - 200 * DAY)
    nothing = add_site(town, 120, 100, hazard=None, people=None, vulnerability=None)
    add_visit(town, nothing, "patrol", AS_OF - DAY)
    assert look()[2] is False
    town.execute(
        "UPDATE registry.site SET hazard_level = NULL, vulnerability = NULL WHERE id = %s", (partly,)
    )
    assert look()[1:3] == ("no_data", True)
    assert not cell(town, code["cell_code"])["is_stale"]
