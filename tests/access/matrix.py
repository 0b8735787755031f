"""Who may do what where: the one table that the SQL test and the HTTP test both try, cell by cell.

`expected(action, role, area)` says what happens by SQL, `expected_over_http` over HTTP; `make_world` writes what the actions
need into a city; `as_markdown()` gives the table for docs/access.md (`python tests/access/matrix.py` prints it).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg

from geoapp.access.caller import Caller

Connection = psycopg.Connection[dict[str, Any]]
Outcome = Literal["yes", "no rows", "refused"]
Area = Literal["own", "other"]
AREAS: tuple[Area, ...] = ("own", "other")

# The first five are of one town, the enterprise of one site of that town, the admin and the last of the whole district.
ROLES = (
    "committee",
    "planner",
    "analyst",
    "duty_officer",
    "inspector",
    "enterprise",
    "admin",
    "district_committee",
)
ACTIONS = {
    "read_site": "read a site",
    "read_site_contact": "read a site's contact and phone",
    "read_certificate_holder": "read the holder of a certificate",
    "read_person": "read a person who answers for a site",
    "read_camera": "read a camera",
    "read_camera_address": "read a camera's address (live pictures)",
    "read_incident": "read an incident",
    "read_evidence": "look at the frame of an incident (its path)",
    "review_incident": "review an incident",
    "take_incident": "take an incident in hand",
    "assign_incident": "give an incident to a department or a person",
    "set_mode": "set how a camera's boxes count",
    "decide_mask": "accept a mask of a camera",
    "propose_changeset": "propose a change of cells",
    "review_changeset": "approve another's change of cells",
    "review_own_changeset": "approve one's own change of cells",
    "change_submitted": "change a plan that one has handed in",
    "approve_and_change": "approve another's change of cells and change it with that",
    "assign_duty": "assign a duty",
    "designate_duty": "decide who answers for an industry that no rule covers",
    "set_onboarding_target": "set how many key risk areas should join in a year",
    "record_self_check": "record a self-check",
    "record_patrol": "record a patrol",
    "write_hazard": "write down a hazard",
    "submit_hazard": "report a hazard as put right",
    "export": "take a site out (export)",
    "change_parameter": "change a constant of the formulas",
    "read_imports": "read rows of imports",
    "read_receiver": "read where messages are sent to",
    "keep_receivers": "add a receiver of messages",
    "ask_test": "ask for a test message",
    "manage_accounts": "make an account",
    "read_session": "read another's sessions (address, browser)",
    "end_sessions": "end another's sessions",
    "revoke_token": "revoke another's API token",
    "read_audit": "read what others did (audit)",
    "edit_audit": "change the audit",
    "read_password_hash": "read password hashes",
    "read_secret": "read sealed secrets",
    "set_secret": "set a camera's password",
}
# One word a role, in the order of ROLES; own area, then the other. y = yes, n = no rows (as if it were not there),
# r = refused. For an enterprise the other area is the site next door; for the district "own" and "other" are two towns.
EXPECTED = {
    "read_site": "yn yn yn yn yn yn yy yy",
    "read_site_contact": "yn rr rr yn yn yn yy yy",
    "read_certificate_holder": "yn rr rr yn yn yn yy yy",
    "read_person": "yn yn yn yn yn yn yy yy",
    "read_camera": "yn yn yn yn yn yn yy yy",
    "read_camera_address": "rr rr rr rr rr rr yy rr",
    "read_incident": "yn yn yn yn yn yn yy yy",
    "read_evidence": "yn rr rr yn yn yn rr yy",
    "review_incident": "rr rr rr yn rr rr rr rr",
    "take_incident": "rr rr rr yn rr rr rr rr",
    "assign_incident": "rr rr rr yn rr rr rr rr",
    "set_mode": "yr yr rr rr rr rr yy yy",
    "decide_mask": "yn yn rr rr rr rr yy yy",
    "propose_changeset": "rr yr rr rr rr rr rr rr",
    "review_changeset": "yn rn rr rr rr rr rr yy",
    "review_own_changeset": "rn rn rr rr rr rr rr rr",
    "change_submitted": "rr rn rr rr rr rr rr rr",
    "approve_and_change": "rr rn rr rr rr rr rr rr",
    "assign_duty": "yr rr rr rr rr rr rr yy",
    "designate_duty": "rr rr rr rr rr rr rr yy",
    "set_onboarding_target": "yr rr rr rr rr rr rr yy",
    "record_self_check": "rr rr rr rr rr yr rr rr",
    "record_patrol": "rr rr rr rr yr rr rr rr",
    "write_hazard": "rr rr rr rr yr rr rr rr",
    "submit_hazard": "rr rr rr rr yn yn rr rr",
    "export": "yn yn yn rr rr yn rr yy",
    "change_parameter": "rr rr rr rr rr rr yy rr",
    "read_imports": "rr rr rr rr rr rr yy rr",
    "read_receiver": "rr rr rr rr rr rr yy rr",
    "keep_receivers": "rr rr rr rr rr rr yy rr",
    "ask_test": "rr rr rr rr rr rr yy rr",
    "manage_accounts": "rr rr rr rr rr rr yy rr",
    "read_session": "nn nn nn nn nn nn yy nn",
    "end_sessions": "nn nn nn nn nn nn yy nn",
    "revoke_token": "nn nn nn nn nn nn yy nn",
    "read_audit": "yn nn nn nn nn nn yy yy",
    "edit_audit": "rr rr rr rr rr rr rr rr",
    "read_password_hash": "rr rr rr rr rr rr rr rr",
    "read_secret": "rr rr rr rr rr rr rr rr",
    "set_secret": "rr rr rr rr rr rr yy rr",
}
# What HTTP says otherwise, in the same order. It never gives more. What is to be put where the caller does not look meets
# "there is no such place" (404), as any id of another area does, where the database refuses the row; and whether a planner
# may approve anything at all, and who keeps accounts, is said (403) before it is asked what.
# A contact is in the chain of its site for who may read it, and a planner's drawer and file have none. Holders leave in
# exports only: who may not export gets none.
ONLY_EXPORTED = ("read_certificate_holder",)
OVER_HTTP = {
    "read_site_contact": "yn nn nn yn yn yn yy yy",
    "read_certificate_holder": "yn nn nn rr rr yn rr yy",
    "set_mode": "yn yn rr rr rr rr yy yy",
    "propose_changeset": "rr yn rr rr rr rr rr rr",
    "review_changeset": "yn rr rr rr rr rr rr yy",
    "review_own_changeset": "rn rr rr rr rr rr rr rr",
    "assign_duty": "yn rr rr rr rr rr rr yy",
    "set_onboarding_target": "yn rr rr rr rr rr rr yy",
    "record_self_check": "rr rr rr rr rn yn rr rr",
    "record_patrol": "rr rr rr rr yn rn rr rr",
    "end_sessions": "rr rr rr rr rr rr yy rr",
    "revoke_token": "rr rr rr rr rr rr yy rr",
}
# For these no address of the web application is there, for nobody.
NOT_OVER_HTTP = (
    "read_camera_address",
    "change_submitted",
    "approve_and_change",
    "write_hazard",
    "change_parameter",
    "read_session",
    "edit_audit",
    "read_password_hash",
    "read_secret",
    "set_secret",
)
WORDS: dict[str, Outcome] = {"y": "yes", "n": "no rows", "r": "refused"}


def expected(action: str, role: str, area: Area) -> Outcome:
    """What happens when an account of the role does this in its own area, or in another, by SQL."""
    return _outcome(EXPECTED[action], role, area)


def expected_over_http(action: str, role: str, area: Area) -> Outcome:
    """The same over HTTP: yes = 200 or 201, no rows = 404 or an answer without it, refused = 403."""
    return _outcome(OVER_HTTP.get(action, EXPECTED[action]), role, area)


def _outcome(words: str, role: str, area: Area) -> Outcome:
    return WORDS[words.split()[ROLES.index(role)][AREAS.index(area)]]


def cells() -> list[tuple[str, str, Area]]:
    """Every cell: (action, role, area)."""
    return [(action, role, area) for action in EXPECTED for role in ROLES for area in AREAS]


def as_markdown() -> str:
    """The table for people: one row an action, own / other area under each role; then where HTTP differs."""
    only_sql = dict.fromkeys(NOT_OVER_HTTP, " (not over HTTP)")
    rows = {ACTIONS[action] + only_sql.get(action, ""): words for action, words in EXPECTED.items()}
    over_http = {ACTIONS[action]: words for action, words in OVER_HTTP.items()}
    return "\n".join(
        [
            *_table(rows),
            "",
            "Over HTTP the same (refused = 403, no rows = 404), but for:",
            "",
            *_table(over_http),
            "",
        ]
    )


def _table(rows: dict[str, str]) -> list[str]:
    lines = [
        "| action | " + " | ".join(role.replace("_", " ") for role in ROLES) + " |",
        "|---|" + "---|" * len(ROLES),
    ]
    for action, words in rows.items():
        shown = [" / ".join(WORDS[w] for w in word) for word in words.split()]
        lines.append(f"| {action} | " + " | ".join(shown) + " |")
    return lines


@dataclass(frozen=True)
class Place:
    """What the actions are tried on, all in one town and about one site. `changeset` is submitted by nobody of the test;
    `person` works in the site's cell; `colleague` is an account of the town with a session and a token that none of the test uses."""

    town: str
    site: int
    camera: int
    incident: UUID
    evidence: UUID
    mask: int
    hazard: int
    certificate: int
    changeset: int
    person: int
    colleague: int
    token: int


def _id(connection: Connection, query: str, values: Sequence[Any]) -> Any:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row["id"]


def make_place(owner: Connection, town: str, number: int) -> Place:
    """A site of the town, in a cell of its own among those made here, with everything that the actions need. `number` names it."""
    from access.signed_in import sign_in  # here, so that the table is printed without a test's path

    from geoapp.access.accounts import add_account
    from geoapp.access.tokens import make_token

    site = _id(
        owner,
        "SELECT min(s.id) AS id FROM registry.site AS s WHERE s.town_code = %s AND s.cell_code IS NOT NULL"
        " GROUP BY s.cell_code ORDER BY 1 OFFSET %s LIMIT 1",
        (town, number),
    )
    owner.execute(
        "UPDATE registry.site SET contact_name = '联系人', contact_phone = '13800000000' WHERE id = %s",
        (site,),
    )
    camera = _id(
        owner,
        "INSERT INTO registry.camera (gb_id, name_zh, geom, town_code, cell_code, site_id)"
        " SELECT %s, '摄像机', s.geom, s.town_code, s.cell_code, s.id FROM registry.site AS s WHERE s.id = %s RETURNING id",
        (f"3101160142132099{number:04d}", site),
    )
    observation = _id(
        owner,
        "INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed)"
        " VALUES (gen_random_uuid(), %s, now(), now(), true) RETURNING id",
        (camera,),
    )
    incident = _id(
        owner,
        "INSERT INTO watch.incident (class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score, model_hash,"
        " box, geom, placing_method, cell_code, town_code, site_id)"
        " SELECT 'smoke', %s, 'open', now(), now(), now(), 0.6, %s, '{0,0,1,1}', s.geom, 'camera_point', s.cell_code,"
        " s.town_code, s.id FROM registry.site AS s WHERE s.id = %s RETURNING id",
        (camera, "0" * 64, site),
    )
    evidence = _id(
        owner,
        "INSERT INTO watch.evidence (incident_id, observation_id, sha256, path, bytes, width_px, height_px, captured_at,"
        " received_at, boxes) VALUES (%s, %s, %s, %s, 1, 1, 1, now(), now(), '[]') RETURNING id",
        (incident, observation, "0" * 64, f"frames/{number}.jpg"),
    )
    mask = _id(
        owner,
        "INSERT INTO watch.mask (camera_id, class, polygon, cause, incident_id, proposed_at, proposed_by)"
        " VALUES (%s, 'smoke', '[[0, 0], [1, 0], [1, 1]]', 'steam', %s, now(), '') RETURNING id",
        (camera, incident),
    )
    hazard = _id(
        owner,
        "INSERT INTO inspection.hazard (site_id, class, title_zh, found_at, found_by, state)"
        " VALUES (%s, 'general', '通道堵塞', now(), 'patrol', 'assigned') RETURNING id",
        (site,),
    )
    certificate = _id(
        owner,
        "INSERT INTO registry.certificate (site_id, holder_name, holder_hash, certificate_hash, job_class, issuer_family,"
        " issued_on, valid_to) VALUES (%s, '李某', %s, %s, '焊接', 'MEM', '2026-01-01', '2029-01-01') RETURNING id",
        (site, f"h{number}", f"matrix-{number}"),
    )
    changeset = _id(
        owner,
        "INSERT INTO territory.changeset (title, town_code, state, planned_by) VALUES ('合并', %s, 'submitted', 'geoapp')"
        " RETURNING id",
        (town,),
    )
    person = _id(
        owner,
        "INSERT INTO duty.person (name_zh, phone, unit_code) VALUES (%s, '13900000000', %s) RETURNING id",
        (f"网格员{number}", town),
    )
    owner.execute(
        "INSERT INTO duty.grid_staff (cell_code, person_id, role, assigned_from)"
        " SELECT s.cell_code, %s, 'worker', '2020-01-01' FROM registry.site AS s WHERE s.id = %s",
        (person, site),
    )
    colleague = add_account(owner, f"matrix.colleague-{number}", "同事", ["inspector"], areas=[town])
    sign_in(owner, colleague)
    now = datetime.now(UTC)
    make_token(owner, colleague, "报表", ["read"], at=now, expires_at=now + timedelta(days=1))
    token = _id(owner, "SELECT id FROM access.token WHERE account_id = %s", (colleague,))
    owner.execute("SELECT access.record('test', 'matrix', %s, %s)", (str(number), town))
    return Place(
        town, site, camera, incident, evidence, mask, hazard, certificate, changeset, person, colleague, token
    )


@dataclass(frozen=True)
class World:
    """A city with one account of each role, and the places that are in its area and in another's."""

    callers: dict[str, Caller]
    mine: Place
    next_door: Place
    elsewhere: Place

    def place(self, role: str, area: Area) -> Place:
        if area == "own":
            return self.mine
        return self.next_door if role == "enterprise" else self.elsewhere


def make_world(owner: Connection) -> World:
    """Accounts and places in the sample city; written through the owner's connection, committed by whoever owns it."""
    towns = owner.execute(
        "SELECT town_code AS code, count(*) AS n FROM registry.site WHERE cell_code IS NOT NULL AND town_code IS NOT NULL"
        " GROUP BY 1 HAVING count(DISTINCT cell_code) > 2 ORDER BY 1"
    ).fetchall()
    here, there = towns[0]["code"], towns[1]["code"]
    mine, next_door, elsewhere = (
        make_place(owner, here, 0),
        make_place(owner, here, 1),
        make_place(owner, there, 2),
    )
    from access.signed_in import caller  # here, so that the table is printed without a test's path

    owner.execute(
        "INSERT INTO watch.receiver (name, kind, address, per_minute, added_at, added_by, next_try_at, tokens_at)"
        " VALUES ('matrix', 'webhook', 'https://matrix-receiver.test/', 60, now(), '', now(), now())"
    )
    callers = {}
    for role in ROLES:
        held = role.removeprefix("district_")
        callers[role] = caller(
            owner,
            f"matrix.{role.replace('_', '-')}",
            held,
            areas=[here] if role in ROLES[:5] else [],
            sites=[mine.site] if role == "enterprise" else [],
        )
    return World(callers, mine, next_door, elsewhere)


if __name__ == "__main__":
    print(as_markdown(), end="")
