"""Every cell of the matrix role x action x area (tests/access/matrix.py), tried over HTTP against the running server.

yes: 200 or 201 with the thing in it; no rows: 404, or an answer without the thing; refused: 403. What has no way over HTTP is
looked for in everything that the caller is answered: pages, their callbacks, JSON, tiles, files.
"""

import base64
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import cv2
import httpx
import numpy as np
import psycopg
import pytest
from access.matrix import (
    EXPECTED,
    NOT_OVER_HTTP,
    Area,
    Outcome,
    Place,
    World,
    cells,
    expected,
    expected_over_http,
    make_world,
)
from psycopg.rows import dict_row
from screens import Site
from test_web import asked

from dashboards import evidence
from detection.types import Box
from geoapp.access.sessions import open_session
from geoapp.access.tokens import make_token
from layers.export import exportable
from layers.registry import LAYERS, LENSES
from layers.tiles import own_functions

Connection = psycopg.Connection[dict[str, Any]]
HTML = {"Accept": "text/html"}
PAGES = (
    "/",
    "/review",
    "/matrix",
    "/cameras",
    "/coverage",
    "/account",
    "/accounts",
    "/audit",
    "/exports",
    "/imports",
    "/modes",
    "/telling",
)
PAGE = {"page-state.data": {"lang": "zh", "zone": "Asia/Shanghai"}}
AUDIT = {"audit-page.data": {"lang": "zh", "theme": "", "zone": "Asia/Shanghai"}}
MATRIX = {"matrix-page.data": {"lang": "zh", "theme": "", "zone": "Asia/Shanghai"}}
PASSWORD_HASH = "$argon2id$v=19$m=8,t=1,p=1$cGxhbnRlZC1zYWx0$cGxhbnRlZC1oYXNo"
SEALED = b"planted-sealed-7c1f"
IMPORT = "planted-import-3b90.csv"
# What would be the address of things that have none. GET where nothing else is said.
GUESSES: dict[str, tuple[str, ...]] = {
    "read_camera_address": (
        "/cameras/{camera}", "/cameras/{camera}.json", "/camera/{camera}.json", "/cameras/{camera}/address", "/export/address.geojson",
    ),
    "change_submitted": ("PUT /changesets/{changeset}", "POST /changesets/{changeset}", "PATCH /changesets/{changeset}"),
    "approve_and_change": ("PUT /changesets/{changeset}/state", "POST /changesets/{changeset}/approve"),
    "read_session": ("/sessions.json", "/accounts/{colleague}/sessions", "/account/{colleague}", "/export/session.geojson"),
    "set_secret": ("POST /cameras/{camera}/credentials", "PUT /cameras/{camera}", "POST /secrets", "POST /cameras/{camera}/password"),
    "write_hazard": ("POST /hazards", "PUT /hazards/{hazard}", "POST /hazards/{hazard}", "POST /sites/{site}/hazards"),
    "change_parameter": ("POST /parameters", "POST /parameters/sliver_m2", "PUT /parameters/sliver_m2", "/parameters.json"),
    "edit_audit": ("DELETE /audit/{record}", "PUT /audit/{record}", "POST /audit/{record}", "POST /audit", "DELETE /audit"),
    "read_password_hash": ("/accounts.json", "/accounts/{account}", "/accounts/{account}.json", "/export/account.geojson"),
    "read_secret": ("/secrets", "/secrets.json", "/cameras/{camera}/credentials", "/export/secret.geojson"),
}  # fmt: skip


@dataclass
class Desk:
    """The running city with the matrix' world in it: who asks, and everything that each has been answered."""

    site: Site
    owner: Connection
    world: World
    clients: dict[str, httpx.Client]
    cells: dict[Place, str]
    points: dict[Place, tuple[float, float]]
    records: dict[Place, int]
    answered: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def places(self) -> tuple[Place, ...]:
        return self.world.mine, self.world.next_door, self.world.elsewhere

    def one_a_town(self) -> tuple[Place, ...]:
        return self.world.mine, self.world.elsewhere

    def everything(self, role: str) -> dict[str, bytes]:
        """All that a caller is answered, by what was asked; asked for once."""
        if role not in self.answered:
            self.answered[role] = dict(self._asked(role))
        return self.answered[role]

    def _asked(self, role: str) -> Iterator[tuple[str, bytes]]:
        client = self.clients[role]
        for path in self._paths():
            answer = client.get(path, headers=HTML if path in PAGES else {})
            assert answer.status_code in (200, 204, 403, 404), (path, answer.text[:300])
            yield path, answer.content
        for output, inputs, state in self._callbacks():
            yield f"{output} {inputs}", callback(client, output, inputs, state).encode()

    def _paths(self) -> Iterator[str]:
        yield from PAGES
        yield from (
            "/layers.json",
            "/headline.json",
            "/towns.json",
            "/_dash-layout",
            "/_dash-dependencies",
            "/healthz",
            "/metrics",
        )
        yield "/features/incident.geojson?since=2000-01-01T00:00:00Z"
        yield from ("/review/queue.json", "/review/shift.json?since=2000-01-01T00:00:00Z")
        yield "/export/audit.csv?since=&reason=matrix"
        yesterday = date.today() - timedelta(days=1)
        yield from (
            f"/export/ledger.csv?day={yesterday}&kind={kind}&reason=matrix"
            for kind in ("camera", "site", "town")
        )
        yield from (
            f"/export/duty.csv?reason=matrix{part}"
            for part in (
                "",
                "&level=cell",
                "&by=type&level=cell",
                "&listed=unsettled",
                "&listed=no_grid_worker",
            )
        )
        yield "/export/camera-places.geojson?wanted=2&reason=matrix"
        yield from (f"/lens/{lens.id}.json" for lens in LENSES)
        yield from (f"/features/{name}.geojson?limit=5000" for name in ("site", "camera", "incident_past"))
        yield from (f"/legend/{name}.json" for name in ("cell", "site", "camera"))
        yield from (f"/cell/{self.cells[place]}.json" for place in self.one_a_town())
        yield from (f"/layers/{name}.json" for name in LAYERS)
        yield from (f"/tiles/{name}.json" for name in LAYERS)
        yield from (f"/export/{name}.geojson?reason=matrix" for name in exportable() if name != "base")
        for place in self.places():
            lon, lat = self.points[place]
            yield f"/identify?lon={lon}&lat={lat}"
            yield f"/evidence/{place.evidence}.jpg"
            yield from (f"/review/lead/{place.incident}{part}.json" for part in ("", "/recipients"))
            x, y = (lon + 180) / 360, (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
            for name, layer in LAYERS.items():
                # What is worked out for the whole area at once is asked for as a file, above: the same rows.
                if (
                    layer.kind == "tiles"
                    and name != "base"
                    and (name in own_functions() or layer.since_field)
                ):
                    z = 14 if layer.between else 15
                    yield f"/tiles/{name}/{z}/{int(x * 2**z)}/{int(y * 2**z)}.mvt"

    def _callbacks(self) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
        for path in PAGES:
            yield "page.children", {"address.pathname": path}, {"address.search": "?lang=zh"}
        yield "figures.children", {"slow-tick.data": 1}, PAGE
        yield "town-list.children", {"slow-tick.data": 1}, PAGE
        yield (
            "..incident-list.children...incident-count.children..",
            {"live-tick.data": 1, "slow-tick.data": 1},
            PAGE,
        )
        yield (
            "..camera-rows.data...camera-total.children...camera-filter.data..",
            {"camera-filter.value": "all", "slow-tick.data": 1},
            PAGE,
        )
        yield "audit-found.children", {"address.search": "?since="}, AUDIT
        yield IMPORTS, {"address.search": "?lang=zh", "imports-poll.n_intervals": 1}, IMPORTS_STATE
        for page in (1, 2, 3):
            yield "modes-found.children", {"address.search": f"?lang=zh&page={page}"}, MODES
        yield "modes-found.children", {"address.search": "?lang=zh&text=矩阵摄像机"}, MODES
        yield TELLING, {"address.search": "?lang=zh", "telling-poll.n_intervals": 1}, TELLING_STATE
        for part in ("filter", "hours", "rule", "onboarding", "places"):
            yield f"coverage-{part}.children", {"address.search": "?lang=zh&place=1&wanted=2"}, COVERAGE
        for typed in ("矩阵", "planted", "31011601421320990"):
            yield "search.data", {"search.searchValue": typed}, PAGE
            yield (
                "site-choice.data",
                {"site-choice.searchValue": typed},
                {"site-choice.value": [], "site-choice.data": []},
            )
        for place in self.one_a_town():
            yield DRAWER, {"selection.data": {"kind": "cell", "id": self.cells[place]}}, PAGE
            for asked_for in (
                "&by=type",
                "&level=cell",
                "&listed=unsettled",
                "&listed=led&level=community",
                "&listed=no_grid_worker",
            ):
                yield (
                    "matrix-found.children",
                    {"address.search": f"?lang=zh&within={place.town}{asked_for}"},
                    MATRIX,
                )
        for place in self.places():
            for kind, key in (("site", place.site), ("camera", place.camera), ("incident", place.incident)):
                yield DRAWER, {"selection.data": {"kind": kind, "id": str(key)}}, PAGE
            yield "matrix-found.children", {"address.search": f"?lang=zh&site={place.site}&text=矩阵"}, MATRIX


# The parts of the page of imports; nothing is drawn for others than admins.
IMPORTS = (
    "..imports-now.children...imports-detail.children...imports-merges.children...imports-list.children"
    "...imports-more.children...imports-poll.interval...imports-seen.data.."
)
IMPORTS_STATE = {
    "imports-seen.data": None,
    "imports-page.data": {"lang": "zh", "zone": "Asia/Shanghai", "kept": "?lang=zh"},
}
COVERAGE = {"coverage-page.data": {"lang": "zh", "theme": "", "zone": "Asia/Shanghai"}}
MODES = {"modes-page.data": {"lang": "zh", "theme": "", "zone": "Asia/Shanghai"}}
TELLING = "..telling-list.children...telling-log.children...telling-poll.interval...telling-seen.data.."
TELLING_STATE = {
    "telling-seen.data": None,
    "telling-page.data": {"lang": "zh", "theme": "", "zone": "Asia/Shanghai"},
}
DRAWER = "..drawer.children...fly-to.data.."


def callback(client: httpx.Client, output: str, inputs: dict[str, Any], state: dict[str, Any]) -> str:
    """What a Dash callback answers to a browser, as text; 204 (nothing to change) is ""."""

    def listed(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"id": k.split(".")[0], "property": k.split(".")[1], "value": v} for k, v in values.items()]

    several = output.startswith("..")
    names = [
        dict(zip(("id", "property"), one.split("."), strict=True)) for one in output.strip(".").split("...")
    ]
    body = {
        "output": output, "outputs": names if several else names[0], "inputs": listed(inputs),
        "changedPropIds": list(inputs), "state": listed(state),
    }  # fmt: skip
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code in (200, 204), (output, answer.text[:300])
    return json.dumps(answer.json(), ensure_ascii=False) if answer.status_code == 200 else ""


def number(place: Place, world: World) -> int:
    return (world.mine, world.next_door, world.elsewhere).index(place)


@pytest.fixture(scope="module")
def desk(site: Site) -> Iterator[Desk]:
    with psycopg.connect(site.url, autocommit=True, row_factory=dict_row) as owner:
        world = make_world(owner)
        points, codes, records = {}, {}, {}
        for n, place in enumerate((world.mine, world.next_door, world.elsewhere)):
            row = plant(owner, site, place, n)
            points[place] = (row["lon"], row["lat"])
            codes[place], records[place] = row["cell_code"], row["record"]
        owner.execute(
            "INSERT INTO access.secret (subject_kind, subject_id, field, key_id, sealed) VALUES ('camera', %s, 'password', 'k', %s)",
            (str(world.mine.camera), SEALED),
        )
        batch = owner.execute(
            "INSERT INTO staging.batch (section, file, file_sha256, rows_in, rows_rejected) VALUES ('sites', %s, 'x', 1, 1) RETURNING id",
            (IMPORT,),
        ).fetchone()
        assert batch is not None
        owner.execute(
            "INSERT INTO staging.rejected (batch_id, row_no, reason_code, reason_zh, reason_en, columns)"
            " VALUES (%s, 1, 'x', 'x', 'x', %s)",
            (batch["id"], json.dumps({"file": IMPORT})),
        )
        owner.execute(
            "UPDATE access.account SET password_hash = %s WHERE login LIKE 'matrix.%%'", (PASSWORD_HASH,)
        )
        for who in world.callers.values():
            site.people.ids[who.login] = who.account_id
        clients = {role: site.client(who.login) for role, who in world.callers.items()}
        yield Desk(site, owner, world, clients, codes, points, records)


class NobodyThere:
    """Finds no person: who is found is asked elsewhere, here who may look."""

    model_hash = "0" * 64

    def persons(self, image: object) -> tuple[Box, ...]:
        return ()


@pytest.fixture(scope="module", autouse=True)
def finder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "open_person_finder", lambda _: NobodyThere())
        yield


def frame_of(n: int) -> bytes:
    """The frame of place `n`: a picture that says so in its comment."""
    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), 60 + n, np.uint8))[1].tobytes()
    said = f"planted-frame-{n}".encode()
    return bytes(jpeg[:2] + b"\xff\xfe" + (len(said) + 2).to_bytes(2, "big") + said + jpeg[2:])


def plant(owner: Connection, site: Site, place: Place, n: int) -> dict[str, Any]:
    """Gives the things of a place names and values that are found again, and its frame a file; where it is."""
    owner.execute(
        "UPDATE registry.site SET name_zh = %s, contact_name = %s, contact_phone = %s WHERE id = %s",
        (f"矩阵场所{n}号", f"planted-contact-{n}", f"planted-phone-{n}", place.site),
    )
    owner.execute(
        "UPDATE registry.camera SET name_zh = %s, snapshot_url = %s WHERE id = %s",
        (f"矩阵摄像机{n}号", f"http://planted-camera-{n}.test/now.jpg", place.camera),
    )
    owner.execute(
        "UPDATE registry.certificate SET holder_name = %s WHERE id = %s",
        (f"planted-holder-{n}", place.certificate),
    )
    owner.execute(
        "UPDATE duty.person SET name_zh = %s, phone = %s WHERE id = %s",
        (f"planted-person-{n}", f"139-0000-000{n}", place.person),
    )
    owner.execute(
        "UPDATE access.session SET user_agent = %s WHERE account_id = %s",
        (f"planted-browser-{n}", place.colleague),
    )
    frame = frame_of(n)
    path = site.home / "evidence" / "frames" / f"{n}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(frame)
    owner.execute(
        "UPDATE watch.evidence SET sha256 = %s, path = %s WHERE id = %s",
        (hashlib.sha256(frame).hexdigest(), f"frames/{n}.jpg", place.evidence),
    )
    owner.execute(
        "SELECT access.record('test', 'matrix', %s, %s, %s)", (str(n), place.town, f"planted-record-{n}")
    )
    row = owner.execute(
        "SELECT s.cell_code, ST_X(p) AS lon, ST_Y(p) AS lat, (SELECT max(a.id) FROM access.audit AS a WHERE a.reason = %s) AS record"
        " FROM registry.site AS s, ST_Transform(s.geom, 4326) AS p WHERE s.id = %s",
        (f"planted-record-{n}", place.site),
    ).fetchone()
    assert row is not None
    return row


# --- what there is a way for -------------------------------------------------------------------------------------------


def outcome(answer: httpx.Response) -> Outcome:
    """What a status says."""
    said: dict[int, Outcome] = {200: "yes", 201: "yes", 404: "no rows", 403: "refused"}
    assert answer.status_code in said, (answer.status_code, answer.text[:300])
    return said[answer.status_code]


def there(is_there: bool) -> Outcome:
    return "yes" if is_there else "no rows"


def drawer_of(client: httpx.Client, kind: str, key: object) -> str:
    return callback(client, DRAWER, {"selection.data": {"kind": kind, "id": str(key)}}, PAGE)


def read_site(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    n = number(place, desk.world)
    lon, lat = desk.points[place]
    near = client.get("/identify", params={"lon": lon, "lat": lat}).json()["sites"]
    found = asked(client, "search.data", {"search.searchValue": f"矩阵场所{n}号"}, PAGE)
    return {
        there(f"矩阵场所{n}号" in drawer_of(client, "site", place.site)),
        there(place.site in [one["id"] for one in near]),
        there(f"site:{place.site}" in [one["value"] for one in found]),
    }


def read_camera(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    n = number(place, desk.world)
    found = asked(client, "search.data", {"search.searchValue": f"矩阵摄像机{n}号"}, PAGE)
    return {
        there(f"矩阵摄像机{n}号" in drawer_of(client, "camera", place.camera)),
        there(f"camera:{place.camera}" in [one["value"] for one in found]),
    }


def read_person(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    shown = drawer_of(client, "cell", desk.cells[place])
    n = number(place, desk.world)
    assert (f"planted-person-{n}" in shown) == (f"139-0000-000{n}" in shown)
    return {there(f"planted-person-{n}" in shown)}


def read_incident(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    shown = client.get("/features/incident.geojson").json()["features"]
    row = desk.owner.execute(
        "SELECT incident_no FROM watch.incident WHERE id = %s", (place.incident,)
    ).fetchone()
    assert row is not None
    return {
        there(str(place.incident) in [one["properties"]["id"] for one in shown]),
        there(f"#{row['incident_no']}" in drawer_of(client, "incident", place.incident)),
    }


def read_evidence(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    answer = client.get(f"/evidence/{place.evidence}.jpg")
    as_it_came, blurred, _ = (
        mark in answer.content for mark in marks("read_evidence", number(place, desk.world))
    )
    assert (as_it_came or blurred) == (answer.status_code == 200)
    if answer.status_code == 200:  # a firm gets it blurred, an official as it came
        assert blurred == (role == "enterprise") != as_it_came
    return {outcome(answer)}


def read_audit(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    planted = f"planted-record-{number(place, desk.world)}"
    found = {
        there(
            planted in callback(client, "audit-found.children", {"address.search": "?subject=matrix"}, AUDIT)
        )
    }
    file = client.get("/export/audit.csv?subject=matrix&reason=matrix")
    # An export is a right of its own; who has it takes out what the page shows.
    return found if file.status_code == 403 else found | {there(planted in file.text)}


def review_incident(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    return {
        outcome(
            client.post(f"/incidents/{place.incident}/review", json={"review": "false", "reason": "蒸汽"})
        )
    }


def take_incident(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    said = {outcome(client.post(f"/incidents/{place.incident}/hold", json={}))}
    # The next one who asks is not kept out by this one.
    desk.owner.execute("DELETE FROM watch.incident_hold")
    return said


def assign_incident(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    row = desk.owner.execute("SELECT min(code) AS code FROM duty.department").fetchone()
    assert row is not None
    body = {"department_code": row["code"], "note": "到场核查"}
    return {outcome(client.post(f"/incidents/{place.incident}/assign", json=body))}


def set_mode(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    form = {"which": "chosen", "camera": str(place.camera), "set_mode": "shadow", "reason": f"矩阵 {role}"}
    said = outcome(client.post("/modes/set", data=form))
    now = desk.owner.execute(
        "SELECT set_by FROM watch.camera_mode WHERE camera_id = %s AND reason = %s",
        (place.camera, form["reason"]),
    ).fetchone()
    desk.owner.execute("DELETE FROM watch.camera_mode WHERE camera_id = %s", (place.camera,))
    assert now == ({"set_by": desk.world.callers[role].login} if said == "yes" else None)
    return {said}


def set_onboarding_target(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    form = {"town": place.town, "year": "2027", "areas": "7", "document_no": f"矩阵 {role}"}
    said = outcome(client.post("/coverage/targets", data=form))
    now = desk.owner.execute(
        "DELETE FROM registry.onboarding_target WHERE document_no = %s RETURNING set_by",
        (form["document_no"],),
    ).fetchone()
    assert now == ({"set_by": desk.world.callers[role].db_role} if said == "yes" else None)
    return {said}


def decide_mask(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    desk.owner.execute(
        "UPDATE watch.mask SET state = 'proposed', decided_at = NULL, decided_by = NULL WHERE id = %s",
        (place.mask,),
    )
    said = outcome(client.post(f"/modes/masks/{place.mask}/accept", data={"days": "1", "reason": "矩阵"}))
    now = desk.owner.execute("SELECT state FROM watch.mask WHERE id = %s", (place.mask,)).fetchone()
    assert now == {"state": "active" if said == "yes" else "proposed"}
    return {said}


def read_receiver(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    said = outcome(client.get("/telling", headers=HTML))
    shown = callback(
        client, TELLING, {"address.search": "?lang=zh", "telling-poll.n_intervals": 1}, TELLING_STATE
    )
    assert ("matrix-receiver.test" in shown) == (said == "yes")
    return {said}


def keep_receivers(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    form = {
        "name": "added", "kind": "webhook", "address": "https://added.test/", "topics": "incident", "min_score": "0", "cooldown_s": "300",
        "per_minute": "60", "give_up_h": "6", "reason": "矩阵",
    }  # fmt: skip
    said = outcome(client.post("/telling/add", data=form))
    made = desk.owner.execute("DELETE FROM watch.receiver WHERE name = 'added'").rowcount
    assert (made == 1) == (said == "yes")
    return {said, outcome(client.post("/telling/matrix/resume"))}


def ask_test(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    said = outcome(client.post("/telling/matrix/test"))
    made = desk.owner.execute("DELETE FROM watch.delivery WHERE topic = 'test'").rowcount
    assert (made == 1) == (said == "yes")
    return {said}


def propose_changeset(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    return {outcome(client.post("/changesets", json={"title": "拆分", "town_code": place.town}))}


def decided(desk: Desk, client: httpx.Client, place: Place, planned_by: str) -> set[Outcome]:
    row = desk.owner.execute(
        "INSERT INTO territory.changeset (title, town_code, state, planned_by) VALUES ('合并', %s, 'submitted', %s) RETURNING id, planned_by",
        (place.town, planned_by),
    ).fetchone()
    assert row is not None
    assert row["planned_by"] == planned_by
    said = outcome(client.post(f"/changesets/{row['id']}/state", json={"state": "approved"}))
    now = desk.owner.execute("SELECT state FROM territory.changeset WHERE id = %s", (row["id"],)).fetchone()
    assert now == {"state": "approved" if said == "yes" else "submitted"}
    return {said}


def review_changeset(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    return decided(desk, client, place, "geoapp")


def review_own_changeset(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    return decided(desk, client, place, desk.world.callers[role].db_role)


def assign_duty(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    row = desk.owner.execute(
        "SELECT r.code AS rule_code, d.code AS department_code FROM duty.rule AS r, duty.department AS d ORDER BY 1, 2 LIMIT 1"
    ).fetchone()
    assert row is not None
    body = row | {
        "unit_code": place.town,
        "role": "lead",
        "status": "confirmed",
        "valid_from": f"20{40 + len(role)}-01-01",
    }
    return {outcome(client.post("/assignments", json=body))}


def designate_duty(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    department = desk.owner.execute("SELECT min(d.code) AS code FROM duty.department AS d").fetchone()
    assert department is not None
    form = {
        "industry": f"X{place.site}", "decision": f"department:{department['code']}", "place_type_zh": "新类型",
        "document_no": "金安委〔2026〕7号", "valid_from": date.today().isoformat(), "reason": "会议决定",
    }  # fmt: skip
    said = outcome(client.post("/matrix/decide", data=form))
    made = desk.owner.execute(
        "SELECT decided_by FROM duty.designation WHERE industry = %s", (form["industry"],)
    ).fetchall()
    assert [one["decided_by"] for one in made] == ([desk.world.callers[role].login] if said == "yes" else [])
    return {said}


def visited(client: httpx.Client, place: Place, kind: str) -> set[Outcome]:
    done_at = datetime.now(UTC).isoformat()
    body = {"site_id": place.site, "kind": kind, "outcome": "ok", "done_at": done_at}
    return {outcome(client.post("/visits", json=body))}


def record_self_check(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    return visited(client, place, "self_check")


def record_patrol(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    return visited(client, place, "patrol")


def submit_hazard(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    desk.owner.execute("UPDATE inspection.hazard SET state = 'assigned' WHERE id = %s", (place.hazard,))
    said = outcome(client.post(f"/hazards/{place.hazard}/state", json={"state": "submitted"}))
    now = desk.owner.execute("SELECT state FROM inspection.hazard WHERE id = %s", (place.hazard,)).fetchone()
    assert now == {"state": "submitted" if said == "yes" else "assigned"}
    return {said}


def export(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    answer = client.get("/export/site.geojson", params={"reason": "matrix"})
    if answer.status_code == 403:
        return {"refused"}
    assert answer.status_code == 200, answer.text[:300]
    return {there(f"矩阵场所{number(place, desk.world)}号" in answer.text)}


def taken_out(desk: Desk, client: httpx.Client, file: str, planted: str, place: Place) -> set[Outcome]:
    answer = client.get(f"/export/{file}.geojson", params={"reason": "matrix"})
    if answer.status_code == 403:
        return {"refused"}
    assert answer.status_code == 200, answer.text[:300]
    return {there(f"planted-{planted}-{number(place, desk.world)}" in answer.text)}


def read_site_contact(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    """In the chain of the site's drawer; and where the role takes out files, in those as well."""
    n, shown = number(place, desk.world), drawer_of(client, "site", place.site)
    assert (f"planted-contact-{n}" in shown) == (f"planted-phone-{n}" in shown)
    return {there(f"planted-contact-{n}" in shown)} | (
        taken_out(desk, client, "sites", "contact", place) - {"refused"}
    )


def read_certificate_holder(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    return taken_out(desk, client, "certificates", "holder", place)


def end_sessions(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    now = datetime.now(UTC)
    open_session(desk.owner, place.colleague, method="password", at=now, ip="203.0.113.7")
    said = outcome(client.post(f"/accounts/{place.colleague}/end-sessions", data={"reason": "离岗"}))
    left = desk.owner.execute(
        "SELECT count(*) AS n FROM access.session WHERE account_id = %s AND ended_at IS NULL",
        (place.colleague,),
    ).fetchone()
    assert left is not None
    assert (left["n"] == 0) == (said == "yes")
    return {said}


def revoke_token(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    now = datetime.now(UTC)
    make_token(desk.owner, place.colleague, "报表", ["read"], at=now, expires_at=now + timedelta(days=1))
    row = desk.owner.execute(
        "SELECT max(id) AS id FROM access.token WHERE account_id = %s", (place.colleague,)
    ).fetchone()
    assert row is not None
    said = outcome(client.post(f"/accounts/tokens/{row['id']}/revoke", data={"reason": "泄露"}))
    now_is = desk.owner.execute(
        "SELECT revoked_at IS NOT NULL AS revoked FROM access.token WHERE id = %s", (row["id"],)
    ).fetchone()
    assert now_is == {"revoked": said == "yes"}
    return {said}


def manage_accounts(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    form = {
        "login": f"new.{role}.{number(place, desk.world)}", "name_zh": "新", "roles": "inspector", "areas": place.town,
        "reason": "新同事",
    }  # fmt: skip
    said = outcome(client.post("/accounts/add", data=form))
    made = desk.owner.execute(
        "SELECT login FROM access.account WHERE login = %s", (form["login"],)
    ).fetchone()
    assert (made is not None) == (said == "yes")
    return {said, outcome(client.get("/accounts", headers=HTML))}


def read_imports(desk: Desk, client: httpx.Client, role: str, place: Place) -> set[Outcome]:
    row = desk.owner.execute("SELECT id FROM staging.batch WHERE file = %s", (IMPORT,)).fetchone()
    assert row is not None
    said: set[Outcome] = {outcome(client.get("/imports", headers=HTML))}
    for address in (f"/export/import/{row['id']}.html", f"/export/import/{row['id']}.xlsx?reason=matrix"):
        said.add(outcome(client.get(address)))
    shown = IMPORT in callback(
        client, IMPORTS, {"address.search": "?lang=zh", "imports-poll.n_intervals": 1}, IMPORTS_STATE
    )
    return said if shown == (said == {"yes"}) else said | {there(shown)}


Way = Callable[[Desk, httpx.Client, str, Place], set[Outcome]]
# Each gives the outcomes of all ways in which one does this: they must agree.
WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        read_site, read_camera, read_incident, read_evidence, review_incident, take_incident, assign_incident,
        propose_changeset, review_changeset, set_mode, set_onboarding_target, decide_mask, read_receiver, keep_receivers, ask_test,
        review_own_changeset, assign_duty, designate_duty, record_self_check, record_patrol, submit_hazard, manage_accounts, read_audit,
        read_person, export, read_imports, end_sessions, revoke_token, read_site_contact, read_certificate_holder,
    )
}  # fmt: skip


# --- and what there is none for ----------------------------------------------------------------------------------------


def marks(action: str, n: int) -> list[bytes]:
    """By what a thing of place `n` is known in an answer."""
    return {
        "read_site": [f"矩阵场所{n}号".encode()],
        "read_camera": [f"矩阵摄像机{n}号".encode()],
        "read_evidence": [
            f"planted-frame-{n}".encode(),
            f"original sha256 {hashlib.sha256(frame_of(n)).hexdigest()}".encode(),
            f"frames/{n}.jpg".encode(),
        ],
        "read_audit": [f"planted-record-{n}".encode()],
        "read_person": [f"planted-person-{n}".encode()],
        "read_session": [f"planted-browser-{n}".encode()],
        "read_site_contact": [f"planted-contact-{n}".encode(), f"planted-phone-{n}".encode()],
        "read_certificate_holder": [f"planted-holder-{n}".encode()],
        "read_camera_address": [f"planted-camera-{n}.test".encode()],
        "read_imports": [IMPORT.encode()],
        "read_password_hash": [b"$argon2id$", b"cGxhbnRlZC1oYXNo"],
        "read_secret": [SEALED, SEALED.hex().encode(), base64.b64encode(SEALED)[:-4]],
    }.get(action, [])


def given_away(desk: Desk, role: str, action: str, place: Place) -> list[str]:
    """What was asked where the answer holds a mark of the thing."""
    return holding(marks(action, number(place, desk.world)), desk.everything(role))


def holding(wanted: list[bytes], answers: dict[str, bytes]) -> list[str]:
    """The answers that hold one of the marks, as it is or as JSON writes it."""
    known_by = [m for mark in wanted for m in (mark, json.dumps(mark.decode())[1:-1].encode())]
    return [what for what, answer in answers.items() if any(mark in answer for mark in known_by)]


def left_alone(desk: Desk, place: Place) -> list[Any]:
    """What the writes without a way would have changed."""
    return [
        desk.owner.execute(query, values).fetchall()
        for query, values in (
            (
                b"SELECT id, state, title_zh FROM inspection.hazard WHERE site_id = %s ORDER BY id",
                (place.site,),
            ),
            (b"SELECT name, value FROM analysis.parameter ORDER BY name", ()),
            (b"SELECT town_code, year, areas FROM registry.onboarding_target ORDER BY town_code, year", ()),
            (b"SELECT title, state FROM territory.changeset WHERE id = %s", (place.changeset,)),
            (b"SELECT field, sealed FROM access.secret ORDER BY subject_id, field", ()),
            (b"SELECT * FROM access.audit WHERE id = %s", (desk.records[place],)),
        )
    ]


@pytest.mark.parametrize(("action", "role", "area"), [c for c in cells() if c[0] in WAYS])
def test_cell(desk: Desk, action: str, role: str, area: Area) -> None:
    place = desk.world.place(role, area)
    assert WAYS[action](desk, desk.clients[role], role, place) == {expected_over_http(action, role, area)}


@pytest.mark.parametrize(("action", "role", "area"), [c for c in cells() if c[0] in NOT_OVER_HTTP])
def test_no_address_gives_it(desk: Desk, action: str, role: str, area: Area) -> None:
    place = desk.world.place(role, area)
    client, before = desk.clients[role], left_alone(desk, place)
    ids = vars(place) | {"record": desk.records[place], "account": desk.world.callers["admin"].account_id}
    for guess in GUESSES[action]:
        method, _, path = guess.rpartition(" ")
        answer = client.request(
            method or "GET", path.format(**ids), json={"site_id": place.site} if method else None
        )
        assert answer.status_code in (404, 405), guess
    assert left_alone(desk, place) == before
    # Who may read it in the database finds a change of it in the audit; nobody finds it anywhere else.
    found = given_away(desk, role, action, place)
    assert [what for what in found if "audit" not in what or expected(action, role, area) != "yes"] == []


@pytest.mark.parametrize(
    ("action", "role", "area"),
    [c for c in cells() if c[0] in WAYS and marks(c[0], 0) and expected(*c) != "yes"],
)
def test_nothing_else_gives_it_away(desk: Desk, action: str, role: str, area: Area) -> None:
    """What is not there, or refused, by its own way is in no other answer either."""
    assert given_away(desk, role, action, desk.world.place(role, area)) == []


def test_what_is_looked_for_is_found_where_it_may_be(desk: Desk) -> None:
    """The search of all answers can find: the same marks, where the table says yes."""
    for action in ("read_site", "read_camera", "read_evidence", "read_audit"):
        for place in desk.places():
            assert len(given_away(desk, "district_committee", action, place)) >= 1, action
        assert given_away(desk, "committee", action, desk.world.mine), action


def test_any_mark_is_found_in_any_form() -> None:
    for action in (*NOT_OVER_HTTP, *WAYS):
        for mark in marks(action, 2):
            answers = {
                "raw": b"<" + mark + b">",
                "json": json.dumps({"value": mark.decode()}).encode(),
                "none": b"planted",
                "other": b" ".join(marks(action, 1)) if marks(action, 1) != marks(action, 2) else b"",
            }
            assert holding([mark], answers) == ["raw", "json"], (action, mark)


def test_every_action_is_tried() -> None:
    assert set(WAYS) | set(NOT_OVER_HTTP) == set(EXPECTED)
    assert set(GUESSES) == set(NOT_OVER_HTTP)
