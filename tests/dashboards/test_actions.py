"""Who may do what, where: every action by each role, in the own town and in another, over HTTP; and what the audit says."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from access.asking import WHO, AsWhoever, web_pool
from access.signed_in import caller
from clones import AS_OF
from fastapi import FastAPI
from fastapi.testclient import TestClient
from small_town import (
    COUNTY,
    TOWN_A,
    TOWN_B,
    add_camera,
    add_hazard,
    add_incident,
    add_person,
    add_site,
    small_town,
)

from dashboards import actions
from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)
ROLES = ("committee", "planner", "analyst", "duty_officer", "inspector")


@dataclass
class Desk:
    """Everybody at a desk, with things of two towns to act on."""

    owner: Connection
    web: TestClient
    sites: dict[str, int]
    cameras: dict[str, int]
    person: int

    def post(self, who: str, path: str, body: Any) -> Any:
        return self.web.post(path, json=body, headers={WHO: who})

    def incident(self, town: str, **options: Any) -> str:
        x = 600 if town == TOWN_A else 2600
        return str(add_incident(self.owner, self.cameras[town], self.sites[town], NOW, x=x, y=100, **options))

    def hazard(self, town: str, state: str = "found") -> int:
        hazard = add_hazard(self.owner, self.sites[town], "general", NOW)
        self.owner.execute("UPDATE inspection.hazard SET state = %s WHERE id = %s", (state, hazard))
        return hazard

    def row(self, query: str, *values: Any) -> dict[str, Any]:
        found = self.owner.execute(query.encode(), values).fetchone()
        assert found is not None
        return found

    def last_audit(self) -> dict[str, Any]:
        return self.row("SELECT * FROM access.audit ORDER BY id DESC LIMIT 1")


@pytest.fixture(scope="module")
def desk(cluster: PrivateCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with small_town(cluster, AS_OF) as owner:
        sites = {TOWN_A: add_site(owner, 600, 100), TOWN_B: add_site(owner, 2600, 100)}
        cameras = {TOWN_A: add_camera(owner, 600, 100, None), TOWN_B: add_camera(owner, 2600, 100, None)}
        who = [caller(owner, f"{role}_a", role, areas=[TOWN_A]) for role in ROLES]
        who += [
            caller(owner, "admin", "admin"),
            caller(owner, "firm_a", "enterprise", sites=[sites[TOWN_A]]),
            caller(owner, "committee", "committee"),
            caller(owner, "both", ["planner", "committee"]),
        ]
        info = owner.info
        url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
        with web_pool(url, tmp_path_factory.mktemp("home")) as pool:
            app = FastAPI()
            app.include_router(actions.router(pool))
            with TestClient(AsWhoever(app, *who)) as client:
                yield Desk(owner, client, sites, cameras, add_person(owner, "科长"))


EVERYBODY = (*(f"{role}_a" for role in ROLES), "admin", "firm_a")


def bodies(desk: Desk, town: str) -> dict[str, tuple[str, Any, int]]:
    """Action to (path, body, status where it is done), on fresh things of a town."""
    return {
        "review": (f"/incidents/{desk.incident(town)}/review", {"review": "confirmed"}, 200),
        "propose": ("/changesets", {"title": "调整网格", "reason": "新建小区", "town_code": town}, 201),
        "visit": ("/visits", {"site_id": desk.sites[town], "kind": "patrol", "outcome": "ok", "done_at": NOW.isoformat()}, 201),
        "self_check": ("/visits", {"site_id": desk.sites[town], "kind": "self_check", "outcome": "ok", "done_at": NOW.isoformat()}, 201),
        "assign_hazard": (f"/hazards/{desk.hazard(town)}/state", {"state": "assigned"}, 200),
        "submit_fix": (f"/hazards/{desk.hazard(town, 'fixing')}/state", {"state": "submitted"}, 200),
        "close_hazard": (f"/hazards/{desk.hazard(town, 'submitted')}/state", {"state": "verified_closed"}, 200),
        "assign_duty": (
            "/assignments",
            {"rule_code": "R01", "unit_code": town, "department_code": "YJ", "role": "lead", "status": "confirmed",
             "person_id": desk.person, "valid_from": f"20{uuid.uuid4().int % 60 + 10}-01-{uuid.uuid4().int % 28 + 1:02d}"},
            201,
        ),
    }  # fmt: skip


MAY = {
    "review": {"duty_officer_a"},
    "propose": {"planner_a"},
    "visit": {"inspector_a"},
    "self_check": {"firm_a"},
    "assign_hazard": {"inspector_a"},
    "submit_fix": {"inspector_a", "firm_a"},
    "close_hazard": {"inspector_a"},
    "assign_duty": {"committee_a"},
}


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("action", list(MAY))
def test_who_does_what_where(desk: Desk, action: str, who: str) -> None:
    """Own town: done, or 403 for the role. Another town: as if there were no such thing, or 403, and nothing is changed."""
    path, body, done = bodies(desk, TOWN_A)[action]
    answer = desk.post(who, path, body)
    if who in MAY[action]:
        assert answer.status_code == done, answer.text
    elif who == "firm_a" and action == "assign_hazard":
        # A firm moves its hazards on from where the inspector has put them; one that was only found is not its turn.
        assert answer.status_code in (403, 409)
    else:
        assert answer.status_code == 403, answer.text
        assert answer.json()["error"]

    path, body, _ = bodies(desk, TOWN_B)[action]
    before = desk.row(
        "SELECT (SELECT count(*) FROM inspection.visit) AS v, (SELECT count(*) FROM territory.changeset) AS c,"
        " (SELECT count(*) FROM duty.assignment) AS d, (SELECT array_agg(state ORDER BY id) FROM inspection.hazard) AS h,"
        " (SELECT array_agg(review ORDER BY incident_no) FROM watch.incident) AS i"
    )
    answer = desk.post(who, path, body)
    assert answer.status_code == (404 if who in MAY[action] else answer.status_code)
    assert answer.status_code in (403, 404)
    if answer.status_code == 404:
        assert answer.json()["error"] == actions.NOT_THERE
    after = desk.row(
        "SELECT (SELECT count(*) FROM inspection.visit) AS v, (SELECT count(*) FROM territory.changeset) AS c,"
        " (SELECT count(*) FROM duty.assignment) AS d, (SELECT array_agg(state ORDER BY id) FROM inspection.hazard) AS h,"
        " (SELECT array_agg(review ORDER BY incident_no) FROM watch.incident) AS i"
    )
    assert before == after


def test_a_review_says_who_and_why_and_cannot_be_overruled_unseen(desk: Desk) -> None:
    incident = desk.incident(TOWN_A)
    said = desk.post(
        "duty_officer_a",
        f"/incidents/{incident}/review",
        {"review": "false", "reason": "是夕阳反光", "was": "unreviewed"},
    )
    assert said.status_code == 200
    assert said.json()["reviewed_by"] == "duty_officer_a"
    row = desk.row("SELECT * FROM watch.incident WHERE id = %s", incident)
    assert (row["review"], row["review_reason"], row["reviewed_by"]) == (
        "false",
        "是夕阳反光",
        "duty_officer_a",
    )
    audit = desk.last_audit()
    assert (audit["login"], audit["subject"], audit["subject_id"]) == (
        "duty_officer_a",
        "watch.incident",
        incident,
    )
    assert (audit["reason"], audit["town_code"]) == ("是夕阳反光", TOWN_A)
    assert (audit["before"]["review"], audit["after"]["review"]) == ("unreviewed", "false")
    told = desk.row("SELECT payload FROM watch.outbox ORDER BY id DESC LIMIT 1")["payload"]
    assert (told["id"], told["review"]) == (incident, "false")
    # The other officer's page still shows "unreviewed".
    late = desk.post(
        "duty_officer_a", f"/incidents/{incident}/review", {"review": "confirmed", "was": "unreviewed"}
    )
    assert late.status_code == 409
    assert desk.row("SELECT review FROM watch.incident WHERE id = %s", incident)["review"] == "false"
    # Whoever has seen it may put it right.
    assert (
        desk.post(
            "duty_officer_a", f"/incidents/{incident}/review", {"review": "confirmed", "was": "false"}
        ).status_code
        == 200
    )


def test_the_reason_of_one_change_is_not_that_of_the_next(desk: Desk) -> None:
    desk.post(
        "duty_officer_a", f"/incidents/{desk.incident(TOWN_A)}/review", {"review": "false", "reason": "反光"}
    )
    desk.post("duty_officer_a", f"/incidents/{desk.incident(TOWN_A)}/review", {"review": "confirmed"})
    assert desk.last_audit()["reason"] is None


def test_a_candidate_is_not_there_to_be_reviewed(desk: Desk) -> None:
    incident = desk.incident(TOWN_A, state="candidate")
    answer = desk.post("duty_officer_a", f"/incidents/{incident}/review", {"review": "confirmed"})
    nothing = desk.post("duty_officer_a", f"/incidents/{uuid.uuid4()}/review", {"review": "confirmed"})
    other = desk.post("duty_officer_a", f"/incidents/{desk.incident(TOWN_B)}/review", {"review": "confirmed"})
    assert [a.status_code for a in (answer, nothing, other)] == [404, 404, 404]
    assert answer.content == nothing.content == other.content


def test_a_changeset_needs_somebody_elses_yes(desk: Desk) -> None:
    made = desk.post(
        "both",
        "/changesets",
        {"title": "并格", "town_code": TOWN_B, "proposal": {"type": "FeatureCollection"}},
    ).json()
    path = f"/changesets/{made['id']}/state"
    assert made["state"] == "draft"
    # Not handed in yet: nobody can say yes.
    assert desk.post("committee", path, {"state": "approved"}).status_code == 409
    assert desk.post("planner_a", path, {"state": "submitted"}).status_code == 404, (
        "a planner of another town"
    )
    assert desk.post("committee", path, {"state": "submitted"}).status_code == 403, "not its planner"
    assert desk.post("both", path, {"state": "submitted"}).status_code == 200
    assert desk.post("both", path, {"state": "approved"}).status_code == 403, (
        "both roles, and still its own plan"
    )
    assert desk.post("committee_a", path, {"state": "approved"}).status_code == 404, (
        "the committee of another town"
    )
    said = desk.post("committee", path, {"state": "approved", "review_note": "同意"})
    assert said.status_code == 200
    assert said.json()["reviewed_by"] != said.json()["planned_by"]
    assert desk.last_audit()["reason"] == "同意"
    assert desk.post("committee", path, {"state": "rejected"}).status_code == 409, "reviewed already"
    assert desk.post("both", path, {"state": "draft"}).status_code == 409


def test_a_hazard_goes_its_way_and_no_other(desk: Desk) -> None:
    hazard = desk.hazard(TOWN_A)
    path = f"/hazards/{hazard}/state"
    for who, state, status in (
        ("inspector_a", "verified_closed", 409),
        ("firm_a", "fixing", 409),
        ("inspector_a", "assigned", 200),
        ("firm_a", "fixing", 200),
        ("firm_a", "submitted", 200),
        ("firm_a", "verified_closed", 403),
        ("inspector_a", "rejected", 200),
        ("firm_a", "submitted", 200),
        ("inspector_a", "verified_closed", 200),
        ("inspector_a", "fixing", 409),
        ("firm_a", "fixing", 409),
    ):
        assert desk.post(who, path, {"state": state}).status_code == status, (who, state)
    row = desk.row("SELECT state, closed_at FROM inspection.hazard WHERE id = %s", hazard)
    assert row["state"] == "verified_closed"
    assert row["closed_at"] is not None


def test_a_town_gives_no_duty_to_the_county(desk: Desk) -> None:
    body = {
        "rule_code": "R02",
        "unit_code": COUNTY,
        "department_code": "YJ",
        "role": "lead",
        "valid_from": "2026-01-01",
    }
    assert desk.post("committee_a", "/assignments", body).status_code == 404
    assert desk.post("committee", "/assignments", body).status_code == 201
    assert desk.post("committee", "/assignments", body).status_code == 409, "the same again"
    for wrong in ({"rule_code": "R99"}, {"department_code": "XX"}, {"person_id": 10**9}):
        assert (
            desk.post("committee", "/assignments", body | {"valid_from": "2026-02-01"} | wrong).status_code
            == 422
        ), wrong


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/incidents/{i}/review", {"review": "unreviewed"}),
        ("/incidents/{i}/review", {"review": "false"}),
        ("/incidents/{i}/review", {"review": "false", "reason": "   "}),
        ("/incidents/{i}/review", {"review": "confirmed", "reviewed_by": "somebody else"}),
        ("/incidents/{i}/review", {"review": "confirmed", "reason": "x" * 501}),
        ("/incidents/{i}/review", {"review": "confirmed", "reason": "a\x00b"}),
        ("/incidents/{i}/review", []),
        ("/incidents/1/review", {"review": "confirmed"}),
        ("/incidents/%27%20OR%201=1/review", {"review": "confirmed"}),
        ("/visits", {"site_id": "1; DROP TABLE", "kind": "patrol", "outcome": "ok", "done_at": NOW.isoformat()}),
        ("/visits", {"site_id": 1, "kind": "patrol", "outcome": "ok", "done_at": "2026-01-01T00:00:00"}),
        ("/visits", {"site_id": 1, "kind": "patrol", "outcome": "ok", "done_at": (NOW + timedelta(days=1)).isoformat()}),
        ("/visits", {"site_id": 2**70, "kind": "patrol", "outcome": "ok", "done_at": NOW.isoformat()}),
        ("/hazards/0/state", {"state": "fixing"}),
        ("/hazards/1/state", {"state": "found"}),
        ("/changesets", {"title": "", "town_code": TOWN_A}),
        ("/changesets", {"title": "x", "town_code": "3101161010"}),
        ("/changesets", {"title": "x", "town_code": TOWN_A, "planned_by": "geoapp_other_000000"}),
        ("/assignments", {"rule_code": "R01", "unit_code": TOWN_A, "department_code": "YJ", "role": "lead",
                          "valid_from": "2026-02-01", "valid_to": "2026-01-01"}),
    ],
)  # fmt: skip
def test_values_that_do_not_fit_are_refused_in_words(desk: Desk, path: str, body: Any) -> None:
    answer = desk.post("both", path.replace("{i}", desk.incident(TOWN_A)), body)
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"error"}
    assert "somebody else" not in answer.text


def test_nobody_does_nothing_and_a_refusal_is_on_record(desk: Desk) -> None:
    for path, body, _ in bodies(desk, TOWN_A).values():
        assert desk.post("nobody", path, body).status_code == 401, path
    path = f"/incidents/{desk.incident(TOWN_A)}/review"
    assert desk.post("analyst_a", path, {"review": "confirmed"}).status_code == 403
    audit = desk.last_audit()
    assert (audit["action"], audit["login"], audit["ok"], audit["subject_id"]) == (
        "refused",
        "analyst_a",
        False,
        path,
    )
