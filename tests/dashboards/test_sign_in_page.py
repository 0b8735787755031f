"""Signing in over HTTP: one plain answer for every refusal, forms of this browser only, never to another site."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from screens import Site

from dashboards.demo_accounts import add_demo_accounts
from dashboards.sign_in import safe_next, with_language
from geoapp.access.passwords import hash_password
from geoapp.settings import settings

PAGE = {"Accept": "text/html"}
PASSWORD = "Grün-Ufer 2026 am Deich"


@pytest.fixture(scope="module")
def people(site: Site) -> Site:
    """The committee has a password."""
    with site.connect() as owner:
        owner.execute(
            "UPDATE access.account SET password_hash = %s, password_set_at = now() WHERE login = 'committee'",
            (hash_password(PASSWORD),),
        )
    return site


@pytest.fixture(autouse=True)
def no_attempts_left_over(site: Site) -> None:
    with site.connect() as owner:
        owner.execute("DELETE FROM access.sign_in_attempt")


@pytest.fixture
def stranger(people: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=people.base, timeout=20) as client:
        yield client


def form_of(client: httpx.Client, path: str = "/signin") -> dict[str, str]:
    """The hidden fields of the page's form, as a browser would send them."""
    page = client.get(path, headers=PAGE)
    assert page.status_code == 200, page.text
    return {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    }


def enter(
    client: httpx.Client, login: str, password: str, path: str = "/signin", **more: Any
) -> httpx.Response:
    return client.post("/signin", data=form_of(client, path) | {"login": login, "password": password} | more)


def records(site: Site, action: str) -> list[dict[str, Any]]:
    with site.connect() as owner:
        return owner.execute("SELECT * FROM access.audit WHERE action = %s ORDER BY id", (action,)).fetchall()


def test_the_right_password_opens_a_session_and_goes_on(stranger: httpx.Client, people: Site) -> None:
    before = len(records(people, "sign_in"))
    answer = enter(stranger, "committee", PASSWORD, "/signin?next=/matrix%3Fts%3D1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/matrix?ts=1")
    cookies = answer.headers.get_list("set-cookie")
    session = next(c for c in cookies if c.startswith("geoapp_session="))
    assert "; Path=/; HttpOnly; SameSite=Lax" in session
    assert "Domain" not in session
    csrf = next(c for c in cookies if c.startswith("_csrf_token="))
    assert "HttpOnly" not in csrf
    assert stranger.get("/assets/app.css").status_code == 200
    (made,) = records(people, "sign_in")[before:]
    assert (made["login"], made["ok"], made["detail"]["method"]) == ("committee", True, "password")
    assert made["db_role"].startswith("geoapp_committee_")


def test_every_sign_in_gets_a_session_of_its_own(stranger: httpx.Client) -> None:
    stranger.cookies.set("geoapp_session", "A" * 43, domain="127.0.0.1")
    answer = enter(stranger, "committee", PASSWORD)
    given_token = re.search(r"geoapp_session=([\w-]{43});", str(answer.headers.get_list("set-cookie")))
    assert given_token is not None
    assert given_token[1] != "A" * 43


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("committee", "wrong-Password-1"),
        ("nobody", PASSWORD),
        ("inspector", PASSWORD),  # has no password
        ("соmmittee", PASSWORD),  # Cyrillic с and о
        ("ｃommittee", PASSWORD),
        ("committee\x00", PASSWORD),
        ("committee' OR '1'='1", PASSWORD),
        ("committee", ""),
        ("", PASSWORD),
        ("committee", "x" * 7000),
        ("committee\r\nSet-Cookie: a=b", PASSWORD),
    ],
)
def test_every_refusal_is_the_same_page(stranger: httpx.Client, login: str, password: str) -> None:
    answer = enter(stranger, login, password)
    assert answer.status_code == 401
    expected = enter(stranger, "another.nobody", "wrong")
    assert answer.text == expected.text
    assert "账号或密码不对，或尝试过多。" in answer.text
    assert "geoapp_session" not in str(answer.headers.get_list("set-cookie"))
    if len(login) > 5:
        assert login not in answer.text


def test_after_several_wrong_ones_it_says_when_to_try_again(stranger: httpx.Client) -> None:
    answers = [enter(stranger, "committee", f"wrong {n}") for n in range(6)]
    assert [a.status_code for a in answers] == [401] * 5 + [429]
    assert "请在" in answers[-1].text
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert enter(stranger, "committee", PASSWORD).status_code == 429, "the right one waits too"
    english = enter(stranger, "committee", PASSWORD, "/signin?lang=en")
    assert re.search(r"Try again in \d+ s", english.text)


def test_a_form_from_elsewhere_signs_nobody_in(stranger: httpx.Client, people: Site) -> None:
    fields = form_of(stranger) | {"login": "committee", "password": PASSWORD}
    with httpx.Client(base_url=people.base) as other:
        assert other.post("/signin", data=fields).status_code == 403, "without this browser's cookie"
        theirs = form_of(other)
    assert stranger.post("/signin", data=fields | {"form_token": theirs["form_token"]}).status_code == 403
    assert stranger.post("/signin", data=fields | {"form_token": ""}).status_code == 403
    assert stranger.post("/signin", data=fields, headers={"Origin": "http://evil.example"}).status_code == 403
    assert stranger.post("/signin", data=fields, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert stranger.post("/signin", json=fields).status_code == 403
    assert stranger.post("/signin", data=fields, headers={"Origin": people.base}).status_code == 303


def test_the_right_password_in_the_address_is_not_taken(stranger: httpx.Client) -> None:
    form_of(stranger)
    assert stranger.get(f"/signin?login=committee&password={PASSWORD}").status_code == 200
    assert stranger.get("/assets/app.css").status_code == 401


ELSEWHERE = [
    "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "http:evil", "javascript:alert(1)", "evil.example",
    "/%2fevil.example", "/%5cevil.example", "%2f%2fevil.example", "/%252fevil.example", "/\t/evil.example", "/\n/evil.example",
    "/x\r\nSet-Cookie: a=b", "/x%0d%0aSet-Cookie:%20a=b", "///evil.example", "/.//evil.example\\", "", " /x", "/x y", "data:text/html,x",
    "/signin", "/signout", "/signin/", "/signin?next=/signin", "/é", "/\u2028x", "/x\x00", "/" + "a" * 3000, "/[", "//[",
]  # fmt: skip


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_next_is_a_path_of_this_site_or_the_first_page(wanted: str) -> None:
    assert safe_next(wanted) in ("/", wanted if wanted == "/[" else "/")


@pytest.mark.parametrize(
    "wanted",
    [
        "/",
        "/matrix",
        "/matrix?lang=en",
        "/?z=13.5&lat=30.7&selected=cell:310116103001100700",
        "/audit?from=2026-11-01T00%3A00",
    ],
)
def test_next_keeps_what_was_asked_for(wanted: str) -> None:
    assert safe_next(wanted) == wanted


@given(st.text(max_size=60))
def test_whatever_next_is_it_stays_here(wanted: str) -> None:
    """As a browser reads the Location: tabs and newlines dropped, backslash as slash."""
    to = re.sub(r"[\t\r\n]", "", safe_next(wanted)).replace("\\", "/")
    assert to.startswith("/")
    assert not to.startswith("//")
    assert httpx.URL("http://here.example/signin").join(to).host == "here.example"


def test_language_goes_along() -> None:
    assert with_language("/", {"lang": "en"}) == "/?lang=en"
    assert with_language("/x?a=1", {"lang": "en", "theme": "dark"}) == "/x?a=1&lang=en&theme=dark"
    assert with_language("/x?lang=zh", {"lang": "en"}) == "/x?lang=zh"
    assert with_language("/x", {"lang": "zh", "theme": "<script>"}) == "/x"


def test_next_is_checked_where_it_is_used(stranger: httpx.Client) -> None:
    assert enter(stranger, "committee", PASSWORD, next="//evil.example").headers["location"] == "/"
    page = stranger.get(
        "/signin?next=javascript:alert(1)&lang=%22%3E%3Cscript%3E&theme=%22onload=", headers=PAGE
    )
    assert "<script" not in page.text
    assert "javascript:" not in page.text
    assert "onload" not in page.text


def test_signing_out_ends_the_session_in_the_database(stranger: httpx.Client, people: Site) -> None:
    enter(stranger, "committee", PASSWORD)
    cookie, csrf = stranger.cookies["geoapp_session"], stranger.cookies["_csrf_token"]
    assert stranger.post("/signout").status_code == 403, "no page elsewhere signs anybody out"
    answer = stranger.post(
        "/signout", data={"csrf": csrf}, headers={"Referer": f"{people.base}/matrix?lang=en"}
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/signin?lang=en")
    assert not {"geoapp_session", "_csrf_token"} & set(stranger.cookies)
    with httpx.Client(base_url=people.base, headers={"Cookie": f"geoapp_session={cookie}"}) as replay:
        assert replay.get("/assets/app.css").status_code == 401
        gone = replay.post("/signout", headers={"X-CSRFToken": csrf})
        assert (gone.status_code, gone.headers["location"]) == (303, "/signin")
    assert records(people, "sign_out")[-1]["login"] == "committee"


def test_whoever_must_change_the_password_goes_there_first(stranger: httpx.Client, people: Site) -> None:
    with people.connect() as owner:
        owner.execute("UPDATE access.account SET must_change_password = true WHERE login = 'committee'")
    try:
        answer = enter(stranger, "committee", PASSWORD, "/signin?next=/matrix&lang=en")
    finally:
        with people.connect() as owner:
            owner.execute("UPDATE access.account SET must_change_password = false WHERE login = 'committee'")
    assert answer.headers["location"] == "/account?lang=en"


@pytest.mark.usefixtures("real_hashes")
def test_a_sign_in_is_quick(stranger: httpx.Client) -> None:
    """Eight over HTTP, argon2id included. The goal is 300 ms on a machine with nothing else to do."""
    took = []
    for _ in range(8):  # the first also makes the hash anew
        fields = form_of(stranger) | {"login": "committee", "password": PASSWORD}
        started = time.perf_counter()
        assert stranger.post("/signin", data=fields).status_code == 303
        took.append((time.perf_counter() - started) * 1000)
    print(f"median {sorted(took)[3]:.0f} ms, longest {max(took):.0f} ms")
    assert min(took) < 1200, "a busy machine is told from slow work by the fastest"


def test_a_flood_from_one_address_is_turned_away(people: Site) -> None:
    """Many at the same moment: some are tried, the rest hear at once that they have to wait."""
    with ThreadPoolExecutor(16) as many, httpx.Client(base_url=people.base, timeout=60) as client:
        fields = form_of(client) | {"login": "flooded", "password": "wrong-Password-1"}
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        answers = list(
            many.map(
                lambda _: httpx.post(
                    f"{people.base}/signin", data=fields, headers={"Cookie": cookies}, timeout=60
                ),
                range(60),
            )
        )
        assert {a.status_code for a in answers} <= {401, 429}
        assert sum(a.status_code == 429 for a in answers) >= 50
        assert all("retry-after" in a.headers for a in answers if a.status_code == 429)
        started = time.perf_counter()
        assert people.client("inspector").get("/assets/app.css").status_code == 200
        assert time.perf_counter() - started < 2, "the map does not wait for it"


def test_a_password_is_in_no_record(stranger: httpx.Client, people: Site) -> None:
    enter(stranger, "S3cret typed in the wrong field", "x")
    enter(stranger, "committee", "S3cret-Number-Two")
    with people.connect() as owner:
        rows = owner.execute(
            "SELECT to_jsonb(a)::text AS text FROM access.audit AS a UNION ALL SELECT to_jsonb(t)::text FROM access.sign_in_attempt AS t"
        ).fetchall()
    text = "".join(row["text"] for row in rows).lower()
    assert "s3cret" not in text


# -- the demo ------------------------------------------------------------------------------------------------------


@pytest.fixture
def demo(people: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    with people.connect() as owner:
        add_demo_accounts(owner)
    monkeypatch.setattr(settings(), "demo", True)
    return people


def test_the_demo_offers_one_click_for_each_role(demo: Site) -> None:
    with demo.connect() as owner:
        assert add_demo_accounts(owner) == 0, "made once"
    for role in ("committee", "planner", "analyst", "duty_officer", "inspector", "enterprise", "admin"):
        client = demo.client(None)
        fields = form_of(client)
        assert f'name="role" value="{role}"' in client.get("/signin").text
        answer = client.post("/signin/demo", data=fields | {"role": role})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert client.get("/assets/app.css").status_code == 200
        with demo.connect() as owner:
            row = owner.execute(
                "SELECT a.roles, a.is_demo, s.method FROM access.session AS s JOIN access.account AS a ON a.id = s.account_id"
                " WHERE s.token_hash = sha256(%s)", (client.cookies["geoapp_session"].encode(),),
            ).fetchone()  # fmt: skip
        assert row == {"roles": [role], "is_demo": True, "method": "demo"}
    assert client.post("/signin/demo", data=form_of(client) | {"role": "owner"}).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Proto": "https"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
    ],
)
def test_no_demo_through_a_proxy(demo: Site, headers: dict[str, str]) -> None:
    client = demo.client(None)
    fields = form_of(client) | {"role": "admin"}
    assert "role" not in re.findall(r'<button name="(\w+)"', client.get("/signin", headers=headers).text)
    assert client.post("/signin/demo", data=fields, headers=headers).status_code == 404


def test_no_demo_where_one_thing_is_missing(demo: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboards.asked import Asked
    from dashboards.demo_accounts import demo_is_open

    def asked(client: str, host: str) -> Asked:
        return Asked("/signin", "", "GET", "http", client, {"host": host}, ())

    city = {"is_generated": True}
    here = asked("127.0.0.1", "localhost:8050")
    assert demo_is_open(here, listening_on="127.0.0.1", city=city)
    assert demo_is_open(asked("::1", "[::1]:8050"), listening_on="::1", city=city)
    assert not demo_is_open(here, listening_on="0.0.0.0", city=city)
    assert not demo_is_open(here, listening_on="10.0.0.5", city=city)
    assert not demo_is_open(asked("10.0.0.9", "localhost:8050"), listening_on="127.0.0.1", city=city)
    assert not demo_is_open(asked("127.0.0.1", "map.example"), listening_on="127.0.0.1", city=city)
    assert not demo_is_open(here, listening_on="127.0.0.1", city={"is_generated": False})
    assert not demo_is_open(here, listening_on="127.0.0.1", city=None)
    monkeypatch.setattr(settings(), "demo", False)
    assert not demo_is_open(here, listening_on="127.0.0.1", city=city)
    client = demo.client(None)
    assert client.post("/signin/demo", data=form_of(client) | {"role": "admin"}).status_code == 404
    assert "/signin/demo" not in client.get("/signin?lang=en").text


def test_a_demo_account_has_no_password_to_guess(demo: Site) -> None:
    client = demo.client(None)
    for password in ("", "demo", "demo_admin"):
        assert enter(client, "demo_admin", password).status_code == 401


def test_a_real_city_gets_no_demo_accounts(site: Site) -> None:
    with site.connect() as owner, owner.transaction(force_rollback=True):
        owner.execute("UPDATE territory.city SET is_generated = false")
        assert add_demo_accounts(owner) == 0


# -- the look ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "height", "lang"),
    [
        (1440, 900, "zh"),
        (390, 844, "en"),
        pytest.param(1440, 900, "en", marks=pytest.mark.long),
        pytest.param(390, 844, "zh", marks=pytest.mark.long),
    ],
)
def test_the_page_in_a_browser(people: Site, open_page: Any, width: int, height: int, lang: str) -> None:
    page = open_page(f"/matrix?lang={lang}", width, height, map_ready=False, login=None)
    assert "/signin" in page.url
    assert [u for u in page.seen if not u.startswith(people.base)] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out sideways"
    assert page.evaluate("document.activeElement.id") == "login"
    for name, purpose in (("login", "username"), ("password", "current-password")):
        assert page.locator(f"label[for={name}]").inner_text()
        assert page.locator(f"#{name}").get_attribute("autocomplete") == purpose
    page.fill("#login", "committee")
    page.fill("#password", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    page.fill("#login", "committee")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/matrix?**")
    assert f"lang={lang}" in page.url


# -- the first start -----------------------------------------------------------------------------------------------


def test_the_first_start_is_over_once_there_is_an_account(stranger: httpx.Client) -> None:
    assert stranger.get("/first-start", headers=PAGE).status_code == 404
    assert stranger.post("/first-start", data={"code": "x"}).status_code == 404
