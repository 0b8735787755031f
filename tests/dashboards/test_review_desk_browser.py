"""In a browser: an officer works through the queue by keys alone, two officers meet on one lead, a shift is handed over."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from screens import Site, open_incident, until

pytestmark = pytest.mark.browser
Made = dict[str, str]
SELECTED = "document.querySelector('#review-queue [aria-selected=true]')?.dataset.lead"
SHOWN = "geoapp.desk.lead && geoapp.desk.lead.id"


@pytest.fixture
def lead(site: Site) -> Callable[..., Made]:
    """Opens a lead in the officers' town; at first none waits."""

    def make(kind: str = "fire", minutes: float = 5, town: str | None = None) -> Made:
        with site.connect() as connection:
            made = open_incident(
                connection, site.home, kind=kind, seen=datetime.now(UTC) - timedelta(minutes=minutes)
            )
            connection.execute(
                "UPDATE watch.incident SET town_code = %s WHERE id = %s",
                (town or site.people.town, made["id"]),
            )
        return made

    with site.connect() as connection:
        for table in ("incident_hold", "incident_assignment", "handover_receipt", "handover"):
            connection.execute(f"DELETE FROM watch.{table}".encode())
        connection.execute("UPDATE watch.incident SET review = 'false', state = 'closed', closed_at = now()")
    return make


@pytest.fixture
def officer(open_page: Callable[..., Any]) -> Callable[..., Any]:
    """The desk of an officer, once its queue stands."""

    def open_it(query: str = "", **options: Any) -> Any:
        page = open_page(f"/review?lang=en{query}", map_ready=False, **({"login": "duty_officer"} | options))
        until(page, "window.geoapp && geoapp.desk && geoapp.desk.told", 25)
        return page

    return open_it


def seen(page: Any, incident: str) -> None:
    """Waits until this lead is on the screen with its frame, long enough to be judged."""
    until(page, f"({SHOWN}) === '{incident}' && document.querySelector('#desk-frame img')?.complete")
    page.wait_for_timeout(450)


def shown_at(page: Any, name: str) -> dict[str, float]:
    """Where the first of these is on the screen, pixels, asked in one go: news may draw the queue anew at any moment."""
    found: dict[str, float] = until(
        page,
        f"(() => {{ const b = document.querySelector({name!r})?.getBoundingClientRect();"
        " return b && b.width > 0 && b.height > 0 && {x: b.x, y: b.y, width: b.width, height: b.height}; })()",
    )
    return found


def reviewed(site: Site, incident: str) -> dict[str, Any]:
    with site.connect() as connection:
        row = connection.execute(
            "SELECT review, review_reason, false_cause, reviewed_by FROM watch.incident WHERE id = %s",
            (incident,),
        ).fetchone()
    assert row is not None
    return row


def test_the_queue_is_worked_off_by_keys_and_never_loses_the_focus(
    officer: Callable[..., Any], lead: Callable[..., Made], site: Site
) -> None:
    fire, smoke, arc = lead("fire"), lead("smoke"), lead("welding_arc")
    page = officer()
    seen(page, fire["id"])
    order = page.evaluate(
        "[...document.querySelectorAll('#review-queue [data-lead]')].map(r => r.dataset.lead)"
    )
    assert order == [fire["id"], arc["id"], smoke["id"]]
    page.keyboard.press("j")
    seen(page, arc["id"])
    page.keyboard.press("ArrowUp")
    seen(page, fire["id"])
    page.keyboard.press("1")
    seen(page, arc["id"])  # the next one has come up by itself
    assert page.evaluate("document.activeElement.id") == "review-queue"
    assert "Confirmed" in page.inner_text("#review-said")
    page.keyboard.press("2")
    until(page, "document.querySelectorAll('.ask-causes [data-cause]').length === 10")
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    seen(page, smoke["id"])
    assert page.evaluate("document.activeElement.id") == "review-queue"
    page.keyboard.press("3")
    until(page, "document.activeElement.id === 'desk-reason'")
    page.keyboard.type("1j2k table")  # letters typed are letters, not keys
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.queue-empty') !== null")
    assert reviewed(site, fire["id"]) == {
        "review": "confirmed", "review_reason": None, "false_cause": None, "reviewed_by": "duty_officer",
    }  # fmt: skip
    assert reviewed(site, arc["id"])["false_cause"] == "reflection"
    assert reviewed(site, smoke["id"])["review_reason"] == "1j2k table"
    assert "cameras are online" in page.inner_text(".queue-empty")
    page.keyboard.press("?")
    until(page, "document.querySelector('#review-keys').open")
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#review-keys').open")


@pytest.mark.long
def test_a_key_pressed_twice_judges_only_what_was_seen(
    officer: Callable[..., Any], lead: Callable[..., Made], site: Site
) -> None:
    fire, smoke = lead("fire"), lead("smoke")
    page = officer()
    seen(page, fire["id"])
    page.keyboard.press("1")
    page.keyboard.press("1")
    seen(page, smoke["id"])
    assert reviewed(site, fire["id"])["review"] == "confirmed"
    assert reviewed(site, smoke["id"])["review"] == "unreviewed"


def test_a_new_lead_comes_by_itself_and_a_false_alarm_needs_its_cause(
    officer: Callable[..., Any], lead: Callable[..., Made], site: Site
) -> None:
    page = officer()
    until(page, "document.querySelector('.queue-empty') !== null")
    until(page, "geoapp.live.lastGood !== null")
    made = lead("fire", minutes=0)
    with site.connect() as connection:  # the town was put right after the first message: the watch's next one
        connection.execute(
            "INSERT INTO watch.outbox (topic, dedupe_key, payload) SELECT 'incident', gen_random_uuid()::text,"
            " jsonb_build_object('id', i.id, 'state', i.state, 'class', i.class, 'review', i.review, 'transition', 'seen')"
            " FROM watch.incident AS i WHERE i.id = %s",
            (made["id"],),
        )
    until(page, f"document.querySelector('[data-lead=\"{made['id']}\"]') !== null", 4)
    seen(page, made["id"])
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#review-said').dataset.tone === 'bad'")
    assert reviewed(site, made["id"])["review"] == "unreviewed"
    page.keyboard.press("Escape")
    assert page.evaluate("document.querySelector('#desk-ask').children.length") == 0


@pytest.mark.long
def test_two_officers_on_one_lead(officer: Callable[..., Any], lead: Callable[..., Made], site: Site) -> None:
    if "second" not in site.people.ids:
        from geoapp.access.accounts import add_account
        from geoapp.database.connection import connect

        with connect(site.url) as owner:
            site.people.ids["second"] = add_account(
                owner, "second", "值班员乙", ["duty_officer"], areas=[site.people.town]
            )
    fire = lead("fire")
    mine = officer()
    seen(mine, fire["id"])
    until(mine, "document.querySelector('.tag.held.mine') !== null", 6)
    other = officer(login="second")
    seen(other, fire["id"])
    assert "has this lead in hand" in other.inner_text(".desk-held")
    other.keyboard.press("2")
    until(other, "document.querySelectorAll('.ask-causes [data-cause]').length === 10")
    mine.keyboard.press("1")
    until(mine, "document.querySelector('#review-said').dataset.tone === 'good'")
    other.fill("#desk-reason", "steam of the tower")
    other.keyboard.press("Enter")
    until(other, "document.querySelector('#review-said').dataset.tone === 'bad'", 6)
    said = other.inner_text("#review-said")
    assert "duty_officer said “Confirmed”" in said
    assert reviewed(site, fire["id"])["review"] == "confirmed"
    # What was typed is still there, and a second press overrules knowingly.
    assert other.input_value("#desk-reason") == "steam of the tower"
    other.focus("#desk-reason")
    other.keyboard.press("Enter")
    until(other, "document.querySelector('#review-said').dataset.tone === 'good'")
    assert reviewed(site, fire["id"]) == {
        "review": "false", "review_reason": "steam of the tower", "false_cause": None, "reviewed_by": "second",
    }  # fmt: skip


@pytest.mark.long
def test_assigning_by_keys_is_on_record_and_shown(
    officer: Callable[..., Any], lead: Callable[..., Made], site: Site
) -> None:
    fire = lead("fire")
    page = officer()
    seen(page, fire["id"])
    page.keyboard.press("4")
    until(
        page,
        "document.activeElement.id === 'desk-find' && document.querySelectorAll('.recipient').length > 0",
    )
    page.keyboard.type("Fire")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.id === 'desk-note'")
    page.keyboard.type("go and look")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('[data-part=given] .fact') !== null")
    assert "go and look" in page.inner_text("[data-part=given]")
    until(page, "document.querySelector('.tag.given') !== null")
    with site.connect() as connection:
        row = connection.execute("SELECT note, assigned_by FROM watch.incident_assignment").fetchone()
    assert row == {"note": "go and look", "assigned_by": "duty_officer"}
    assert reviewed(site, fire["id"])["review"] == "unreviewed"


@pytest.mark.long
def test_a_frame_that_is_missing_or_changed_says_so_and_each_look_is_on_record(
    officer: Callable[..., Any], lead: Callable[..., Made], site: Site
) -> None:
    whole, gone, changed = lead("fire"), lead("smoke"), lead("sparks")
    (site.home / "evidence" / gone["path"]).unlink()
    (site.home / "evidence" / changed["path"]).write_bytes(b"\xff\xd8\xff another picture")
    page = officer()
    seen(page, whole["id"])
    for made, words in ((changed, "SHA-256"), (gone, "missing")):
        page.evaluate(f"geoapp.desk.choose('{made['id']}')")
        until(
            page,
            f"({SHOWN}) === '{made['id']}' && document.querySelector('#desk-frame .lost-words') !== null",
        )
        assert words in page.inner_text("#desk-frame .lost-words")
    with site.connect() as connection:
        looks = connection.execute(
            "SELECT subject_id, login, ok, after ->> 'fault' AS fault FROM access.audit WHERE action = 'look_at_evidence'"
            " AND subject_id = ANY (%s)",
            ([m["evidence"] for m in (whole, gone, changed)],),
        ).fetchall()
    assert {(r["subject_id"], r["login"], r["ok"]) for r in looks} >= {
        (whole["evidence"], "duty_officer", True),
        (gone["evidence"], "duty_officer", False),
        (changed["evidence"], "duty_officer", False),
    }


@pytest.mark.long
def test_who_only_looks_finds_no_verdicts_and_a_firm_no_desk(
    officer: Callable[..., Any], open_page: Callable[..., Any], lead: Callable[..., Made]
) -> None:
    made = lead("fire")
    page = officer(login="inspector")
    seen(page, made["id"])
    assert page.query_selector(".verdict") is None
    page.keyboard.press("1")
    assert "does not verify" in page.inner_text("#review-said")
    firm = open_page("/review?lang=en", map_ready=False, login="enterprise")
    until(firm, "document.querySelector('.notice') !== null")
    assert firm.query_selector("#review") is None


@pytest.mark.long
def test_a_shift_is_handed_over_and_received(
    officer: Callable[..., Any], open_page: Callable[..., Any], lead: Callable[..., Made], site: Site
) -> None:
    if "third" not in site.people.ids:
        from geoapp.access.accounts import add_account
        from geoapp.database.connection import connect

        with connect(site.url) as owner:
            site.people.ids["third"] = add_account(
                owner, "third", "值班员丙", ["duty_officer"], areas=[site.people.town]
            )
    lead("fire")
    page = officer()
    until(page, f"{SHOWN}")
    page.keyboard.press("h")
    until(page, "document.querySelector('#shift-note') !== null")
    assert page.inner_text("#review-shift [data-figure=unreviewed] b") == "1"
    page.fill("#shift-note", "Camera 12 is blind")
    page.click(".shift-form .primary")
    until(page, "document.querySelector('.shift-note') !== null")
    assert page.input_value("#shift-note") == ""
    assert page.query_selector(".shift-note button") is None  # nobody receives the own note
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#review-handover').open")
    next_one = officer(login="third")
    until(next_one, "document.querySelector('#review-unread').textContent === '1'")
    next_one.click("[data-desk=handover]")
    until(next_one, "document.querySelector('.shift-note.unread .primary') !== null")
    assert "Camera 12 is blind" in next_one.inner_text(".shift-note")
    next_one.click(".shift-note .primary")
    until(
        next_one,
        "document.querySelector('.shift-note .primary') === null && document.querySelector('#review-unread').textContent === ''",
    )
    assert "值班员丙" in next_one.inner_text(".shift-note")


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_nothing_is_cut_off(
    officer: Callable[..., Any], lead: Callable[..., Made], site: Site, width: int, height: int
) -> None:
    made = lead("welding_arc")
    page = officer(width=width, height=height)
    seen(page, made["id"])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for name in (".verdict.confirmed", "#desk-frame img", "#review-queue [data-lead]"):
        box = shown_at(page, name)
        assert box["x"] >= 0, name
        assert box["x"] + box["width"] <= width + 1, name
    box = shown_at(page, ".verdict.confirmed")
    assert box["y"] + box["height"] <= height  # what an officer says stays in reach
    # A city's long name is cut short beside the live pill; it never lies under it.
    page.evaluate("document.querySelector('.title span').textContent = '某某某某新区安全生产一张图指挥平台'")
    title, pill = shown_at(page, ".title"), shown_at(page, "#live-pill")
    assert title["x"] + title["width"] <= pill["x"] or title["y"] >= pill["y"] + pill["height"]
