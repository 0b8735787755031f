"""Every cell of the matrix role x action x area, tried by SQL under the role."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import clone, drop
from matrix import (
    ACTIONS,
    AREAS,
    EXPECTED,
    NOT_OVER_HTTP,
    ONLY_EXPORTED,
    OVER_HTTP,
    ROLES,
    Area,
    Place,
    World,
    as_markdown,
    cells,
    expected,
    expected_over_http,
    make_world,
)
from psycopg import sql
from signed_in import caller

from geoapp.access.caller import Caller
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.settings import REPOSITORY

Connection = psycopg.Connection[dict[str, Any]]

# What each action is in SQL. A read gives rows, a write touches them; %(name)s: fields of Place, and the caller's role.
STATEMENTS = {
    "read_site": "SELECT id FROM registry.site WHERE id = %(site)s",
    "read_site_contact": "SELECT contact_phone FROM registry.site WHERE id = %(site)s",
    "read_certificate_holder": "SELECT holder_name FROM registry.certificate WHERE id = %(certificate)s",
    "read_person": "SELECT name_zh, phone FROM duty.person WHERE id = %(person)s",
    "read_camera": "SELECT id FROM registry.camera WHERE id = %(camera)s",
    "read_camera_address": "SELECT snapshot_url FROM registry.camera WHERE id = %(camera)s",
    "read_incident": "SELECT id FROM analysis.event WHERE id = %(incident)s",
    "read_evidence": "SELECT path FROM watch.evidence WHERE id = %(evidence)s",
    "review_incident": "UPDATE watch.incident SET review = 'false', review_reason = '蒸汽' WHERE id = %(incident)s",
    "take_incident": "INSERT INTO watch.incident_hold (incident_id, since, held_until)"
    " SELECT e.id, now(), now() + interval '1 minute' FROM analysis.event AS e WHERE e.id = %(incident)s",
    "assign_incident": "INSERT INTO watch.incident_assignment (incident_id, department_code)"
    " SELECT e.id, (SELECT min(d.code) FROM duty.department AS d) FROM analysis.event AS e WHERE e.id = %(incident)s",
    "set_mode": "INSERT INTO watch.camera_mode (camera_id, class, mode, reason, set_at, set_by)"
    " VALUES (%(camera)s, 'smoke', 'shadow', '试运行', now(), '')",
    "decide_mask": "UPDATE watch.mask SET state = 'active', until = now() + interval '1 day', decided_at = now(), decided_by = ''"
    " WHERE id = %(mask)s",
    "propose_changeset": "INSERT INTO territory.changeset (title, town_code) VALUES ('拆分', %(town)s)",
    "review_changeset": "UPDATE territory.changeset SET state = 'approved' WHERE id = %(changeset)s",
    "review_own_changeset": "UPDATE territory.changeset SET state = 'approved' WHERE id = %(changeset)s",
    "change_submitted": "UPDATE territory.changeset SET title = '改' WHERE id = %(changeset)s",
    "approve_and_change": "UPDATE territory.changeset SET state = 'approved', title = '改' WHERE id = %(changeset)s",
    "assign_duty": "INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, valid_from)"
    " SELECT r.code, %(town)s, d.code, 'lead', 'confirmed', '2031-01-01' FROM duty.rule AS r, duty.department AS d LIMIT 1",
    "designate_duty": "SELECT * FROM duty.designate('X' || %(site)s::text, NULL, (SELECT min(d.code) FROM duty.department AS d), '新类型', '', NULL,"
    " '金安委〔2026〕7号', '2026-11-01')",
    "set_onboarding_target": "INSERT INTO registry.onboarding_target (town_code, year, areas) VALUES (%(town)s, 2027, 12)",
    "record_self_check": "INSERT INTO inspection.visit (site_id, kind, done_at, outcome) VALUES (%(site)s, 'self_check', now(), 'ok')",
    "record_patrol": "INSERT INTO inspection.visit (site_id, kind, done_at, outcome) VALUES (%(site)s, 'patrol', now(), 'ok')",
    "write_hazard": "INSERT INTO inspection.hazard (site_id, class, title_zh, found_at, found_by, state)"
    " VALUES (%(site)s, 'general', '灭火器过期', now(), 'patrol', 'found')",
    "submit_hazard": "UPDATE inspection.hazard SET state = 'submitted' WHERE id = %(hazard)s",
    "export": "SELECT access.record_export('site', 'csv', count(*)) FROM registry.site WHERE id = %(site)s HAVING count(*) > 0",
    "change_parameter": "UPDATE analysis.parameter SET value = value WHERE name = 'sliver_m2'",
    "read_imports": "SELECT id FROM staging.batch",
    "read_receiver": "SELECT address FROM watch.receiver",
    "keep_receivers": "INSERT INTO watch.receiver (name, kind, address, per_minute, added_at, added_by, next_try_at, tokens_at)"
    " VALUES ('new', 'webhook', 'https://new.test/', 60, now(), '', now(), now())",
    "ask_test": "INSERT INTO watch.delivery (receiver_id, message_key, topic, subject, transition, happened_at, next_try_at, due_since)"
    " SELECT r.id, gen_random_uuid(), 'test', 'test:1', 'test', now(), now(), now() FROM watch.receiver AS r WHERE r.name = 'matrix'",
    "manage_accounts": "INSERT INTO access.account (login, name_zh, roles, scope, db_role)"
    " VALUES ('matrix.new', '新', '{analyst}', 'district', 'geoapp_matrix.new_abcdef')",
    "read_session": "SELECT ip, user_agent FROM access.session WHERE account_id = %(colleague)s",
    "end_sessions": "UPDATE access.session SET ended_at = now(), ended_why = 'x' WHERE account_id = %(colleague)s",
    "revoke_token": "UPDATE access.token SET revoked_at = now() WHERE id = %(token)s",
    "read_audit": "SELECT id FROM access.audit WHERE subject = 'matrix' AND town_code = %(town)s",
    "edit_audit": "UPDATE access.audit SET action = 'nothing' WHERE town_code = %(town)s",
    "read_password_hash": "SELECT password_hash FROM access.account",
    "read_secret": "SELECT sealed FROM access.secret",
    "set_secret": "INSERT INTO access.secret (subject_kind, subject_id, field, key_id, sealed)"
    " VALUES ('camera', %(camera)s::text, 'password', 'k', 'new')",
}


@pytest.fixture(scope="module")
def owner(cluster: PrivateCluster, city_template: str) -> Iterator[Connection]:
    """The owner's connection to a city of this module's own; each cell is rolled back."""
    name = clone(cluster, city_template)
    with connect(cluster.url(name), autocommit=True) as connection:
        yield connection
    drop(cluster, name)


@pytest.fixture(scope="module")
def world(owner: Connection) -> World:
    owner.execute(
        "INSERT INTO access.secret (subject_kind, subject_id, field, key_id, sealed) VALUES ('camera', '1', 'password', 'k', 'x')"
    )
    batches = owner.execute("SELECT count(*) AS n FROM staging.batch").fetchone()
    if batches == {"n": 0}:
        owner.execute("INSERT INTO staging.batch (section, file, file_sha256) VALUES ('sites', 'a.csv', 'x')")
    return make_world(owner)


def tried(owner: Connection, who: Caller, action: str, place: Place) -> str:
    """What comes of the action under the caller's role. Nothing stays."""
    with owner.transaction(force_rollback=True):
        if action in ("review_own_changeset", "change_submitted"):
            owner.execute(
                "UPDATE territory.changeset SET planned_by = %s WHERE id = %s", (who.db_role, place.changeset)
            )
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who.db_role)))
        try:
            with owner.transaction():
                done = owner.execute(STATEMENTS[action].encode(), vars(place))
        except psycopg.errors.InsufficientPrivilege:
            return "refused"
        return "yes" if done.rowcount > 0 else "no rows"


@pytest.mark.parametrize(("action", "role", "area"), cells())
def test_cell(owner: Connection, world: World, action: str, role: str, area: Area) -> None:
    assert tried(owner, world.callers[role], action, world.place(role, area)) == expected(action, role, area)


def test_the_table_is_whole() -> None:
    assert set(EXPECTED) == set(ACTIONS) == set(STATEMENTS)
    assert all(len(words.split()) == len(ROLES) for words in EXPECTED.values())
    table = [line for line in as_markdown().splitlines() if line.startswith("|")]
    assert len(table) == len(ACTIONS) + len(OVER_HTTP) + 4
    assert all(line.count("|") == len(ROLES) + 2 for line in table)


def test_http_never_gives_more_than_sql() -> None:
    """It differs only in which word a no has."""
    assert set(OVER_HTTP) | set(NOT_OVER_HTTP) <= set(ACTIONS)
    assert not set(OVER_HTTP) & set(NOT_OVER_HTTP)
    for action, *whose in cells():
        may = expected(action, *whose) == "yes"
        if action in ONLY_EXPORTED:
            may = may and expected("export", *whose) == "yes"
        assert may == (expected_over_http(action, *whose) == "yes"), (action, whose)


def test_the_docs_have_this_table() -> None:
    """Written anew by `python tests/access/matrix.py`."""
    text = (REPOSITORY / "docs" / "access.md").read_text(encoding="utf-8")
    assert text.partition("<!-- matrix: written by tests/access/matrix.py -->\n")[2] == "\n" + as_markdown()


def test_the_owner_may_what_the_roles_are_refused(owner: Connection, world: World) -> None:
    """The statements themselves are sound: none is refused for another reason than the role."""
    for action, statement in STATEMENTS.items():
        if action in (
            "edit_audit",
            "review_own_changeset",
            "review_changeset",
            "change_submitted",
            "approve_and_change",
        ):
            continue  # refused to everybody, or only for who asks
        with owner.transaction(force_rollback=True):
            assert owner.execute(statement.encode(), vars(world.mine)).rowcount > 0, action


def test_who_plans_and_is_of_the_committee_still_does_not_review_the_own_change(
    owner: Connection, world: World
) -> None:
    both = caller(owner, "matrix.both", ["planner", "committee"], areas=[world.mine.town])
    assert tried(owner, both, "review_changeset", world.mine) == "yes"
    assert tried(owner, both, "review_own_changeset", world.mine) == "refused"
    assert tried(owner, both, "approve_and_change", world.mine) == "refused"
    assert tried(owner, both, "change_submitted", world.mine) == "refused"


PLAN_CHANGES = ("title = '改 %s'", "reason = '另有原因 %s'", """proposal = '{"n": %s}'""")


@pytest.mark.parametrize("change", PLAN_CHANGES)
def test_a_plan_is_changed_by_its_planner_while_it_is_a_draft_and_by_nobody_later(
    owner: Connection, world: World, change: str
) -> None:
    """Who reviews writes the outcome and a note, and not a word of the plan; nor is a plan changed while others read it."""
    town, planner = world.mine.town, world.callers["planner"]
    other = caller(owner, f"matrix.plan-{PLAN_CHANGES.index(change)}", ["planner", "committee"], areas=[town])

    def done(who: Caller, statement: str) -> bool:
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who.db_role)))
        try:
            with owner.transaction():
                return owner.execute(statement.encode()).rowcount == 1
        except psycopg.errors.InsufficientPrivilege:
            return False

    with owner.transaction(force_rollback=True):
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(planner.db_role)))
        made = owner.execute(
            "INSERT INTO territory.changeset (title, town_code) VALUES ('拆分', %s) RETURNING id", (town,)
        ).fetchone()
        assert made is not None
        at, set_to = f"WHERE id = {made['id']}", "UPDATE territory.changeset SET"
        assert not done(other, f"{set_to} {change % 1} {at}")
        assert done(planner, f"{set_to} {change % 1} {at}")
        assert done(planner, f"{set_to} state = 'submitted', title = '拆分二' {at}")
        assert not done(planner, f"{set_to} {change % 2} {at}")
        assert not done(planner, f"{set_to} {change % 2}, state = 'draft' {at}")
        assert not done(other, f"{set_to} {change % 2}, state = 'approved' {at}")
        assert not done(other, f"{set_to} review_note = '先记一笔' {at}")
        assert done(planner, f"{set_to} state = 'draft' {at}")
        assert done(planner, f"{set_to} title = '三', state = 'submitted' {at}")
        assert done(other, f"{set_to} state = 'approved', review_note = '同意' {at}")
        owner.execute("RESET ROLE")
        kept = owner.execute(
            "SELECT title, state, review_note, reviewed_by FROM territory.changeset WHERE id = %s",
            (made["id"],),
        ).fetchone()
        assert kept == {
            "title": "三",
            "state": "approved",
            "review_note": "同意",
            "reviewed_by": other.db_role,
        }


def test_a_firm_reads_who_answers_for_it_and_no_other_staff(owner: Connection, world: World) -> None:
    """People of an office, or of no unit, are known within the offices; a firm sees those who answer for its ground."""
    rows = owner.execute(
        "INSERT INTO duty.person (name_zh, unit_code) VALUES ('区局', NULL), ('镇办', %s) RETURNING id",
        (world.mine.town,),
    ).fetchall()
    strangers = [row["id"] for row in rows]
    read = "SELECT id FROM duty.person WHERE id = ANY (%s) ORDER BY id"
    for role, seen in (("enterprise", [world.mine.person]), ("inspector", [world.mine.person, *strangers])):
        with owner.transaction(force_rollback=True):
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(world.callers[role].db_role)))
            found = owner.execute(read.encode(), ([world.mine.person, *strangers],)).fetchall()
            assert [row["id"] for row in found] == seen, role


@pytest.mark.parametrize("action", ["read_site", "read_camera", "read_incident", "read_audit"])
def test_a_disabled_account_does_nothing(owner: Connection, world: World, action: str) -> None:
    who = world.callers["analyst"]
    with owner.transaction(force_rollback=True):
        owner.execute("UPDATE access.account SET disabled_at = now() WHERE id = %s", (who.account_id,))
        for area in AREAS:
            assert tried(owner, who, action, world.place("analyst", area)) == "refused"
