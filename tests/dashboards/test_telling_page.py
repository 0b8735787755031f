"""The page of telling: receivers and what they are told, tests, the log, secrets that go in and never come out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from screens import Site
from test_account_pages import records_of
from test_matrix_http import callback

from dashboards.telling_form import seen
from geoapp.access.sealing import secrets_of
from geoapp.database.sql_files import read_sql
from geoapp.watch.telling import deliver, senders
from geoapp.watch.telling.answer import delivered, refused
from geoapp.watch.telling.connections import Connections

HTML = {"Accept": "text/html"}
PARTS = "..telling-list.children...telling-log.children...telling-poll.interval...telling-seen.data.."
STATE = {"telling-seen.data": None, "telling-page.data": {"lang": "en", "theme": "", "zone": "Asia/Shanghai"}}
FORM = {
    "name": "ops", "kind": "webhook", "address": "https://ops.example.org/geoapp", "secret": "planted-signing-9f1", "topics": "incident",
    "classes": "fire,smoke", "cooldown_s": "300", "quiet": "22:00-07:00", "quiet_passes": "fire", "per_minute": "600", "min_score": "0.5",
    "give_up_h": "6", "language": "en", "reason": "值班室", "lang": "en",
}  # fmt: skip


def shown(client: Any, search: str = "?lang=en") -> str:
    return callback(client, PARTS, {"address.search": search, "telling-poll.n_intervals": 1}, STATE)


@pytest.fixture
def admin(site: Site) -> Iterator[Any]:
    """An admin, and no receiver before and after."""
    yield site.client("admin")
    with site.connect() as owner:
        owner.execute("DELETE FROM watch.delivery")
        owner.execute("DELETE FROM watch.receiver")
        owner.execute("DELETE FROM access.secret WHERE subject_kind = 'receiver'")


def receiver(site: Site) -> dict[str, Any]:
    with site.connect() as owner:
        row = owner.execute("SELECT * FROM watch.receiver WHERE removed_at IS NULL").fetchone()
    assert row is not None
    return row


def sealed(site: Site, number: int) -> dict[str, str]:
    with site.connect() as owner:
        held = secrets_of(owner, "receiver", str(number), ["token", "secret", "username", "password"])
    return {name: value.get_secret_value() for name, value in held.items()}


def tell(site: Site, monkeypatch: pytest.MonkeyPatch, answer: Any, at: datetime | None = None) -> list[Any]:
    """One round of a teller whose messages get this answer; the messages."""
    sent = []

    def send(receiver: Any, message: Any, **_: Any) -> Any:
        sent.append((receiver, message))
        return answer

    monkeypatch.setitem(senders.SENDERS, "webhook", send)
    connections = Connections(site.url)
    deliver.deliver_due(connections.connection, at=at)
    connections.close()
    return sent


@pytest.mark.parametrize(
    "role", ["committee", "planner", "analyst", "duty_officer", "inspector", "enterprise"]
)
def test_the_page_is_for_admins(site: Site, admin: Any, role: str) -> None:
    assert admin.post("/telling/add", data=FORM).status_code == 200
    client = site.client(role)
    assert client.get("/telling", headers=HTML).status_code == 403
    page = callback(client, "page.children", {"address.pathname": "/telling"}, {"address.search": "?lang=en"})
    assert "telling-poll" not in page
    assert 'href": "/telling' not in page
    assert "ops.example.org" not in shown(client)
    for path in (
        "add",
        "ops/change",
        "ops/test",
        "ops/pause",
        "ops/remove",
        "ops/again",
        "deliveries/1/again",
    ):
        assert client.post(f"/telling/{path}", data=FORM).status_code == 403, path
    assert admin.get("/telling", headers=HTML).status_code == 200
    page = callback(admin, "page.children", {"address.pathname": "/telling"}, {"address.search": "?lang=en"})
    assert page.count('"receiver-') > 60
    assert 'href": "/telling' in page


def test_a_receiver_is_added_and_its_secret_is_in_no_answer(site: Site, admin: Any) -> None:
    assert "No receivers yet" in shown(admin)
    answer = admin.post("/telling/add", data=FORM)
    assert answer.status_code == 200, answer.text
    row = receiver(site)
    assert (row["classes"], row["added_by"], str(row["quiet_from"])) == (
        ["fire", "smoke"],
        "admin",
        "22:00:00",
    )
    assert sealed(site, row["id"]) == {"secret": "planted-signing-9f1"}
    assert "already" in admin.post("/telling/add", data=FORM).json()["error"]
    page, records = shown(admin), records_of(admin, "?since=&action=receiver_added")
    for said in (
        "https://ops.example.org/geoapp",
        "Sealed: Signing secret",
        "Never told",
        "quiet 22:00–07:00",
        "classes Fire, Smoke",
    ):
        assert said in page, said
    assert "Receiver added" in records
    assert "值班室" in records
    whole = (
        page
        + records
        + callback(admin, "page.children", {"address.pathname": "/telling"}, {"address.search": "?lang=en"})
    )
    assert "planted-signing" not in whole + answer.text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "Ops Room"}, "name"),
        ({"address": "ftp://x.example.org"}, "address"),
        ({"address": "https://u:p@x.example.org/"}, "address"),
        ({"quiet": "evening"}, "quiet"),
        ({"min_score": "2"}, "min_score"),
        ({"give_up_h": "0"}, "give_up_h"),
        ({"cooldown_s": "nan"}, "cooldown_s"),
        ({"topics": ""}, "topics"),
        ({"classes": "dogs"}, "classes"),
        ({"kind": "pigeon"}, "kind"),
        ({"reason": ""}, "reason"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(admin: Any, wrong: dict[str, str], field: str) -> None:
    answer = admin.post("/telling/add", data=FORM | wrong)
    assert answer.status_code == 422
    assert list(answer.json()["problems"]) == [field]
    assert "planted-signing" not in answer.text


def test_a_change_keeps_the_secret_and_a_new_address_forgets_it(site: Site, admin: Any) -> None:
    admin.post("/telling/add", data=FORM)
    number = receiver(site)["id"]

    def sign() -> str:
        """As the dialog that the page filled has it."""
        with site.connect() as owner:
            rows = owner.execute(read_sql("screens/receivers").encode(), {"at": datetime.now(UTC)}).fetchall()
        held = seen(rows[0])
        assert held in shown(admin)
        return held

    change = FORM | {"secret": "", "classes": "", "seen": sign()}
    answer = admin.post("/telling/ops/change", data=change)
    assert answer.status_code == 200, answer.text
    assert receiver(site)["classes"] is None
    assert sealed(site, number) == {"secret": "planted-signing-9f1"}
    # What was changed meanwhile is not overwritten.
    assert "reload" in admin.post("/telling/ops/change", data=change).json()["error"]
    # The secret of one address goes to no other, whoever writes it.
    moved = change | {"address": "https://elsewhere.example.org/", "seen": sign()}
    assert admin.post("/telling/ops/change", data=moved).status_code == 200
    assert sealed(site, number) == {}
    records = records_of(admin, "?since=&subject=watch.receiver&action=update")
    assert "elsewhere.example.org" in records


def test_a_robots_token_is_needed_again_at_a_new_address(site: Site, admin: Any) -> None:
    robot = FORM | {
        "kind": "wecom",
        "address": "https://robot.example.org/send",
        "secret": "",
        "per_minute": "20",
    }
    assert "token" in admin.post("/telling/add", data=robot).json()["error"]
    assert admin.post("/telling/add", data=robot | {"token": "planted-token-77"}).status_code == 200
    assert sealed(site, receiver(site)["id"]) == {"token": "planted-token-77"}
    with site.connect() as owner:
        owner.execute("UPDATE watch.receiver SET address = 'https://thief.example.org/'")
    assert sealed(site, receiver(site)["id"]) == {}


def test_a_test_is_sent_by_the_teller_past_quiet_hours(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.post("/telling/add", data=FORM | {"quiet": "00:00-23:59"})
    assert admin.post("/telling/ops/test").status_code == 200
    page = shown(admin)
    assert "Test message" in page
    assert '"Waiting"' in page
    assert "perhaps nothing that tells is running" not in page
    sent = tell(site, monkeypatch, delivered("HTTP 204 fine"))
    assert [(one.name, message.topic) for one, message in sent] == [("ops", "test")]
    assert sent[0][0].secret("secret") == "planted-signing-9f1"
    page = shown(admin)
    assert "HTTP 204 fine" in page
    assert '"Delivered"' in page
    assert "Asked for a test message" in records_of(admin, "?since=&subject=watch.receiver")
    # Paused, nothing is tried.
    assert admin.post("/telling/ops/pause", data={"reason": "检修"}).status_code == 200
    assert "paused" in admin.post("/telling/ops/test").json()["error"]
    assert "Paused by admin" in shown(admin)
    assert admin.post("/telling/ops/resume").status_code == 200
    assert receiver(site)["paused_at"] is None
    assert admin.post("/telling/nobody/test").status_code == 404


def test_that_nobody_tells_is_said(site: Site, admin: Any) -> None:
    admin.post("/telling/add", data=FORM)
    admin.post("/telling/ops/test")
    with site.connect() as owner:
        owner.execute("UPDATE watch.delivery SET next_try_at = now() - interval '1 minute'")
        owner.execute("UPDATE watch.receiver SET next_try_at = now() - interval '1 minute'")
    assert "perhaps nothing that tells is running" in shown(admin)


def test_what_was_not_taken_is_told_again_with_its_key(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.post(
        "/telling/add", data=FORM | {"classes": "", "quiet": "", "min_score": "0", "topics": "incident"}
    )
    number = receiver(site)["id"]
    with site.connect() as owner:
        incident = owner.execute(
            "INSERT INTO watch.incident (class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score, model_hash,"
            " box, geom, placing_method, cell_code, town_code) SELECT 'fire', c.id, 'open', now(), now(), now(), 0.9, %s,"
            " '{0,0,1,1}', c.geom, 'camera_point', c.cell_code, c.town_code FROM registry.camera AS c ORDER BY c.id LIMIT 1"
            " RETURNING id, incident_no",
            ("0" * 64,),
        ).fetchone()
        assert incident is not None
        row = owner.execute(
            "INSERT INTO watch.delivery (receiver_id, message_key, topic, subject, transition, class, incident_id, happened_at,"
            " next_try_at, due_since) VALUES (%s, gen_random_uuid(), 'incident', %s, 'opened', 'fire', %s, now(), now(), now())"
            " RETURNING id, message_key",
            (number, f"incident:{incident['id']}", incident["id"]),
        ).fetchone()
        assert row is not None
    assert [m.key for _, m in tell(site, monkeypatch, refused("HTTP 410 gone"))] == [row["message_key"]]
    for where in (
        "?lang=en",
        f"?lang=en&incident=%23{incident['incident_no']}",
        "?lang=en&state=refused&receiver=ops",
    ):
        page = shown(admin, where)
        assert "HTTP 410 gone" in page, where
        assert f"/telling/deliveries/{row['id']}/again" in page, where
    for where in ("?lang=en&state=delivered", "?lang=en&incident=x", "?lang=en&receiver=other"):
        assert "No message matches" in shown(admin, where), where
    assert admin.post(f"/telling/deliveries/{row['id']}/again").status_code == 200
    assert admin.post(f"/telling/deliveries/{row['id']}/again").status_code == 409
    at = datetime.now(UTC) + timedelta(minutes=2)
    assert [m.key for _, m in tell(site, monkeypatch, delivered("HTTP 200"), at)] == [row["message_key"]]
    assert "Told again" in records_of(admin, "?since=&subject=watch.receiver")
    with site.connect() as owner:
        owner.execute("DELETE FROM watch.delivery")
        owner.execute("DELETE FROM watch.incident WHERE id = %s", (incident["id"],))


def test_an_admin_writes_no_message_of_its_own(site: Site, admin: Any) -> None:
    """By SQL: neither a message that looks like one of the watch, nor a word into what was told."""
    admin.post("/telling/add", data=FORM)
    number = receiver(site)["id"]
    with site.connect() as owner:
        row = owner.execute("SELECT db_role FROM access.account WHERE login = 'admin'").fetchone()
        assert row is not None
        role = row["db_role"]
        insert = (
            "INSERT INTO watch.delivery (receiver_id, message_key, topic, subject, transition, happened_at, next_try_at, due_since)"
            f" VALUES ({number}, gen_random_uuid(), %s, %s, %s, now(), now(), now())"
        )
        for values in (
            ("incident", "test:1", "opened"),
            ("test", "cameras", "test"),
            ("test", "test:2", "test"),
        ):
            with owner.transaction(force_rollback=True):
                owner.execute(f'SET LOCAL ROLE "{role}"'.encode())
                if values == ("test", "test:2", "test"):
                    assert owner.execute(insert.encode(), values).rowcount == 1
                else:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        owner.execute(insert.encode(), values)
        for change in ("last_answer = 'x'", "payload = '{}'", "message_key = gen_random_uuid()"):
            with owner.transaction(force_rollback=True):
                owner.execute(f'SET LOCAL ROLE "{role}"'.encode())
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    owner.execute(f"UPDATE watch.delivery SET {change}".encode())


def test_a_removed_receiver_is_gone_with_its_secrets_and_its_log_stays(site: Site, admin: Any) -> None:
    admin.post("/telling/add", data=FORM)
    number = receiver(site)["id"]
    admin.post("/telling/ops/test")
    assert admin.post("/telling/ops/remove").status_code == 422
    assert admin.post("/telling/ops/remove", data={"reason": "不再使用"}).status_code == 200
    assert sealed(site, number) == {}
    page = shown(admin)
    assert "No receivers yet" in page
    assert '"ops"' in page
    records = records_of(admin, "?since=&action=receiver_removed")
    assert "不再使用" in records
