"""The page of modes: what it shows of cameras and masks, who sets what, and what is refused."""

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from screens import Site
from test_account_pages import records_of
from test_web import asked

HTML = {"Accept": "text/html"}
PAGE = {"modes-page.data": {"lang": "en", "theme": "", "zone": "Asia/Shanghai"}}


def shown(client: Any, search: str = "?lang=en") -> str:
    return json.dumps(
        asked(client, "modes-found.children", {"address.search": search}, PAGE), ensure_ascii=False
    )


def camera_in(site: Site, town: str) -> dict[str, Any]:
    with site.connect() as owner:
        row = owner.execute(
            "SELECT id, gb_id, name_zh FROM registry.camera WHERE town_code = %s ORDER BY id LIMIT 1", (town,)
        ).fetchone()
    assert row is not None
    return row


def seen_at(site: Site, camera: int, *, review: str = "unreviewed", mode: str = "alert") -> uuid.UUID:
    """An incident of smoke that a camera saw, with a frame."""
    with site.connect() as owner:
        look = owner.execute(
            "INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed)"
            " VALUES (gen_random_uuid(), %s, now(), now(), true) RETURNING id",
            (camera,),
        ).fetchone()
        row = owner.execute(
            "INSERT INTO watch.incident (class, camera_id, state, mode, first_seen_at, last_seen_at, opened_at, peak_score,"
            " model_hash, box, geom, placing_method, cell_code, town_code) SELECT 'smoke', c.id, 'closed', %s, now(), now(), now(),"
            " 0.6, %s, '{10,20,30,40}', c.geom, 'camera_point', c.cell_code, c.town_code FROM registry.camera AS c WHERE c.id = %s"
            " RETURNING id",
            (mode, "0" * 64, camera),
        ).fetchone()
        assert row is not None
        assert look is not None
        owner.execute(
            "INSERT INTO watch.incident_observation (incident_id, observation_id, camera_id, captured_at, score)"
            " VALUES (%s, %s, %s, now(), 0.6)",
            (row["id"], look["id"], camera),
        )
        owner.execute(
            "INSERT INTO watch.evidence (incident_id, observation_id, sha256, path, bytes, width_px, height_px, captured_at,"
            " received_at, boxes) VALUES (%s, %s, %s, 'x.jpg', 1, 100, 100, now(), now(), %s)",
            (
                row["id"],
                look["id"],
                "0" * 64,
                json.dumps([{"class": "smoke", "score": 0.6, "box": [10, 20, 30, 40]}]),
            ),
        )
        if review == "false":
            owner.execute(
                "UPDATE watch.incident SET review = 'false', false_cause = 'lamp_sun', review_reason = '路灯' WHERE id = %s",
                (row["id"],),
            )
        elif review != "unreviewed":
            owner.execute("UPDATE watch.incident SET review = %s WHERE id = %s", (review, row["id"]))
    return uuid.UUID(str(row["id"]))


@pytest.fixture
def mine(site: Site) -> Iterator[dict[str, Any]]:
    """A camera of the planner's town, with nothing set and nothing found."""
    camera = camera_in(site, site.people.town)
    yield camera
    with site.connect() as owner:
        for table in ("camera_mode", "mask", "set_aside_hour", "observation_hour"):
            owner.execute(f"DELETE FROM watch.{table} WHERE camera_id = %s".encode(), (camera["id"],))
        for table in ("evidence", "incident_observation"):
            owner.execute(
                f"DELETE FROM watch.{table} WHERE incident_id IN (SELECT id FROM watch.incident WHERE camera_id = %s)".encode(),
                (camera["id"],),
            )
        owner.execute("DELETE FROM watch.incident WHERE camera_id = %s", (camera["id"],))


def modes_of(site: Site, camera: int) -> dict[str, str]:
    with site.connect() as owner:
        rows = owner.execute(
            "SELECT class, mode FROM analysis.camera_mode WHERE camera_id = %s", (camera,)
        ).fetchall()
    return {r["class"]: r["mode"] for r in rows}


@pytest.mark.parametrize(
    ("role", "opens", "sets"),
    [
        ("committee", True, True),
        ("planner", True, True),
        ("admin", True, True),
        ("analyst", True, False),
        ("duty_officer", True, False),
        ("enterprise", False, False),
    ],
)
def test_who_has_the_page_and_who_sets(
    site: Site, mine: dict[str, Any], *, role: str, opens: bool, sets: bool
) -> None:
    client = site.client(role)
    assert client.get("/modes", headers=HTML).status_code == (200 if opens else 403)
    form = {"which": "chosen", "camera": str(mine["id"]), "set_mode": "shadow", "reason": "夜间灯多"}
    assert client.post("/modes/set", data=form).status_code == (200 if sets else 403)
    assert client.post("/modes/masks/1/accept", data={"days": "3", "reason": "x"}).status_code == (
        404 if sets else 403
    )
    if opens:
        page = shown(client)
        assert mine["gb_id"] in page
        assert ('"set_mode"' in page) == sets
    assert set(modes_of(site, mine["id"]).values()) == ({"shadow"} if sets else {"default"})


def test_a_mode_is_set_by_class_with_who_and_why_and_is_in_the_audit(
    site: Site, mine: dict[str, Any]
) -> None:
    planner = site.client("planner")
    form = {"which": "chosen", "camera": str(mine["id"]), "lang": "en"}
    assert planner.post("/modes/set", data={**form, "set_mode": "loud", "reason": "x"}).json()[
        "problems"
    ].keys() == {
        "set_mode",
        "reason",
    }
    answer = planner.post(
        "/modes/set", data={**form, "set_class": "smoke", "set_mode": "measure", "reason": "锅炉常冒汽"}
    )
    assert answer.status_code == 200, answer.text
    assert "1" in answer.json()["message"]
    assert modes_of(site, mine["id"]) == {
        "fire": "default",
        "smoke": "measure",
        "welding_arc": "default",
        "sparks": "default",
    }
    with site.connect() as owner:
        row = owner.execute(
            "SELECT set_by, reason, set_at <= clock_timestamp() AS past FROM watch.camera_mode WHERE camera_id = %s",
            (mine["id"],),
        ).fetchone()
    # The account, not what the page might have said.
    assert row == {"set_by": "planner", "reason": "锅炉常冒汽", "past": True}
    page = shown(planner, f"?lang=en&text={mine['gb_id']}")
    assert "锅炉常冒汽" in page
    assert '"data-mode": "measure"' in page
    records = records_of(site.client("admin"), "?since=&action=mode_set&subject=watch.camera_mode")
    assert mine["name_zh"] in records
    assert "锅炉常冒汽" in records
    assert '"Measure"' in records


def test_all_that_a_filter_finds_are_set_and_not_what_it_finds_by_now(
    site: Site, mine: dict[str, Any]
) -> None:
    planner, town = site.client("planner"), site.people.town
    with site.connect() as owner:
        row = owner.execute(
            "SELECT count(*) AS n FROM registry.camera WHERE town_code = %s", (town,)
        ).fetchone()
    assert row is not None
    form = {"which": "filtered", "town": town, "set_mode": "shadow", "reason": "试运行", "lang": "en"}
    assert "reload" in planner.post("/modes/set", data={**form, "in_all": str(row["n"] + 1)}).json()["error"]
    assert set(modes_of(site, mine["id"]).values()) == {"default"}
    answer = planner.post("/modes/set", data={**form, "in_all": str(row["n"])})
    assert answer.status_code == 200, answer.text
    with site.connect() as owner:
        held = owner.execute(
            "SELECT count(DISTINCT m.camera_id) AS n, bool_and(c.town_code = %s) AS own FROM watch.camera_mode AS m"
            " JOIN registry.camera AS c ON c.id = m.camera_id WHERE m.reason = '试运行'",
            (town,),
        ).fetchone()
        owner.execute("DELETE FROM watch.camera_mode WHERE reason = '试运行'")
    assert held == {"n": row["n"], "own": True}


def test_another_towns_camera_is_not_set_even_where_it_is_seen(site: Site, mine: dict[str, Any]) -> None:
    other = camera_in(site, site.people.other_town)
    planner = site.client("planner")
    form = {"which": "chosen", "set_mode": "measure", "reason": "不归我管"}
    assert planner.post("/modes/set", data={**form, "camera": str(other["id"])}).status_code == 404
    # Next door, but looking into the own town: seen, and for others to set.
    with site.connect() as owner:
        owner.execute(
            "INSERT INTO registry.camera_reach (camera_id, community_code) VALUES (%s, %s)",
            (other["id"], site.people.community_code),
        )
    try:
        page = shown(planner, f"?lang=en&text={other['gb_id']}")
        assert other["gb_id"] in page
        assert "next door" in page
        assert f"Tick {other['name_zh']}" not in page
        assert planner.post("/modes/set", data={**form, "camera": str(other["id"])}).status_code == 403
    finally:
        with site.connect() as owner:
            owner.execute(
                "DELETE FROM registry.camera_reach WHERE camera_id = %s AND community_code = %s",
                (other["id"], site.people.community_code),
            )
    assert set(modes_of(site, other["id"]).values()) == {"default"}


def test_what_was_found_is_shown_with_its_reviews_and_unseen_is_not_clear(
    site: Site, mine: dict[str, Any]
) -> None:
    where = f"?lang=en&text={mine['gb_id']}"
    client = site.client("committee")
    assert "not known" in shown(client, where)
    for review in ("false", "false", "confirmed"):
        seen_at(site, mine["id"], review=review)
    seen_at(site, mine["id"], mode="shadow")
    with site.connect() as owner:
        owner.execute(
            "INSERT INTO watch.set_aside_hour (camera_id, hour, class, why, boxes, top_score)"
            " VALUES (%s, date_trunc('hour', now()), 'sparks', 'measure', 1234, 0.7)",
            (mine["id"],),
        )
        owner.execute(
            "INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved)"
            " VALUES (%s, date_trunc('hour', now()) - interval '1 hour', 120, 119, 1)",
            (mine["id"],),
        )
    page = shown(client, where)
    assert "Alert 3: 1 confirmed, 2 false, 0 unreviewed" in page
    assert "Shadow 1: 0 confirmed, 0 false, 1 unreviewed" in page
    assert "measured 1,234 boxes" in page
    assert "99 % of 120" in page
    assert "nothing found" in page
    assert "not known" not in page
    # Those with the most false alarms come first.
    with site.connect() as owner:
        wanted = owner.execute(
            "SELECT f.camera_id::text AS id FROM analysis.found_by_camera(now() - interval '30 days', now()) AS f"
            " GROUP BY 1 HAVING sum(f.false_alarms) > 0 ORDER BY sum(f.false_alarms) DESC"
        ).fetchall()
    rows = re.findall(r'"data-camera": "(\d+)"', shown(client))
    assert str(mine["id"]) in rows[: len(wanted)]
    assert set(rows[: len(wanted)]) == {r["id"] for r in wanted}


def test_a_mask_is_seen_with_its_review_and_decided(site: Site, mine: dict[str, Any]) -> None:
    seen_at(site, mine["id"], review="false")
    with site.connect() as owner:
        row = owner.execute("SELECT id FROM watch.mask WHERE camera_id = %s", (mine["id"],)).fetchone()
    assert row is not None
    where, path = f"?lang=en&text={mine['gb_id']}", f"/modes/masks/{row['id']}"
    committee, planner = site.client("committee"), site.client("planner")
    page = shown(committee, where)
    for said in (
        "polygon(9.00% 19.00%, 31.00% 19.00%, 31.00% 41.00%, 9.00% 41.00%)",
        "路灯",
        "Lamp or sun",
        "4.8 % of the picture",
    ):
        assert said in page, said
    assert "/evidence/" in page
    # Who may not look at frames is not led to one, and sees where the mask lies all the same.
    blind = shown(planner, where)
    assert "/evidence/" not in blind
    assert "does not look at frames" in blind
    assert "polygon(9.00% 19.00%" in blind
    assert planner.post(f"{path}/accept", data={"days": "400", "reason": "路灯", "lang": "en"}).json()[
        "problems"
    ].keys() == {"days"}
    assert planner.post(f"{path}/accept", data={"days": "7", "reason": "路灯"}).status_code == 200
    with site.connect() as owner:
        held = owner.execute(
            "SELECT state, decided_by, round(extract(epoch FROM until - now()) / 86400) AS days FROM watch.mask WHERE id = %s",
            (row["id"],),
        ).fetchone()
    assert held == {"state": "active", "decided_by": "planner", "days": 7}
    assert "Accepted by planner" in shown(committee, where)
    # Declined is only what nobody has decided; the neighbour's planner would not even find it.
    assert planner.post(f"{path}/refuse", data={"reason": "x"}).status_code == 409
    assert site.client("neighbour").post(f"{path}/end", data={"reason": "x"}).status_code == 403
    assert planner.post(f"{path}/end", data={"reason": "灯已移走"}).status_code == 200
    records = records_of(site.client("admin"), "?since=&subject=watch.mask")
    assert "Mask accepted" in records
    assert "灯已移走" in records


def test_pages_and_nonsense_in_the_address(site: Site) -> None:
    client = site.client("committee")
    with site.connect() as owner:
        row = owner.execute("SELECT count(*) AS n FROM registry.camera").fetchone()
    assert row is not None
    assert row["n"] > 25
    first, second = shown(client), shown(client, "?lang=en&page=2")
    assert first.count('"data-camera"') == 25
    assert second.count('"data-camera"') == min(25, row["n"] - 25)
    assert f"{row['n']:,} cameras" in first
    for nonsense in ("?page=-1", "?page=x", "?town='", "?class=dog&mode=loud", "?text=%00", "?masks=9999999"):
        assert '"data-camera"' in shown(client, nonsense), nonsense
    assert "No camera matches" in shown(client, "?lang=en&text=%25%25")
