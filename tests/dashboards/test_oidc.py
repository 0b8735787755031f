"""Signing in at a real OpenID Connect provider on this machine (oidc-provider-mock), and what of it does not count."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from screens import Site

from dashboards import oidc
from dashboards.oidc import FLOW_LASTS, NotAccepted, Provider
from geoapp.access.per_minute import PerMinute
from geoapp.settings import settings

PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def provider(site: Site) -> Iterator[str]:
    """The provider's issuer; this installation is configured for it."""
    with oidc_provider_mock.run_server_in_thread() as server, pytest.MonkeyPatch.context() as patch:
        issuer = f"http://localhost:{server.server_port}"
        patch.setattr(settings(), "oidc_issuer", issuer)
        patch.setattr(settings(), "oidc_client_id", "geoapp")
        patch.setattr(settings(), "oidc_client_secret", SecretStr("a-secret"))
        patch.setattr(settings(), "oidc_name", "区统一身份")
        with site.connect() as owner:
            owner.execute("UPDATE access.account SET oidc_subject = 'liming' WHERE login = 'committee'")
            owner.execute(
                "UPDATE access.account SET oidc_subject = 'gone', disabled_at = now() WHERE login = 'analyst'"
            )
        yield issuer
        with site.connect() as owner:
            owner.execute("UPDATE access.account SET disabled_at = NULL WHERE login = 'analyst'")


@pytest.fixture
def browser_like(site: Site, provider: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.base, timeout=20) as client:
        yield client


def begin(client: httpx.Client, to: str = "/matrix?lang=zh") -> httpx.URL:
    answer = client.get("/signin/oidc", params={"next": to})
    assert answer.status_code == 303, answer.text
    return httpx.URL(answer.headers["location"])


def consent(address: httpx.URL, subject: str) -> str:
    """What the provider sends the browser back to, after this person has signed in there."""
    answer = httpx.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def refused(answer: httpx.Response) -> bool:
    assert "geoapp_session=" not in str(answer.headers.get_list("set-cookie"))
    return answer.status_code == 401 and "没有登录成功" in answer.text


def cause(site: Site) -> str:
    with site.connect() as owner:
        row = owner.execute(
            "SELECT detail FROM access.audit WHERE action = 'sign_in_refused' ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    assert row["detail"]["method"] == "oidc"
    return str(row["detail"]["cause"])


def test_the_page_offers_the_provider(browser_like: httpx.Client) -> None:
    page = browser_like.get("/signin?next=/matrix", headers=PAGE)
    assert "用 区统一身份 登录" in page.text
    assert 'href="/signin/oidc?next=%2Fmatrix&amp;lang=zh"' in page.text


def test_a_linked_subject_comes_in(browser_like: httpx.Client, site: Site) -> None:
    address = begin(browser_like)
    asked = parse_qs(urlsplit(str(address)).query)
    assert asked["response_type"] == ["code"]
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["code_challenge"][0]) == 43
    assert len(asked["state"][0]) == 43
    assert len(asked["nonce"][0]) == 43
    assert asked["redirect_uri"] == [f"{site.base}/signin/oidc/callback"]
    answer = browser_like.get(consent(address, "liming"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/matrix?lang=zh")
    assert browser_like.get("/assets/app.css").status_code == 200
    with site.connect() as owner:
        row = owner.execute(
            "SELECT a.login, s.method FROM access.session AS s JOIN access.account AS a ON a.id = s.account_id"
            " WHERE s.token_hash = sha256(%s)",
            (browser_like.cookies["geoapp_session"].encode(),),
        ).fetchone()
        record = owner.execute(
            "SELECT login, ok, detail FROM access.audit WHERE action = 'sign_in' ORDER BY id DESC LIMIT 1"
        ).fetchone()
        flows = owner.execute("SELECT count(*) AS n FROM access.oidc_flow").fetchone()
    assert row == {"login": "committee", "method": "oidc"}
    assert record == {"login": "committee", "ok": True, "detail": {"method": "oidc"}}
    assert flows == {"n": 0}


@pytest.mark.parametrize("subject", ["stranger", "committee", "LIMING", "gone", "liming "])
def test_no_account_is_made_by_itself(browser_like: httpx.Client, site: Site, subject: str) -> None:
    with site.connect() as owner:
        before = owner.execute("SELECT count(*) AS n FROM access.account").fetchone()
    assert refused(browser_like.get(consent(begin(browser_like), subject)))
    with site.connect() as owner:
        assert owner.execute("SELECT count(*) AS n FROM access.account").fetchone() == before
    assert cause(site) == "no account is linked to this subject"


def test_a_state_is_used_once(browser_like: httpx.Client, site: Site) -> None:
    address = begin(browser_like)
    held = dict(browser_like.cookies)
    back = consent(address, "liming")
    assert browser_like.get(back).status_code == 303
    with httpx.Client(base_url=site.base, cookies=held) as replay:
        assert refused(replay.get(back))
    assert "used already" in cause(site)


def test_a_flow_of_another_browser_is_not_finished_here(browser_like: httpx.Client, site: Site) -> None:
    """An attacker's own code and state, put before somebody else's browser."""
    with httpx.Client(base_url=site.base) as attacker:
        back = consent(begin(attacker), "liming")
    assert refused(browser_like.get(back))
    assert cause(site) == "the state is not this browser's"
    begin(browser_like)
    assert refused(browser_like.get(back))
    assert refused(browser_like.get("/signin/oidc/callback?code=x&state="))
    assert refused(browser_like.get("/signin/oidc/callback"))


def test_a_flow_lapses(browser_like: httpx.Client, site: Site) -> None:
    back = consent(begin(browser_like), "liming")
    with site.connect() as owner:
        owner.execute("UPDATE access.oidc_flow SET created_at = created_at - %s", (FLOW_LASTS,))
    assert refused(browser_like.get(back))
    assert cause(site) == "the state has lapsed"


def test_a_nonce_of_another_flow_does_not_count(browser_like: httpx.Client, site: Site) -> None:
    """The ID token of one sign-in, put into another."""
    back = consent(begin(browser_like), "liming")
    with site.connect() as owner:
        owner.execute("UPDATE access.oidc_flow SET nonce = 'another'")
    assert refused(browser_like.get(back))
    assert "nonce" in cause(site)


def test_codes_and_answers_that_are_not_right(browser_like: httpx.Client, site: Site) -> None:
    back = httpx.URL(consent(begin(browser_like), "liming"))
    assert refused(browser_like.get(back.copy_set_param("code", "guessed")))
    back = httpx.URL(consent(begin(browser_like), "liming"))
    assert refused(browser_like.get(back.copy_set_param("iss", "https://evil.example")))
    assert "another issuer" in cause(site)
    address = begin(browser_like)
    state = parse_qs(urlsplit(str(address)).query)["state"][0]
    assert refused(
        browser_like.get("/signin/oidc/callback", params={"state": state, "error": "access_denied<script>"})
    )


def test_nothing_of_the_provider_is_in_page_or_record(browser_like: httpx.Client, site: Site) -> None:
    back = consent(begin(browser_like), "stranger-with-a-name")
    answer = browser_like.get(back)
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert code not in answer.text
    with site.connect() as owner:
        rows = owner.execute("SELECT to_jsonb(a)::text AS text FROM access.audit AS a").fetchall()
    assert not [row for row in rows if code in row["text"]]


def test_a_flood_of_beginnings_leaves_a_few_rows_and_waits(
    browser_like: httpx.Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc, "_steps", PerMinute(5))

    def rows() -> int:
        with site.connect() as owner:
            row = owner.execute("SELECT count(*) AS n FROM access.oidc_flow").fetchone()
        assert row is not None
        return int(row["n"])

    before = rows()
    answers = [browser_like.get("/signin/oidc") for _ in range(12)]
    assert [a.status_code for a in answers] == [303] * 5 + [429] * 7
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert rows() == before + 5
    # So do answers that nobody asked for: each would be a record.
    assert browser_like.get("/signin/oidc/callback?code=x&state=y").status_code == 429
    assert browser_like.get("/signin").status_code == 200, "passwords are tried as before"


def test_next_stays_here(browser_like: httpx.Client) -> None:
    answer = browser_like.get(consent(begin(browser_like, "//evil.example"), "liming"))
    assert answer.headers["location"] == "/"


def test_without_a_provider_there_is_no_such_path(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "oidc_issuer", None)
    client = site.client(None)
    assert client.get("/signin/oidc").status_code == 404
    assert client.get("/signin/oidc/callback?code=x&state=y").status_code == 404
    assert "oidc" not in client.get("/signin").text


# -- ID tokens by themselves ---------------------------------------------------------------------------------------


@pytest.fixture
def verifying(monkeypatch: pytest.MonkeyPatch) -> tuple[Provider, RSAKey]:
    """A provider object whose document and keys are ours."""
    key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
    monkeypatch.setattr(settings(), "oidc_issuer", "https://id.example")
    monkeypatch.setattr(settings(), "oidc_client_id", "geoapp")
    served = {
        "https://id.example/.well-known/openid-configuration": {
            "issuer": "https://id.example",
            "authorization_endpoint": "https://id.example/a",
            "token_endpoint": "https://id.example/t",
            "jwks_uri": "https://id.example/k",
        },
        "https://id.example/k": {"keys": [key.as_dict(private=False)]},
    }
    monkeypatch.setattr("dashboards.oidc._get_json", lambda address: served[address])
    return Provider(), key


def claims(**other: Any) -> dict[str, Any]:
    now = int(time.time())
    plain = {
        "iss": "https://id.example",
        "aud": "geoapp",
        "sub": "liming",
        "nonce": "n",
        "iat": now,
        "exp": now + 300,
    }
    return {name: value for name, value in (plain | other).items() if value is not None}


def now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def test_a_good_token_gives_its_subject(verifying: tuple[Provider, RSAKey]) -> None:
    provider, key = verifying
    token = jwt.encode({"alg": "RS256", "kid": "1"}, claims(), key)
    assert provider.subject(token, "n", now()) == "liming"


@pytest.mark.parametrize(
    "other",
    [
        {"iss": "https://evil.example"}, {"aud": "another"}, {"aud": ["another", "third"]}, {"nonce": "m"}, {"nonce": None},
        {"exp": int(time.time()) - 600}, {"exp": None}, {"sub": None}, {"sub": ""}, {"sub": 7}, {"iat": None},
        {"aud": ["geoapp", "another"], "azp": "another"}, {"nbf": int(time.time()) + 6000},
    ],
)  # fmt: skip
def test_claims_that_do_not_count(verifying: tuple[Provider, RSAKey], other: dict[str, Any]) -> None:
    provider, key = verifying
    token = jwt.encode({"alg": "RS256", "kid": "1"}, claims(**other), key)
    with pytest.raises(NotAccepted):
        provider.subject(token, "n", now())


def test_signatures_that_do_not_count(verifying: tuple[Provider, RSAKey]) -> None:
    import hmac
    from base64 import urlsafe_b64encode

    provider, key = verifying
    good = jwt.encode({"alg": "RS256", "kid": "1"}, claims(), key)
    head, body, signature = good.split(".")

    def text(value: bytes) -> str:
        return urlsafe_b64encode(value).rstrip(b"=").decode()

    def part(value: dict[str, Any]) -> str:
        return text(json.dumps(value).encode())

    another = RSAKey.generate_key(2048, {"kid": "1"})
    # The published key taken for a shared secret (algorithm confusion).
    confused = f"{part({'alg': 'HS256', 'kid': '1'})}.{body}"
    confused += "." + text(hmac.new(key.as_pem(private=False), confused.encode(), "sha256").digest())
    tampered = [
        f"{head}.{part(claims(sub='admin'))}.{signature}",
        f"{part({'alg': 'none'})}.{body}.",
        f"{part({'alg': 'none', 'kid': '1'})}.{part(claims())}.{signature}",
        jwt.encode({"alg": "RS256", "kid": "1"}, claims(), another),
        confused,
        f"{head}.{body}",
        "",
        "a.b.c",
        good[:-4] + "AAAA",
    ]
    for token in tampered:
        with pytest.raises(NotAccepted):
            provider.subject(token, "n", now())


def test_a_provider_that_is_another_or_without_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "oidc_issuer", "http://id.example")
    with pytest.raises(NotAccepted, match="https"):
        Provider().metadata()
    monkeypatch.setattr(settings(), "oidc_issuer", "https://id.example")
    monkeypatch.setattr("dashboards.oidc._get_json", lambda _: {"issuer": "https://evil.example"})
    with pytest.raises(NotAccepted, match="another issuer"):
        Provider().metadata()
