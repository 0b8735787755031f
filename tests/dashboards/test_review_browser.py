"""In a browser: an officer says what a lead is, and a page whose session has ended goes to the sign-in."""

from collections.abc import Callable
from typing import Any

import pytest
from screens import Site, open_incident, until

from geoapp.access.sessions import token_hash

pytestmark = pytest.mark.browser


def test_an_officer_reviews_a_lead_in_the_drawer(open_page: Callable[..., Any], site: Site) -> None:
    with site.connect() as connection:
        made = open_incident(connection, site.home)
        connection.execute(
            "UPDATE watch.incident SET town_code = %s WHERE id = %s", (site.people.town, made["id"])
        )
    page = open_page(f"/?selected=incident:{made['id']}", login="duty_officer")
    until(page, "document.querySelectorAll('.review-desk [data-review]').length === 3")
    page.click(".review-desk [data-review='false']")
    until(page, "document.querySelector('.review-desk [role=status]').textContent.length > 3")
    page.fill(".review-desk input", "夕阳反光")
    page.click(".review-desk [data-review='false']")
    until(page, "document.querySelector('.drawer .tag.review-false') !== null")
    until(page, "document.querySelector('.review-desk').dataset.was === 'false'")
    with site.connect() as connection:
        row = connection.execute(
            "SELECT review, review_reason, reviewed_by FROM watch.incident WHERE id = %s", (made["id"],)
        ).fetchone()
    assert row == {"review": "false", "review_reason": "夕阳反光", "reviewed_by": "duty_officer"}


@pytest.mark.long
def test_what_the_map_asks_by_itself_says_so_and_what_a_person_asks_does_not(
    open_page: Callable[..., Any], site: Site
) -> None:
    page = open_page("/", login="duty_officer")
    said: list[tuple[str, bool]] = []
    page.on(
        "request",
        lambda r: said.append(
            (r.url.removeprefix(site.base) + (r.post_data or ""), r.headers.get("x-by-itself") == "1")
        ),
    )
    page.evaluate("geoapp.tick('slow-tick', {})")
    page.evaluate("geoapp.byItself(() => geoapp.city.refreshIncidents(false))")
    until(page, "geoapp.live.lastGood !== null")
    with site.connect() as connection:
        made = open_incident(connection, site.home)
        connection.execute(
            "UPDATE watch.incident SET town_code = %s WHERE id = %s", (site.people.town, made["id"])
        )
    page.wait_for_timeout(5000)  # the stream's news, and the slow tick after it
    assert len([1 for _, alone in said if alone]) >= 3
    assert [
        what for what, alone in said if not alone and not what.startswith(("/evidence/", "/_favicon"))
    ] == []
    said.clear()
    page.evaluate("geoapp.city.lens('duty')")
    page.evaluate(f"geoapp.city.select('incident', '{made['id']}')")
    until(page, "document.querySelector('.drawer img') !== null")
    assert any("/lens/duty" in what and not alone for what, alone in said)
    assert any("selection.data" in what and not alone for what, alone in said)


def test_a_page_whose_session_has_ended_goes_to_the_sign_in_and_comes_back(
    open_page: Callable[..., Any], site: Site
) -> None:
    page = open_page("/?lens=duty", login="duty_officer")
    until(page, "geoapp.live.lastGood !== null")
    cookie = next(c["value"] for c in page.context.cookies() if c["name"] == "geoapp_session")
    with site.connect() as connection:
        connection.execute(
            "UPDATE access.session SET ended_at = now(), ended_why = 'signed_out' WHERE token_hash = %s",
            (token_hash(cookie),),
        )
    page.wait_for_url("**/signin?*", timeout=20_000)
    assert "next=%2F%3F" in page.url
    assert "lens%3Dduty" in page.url
