"""The first start outside the demo: nothing is open but the page that asks for an admin, and that only once."""

import os
import pty
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest
import uvicorn

from dashboards.app import create_app
from dashboards.first_start import WRONG_MAX, OneTimeCode, new_code
from geoapp.access.accounts import add_account
from geoapp.database.connection import connect
from geoapp.settings import settings

PAGE = {"Accept": "text/html"}
CODE = "ABCD-EFGH-JKMN"
ADMIN = {"login": "wang.fang", "name": "王芳", "password": "Deich-und-Ufer 26", "again": "Deich-und-Ufer 26"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def fresh(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A stranger's browser before an installation without accounts, whose terminal shows CODE."""
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path))
    settings.cache_clear()
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(create_app(empty_url, first_code=CODE), host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join(15)
    settings.cache_clear()


def send(client: httpx.Client, **values: str) -> httpx.Response:
    page = client.get("/first-start", headers=PAGE)
    assert page.status_code == 200
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return client.post(
        "/first-start", data={n: unescape(v) for n, v in found} | ADMIN | {"code": CODE} | values
    )


def test_every_page_leads_there_and_nothing_else_is_open(fresh: httpx.Client) -> None:
    for path in ("/", "/matrix", "/nope", "/account"):
        answer = fresh.get(path, headers=PAGE)
        assert (answer.status_code, answer.headers["location"]) == (303, "/first-start")
    for path in ("/headline.json", "/assets/app.css", "/source.tar.gz", "/_dash-layout", "/layers.json"):
        assert fresh.get(path).status_code == 401, path
    assert fresh.post("/signin/demo", data={"role": "admin"}).status_code == 404


def test_the_code_makes_an_admin_and_then_it_is_over(fresh: httpx.Client, empty_url: str) -> None:
    answer = send(fresh, code=CODE.lower().replace("-", " "))
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert fresh.get("/assets/app.css").status_code == 200
    with connect(empty_url) as owner:
        (made,) = owner.execute("SELECT * FROM access.account").fetchall()
        (session,) = owner.execute("SELECT method, account_id FROM access.session").fetchall()
        records = owner.execute(
            "SELECT action, login, ok, detail, after FROM access.audit ORDER BY id"
        ).fetchall()
    assert (made["login"], made["name_zh"], made["roles"], made["scope"]) == (
        "wang.fang",
        "王芳",
        ["admin"],
        "district",
    )
    assert made["password_hash"].startswith("$argon2id$")
    assert session == {"method": "first_start", "account_id": made["id"]}
    assert ("sign_in", "wang.fang", True) in [(r["action"], r["login"], r["ok"]) for r in records]
    assert ADMIN["password"] not in str(records)
    assert "$argon2id$" not in str(records)
    with httpx.Client(base_url=fresh.base_url) as stranger:
        assert stranger.get("/first-start", headers=PAGE).status_code == 404
        assert stranger.post("/first-start", data=ADMIN | {"code": CODE}).status_code == 404
        assert stranger.get("/", headers=PAGE).headers["location"] == "/signin"


@pytest.mark.parametrize(
    ("values", "status", "said"),
    [
        ({"code": "AAAA-AAAA-AAAA"}, 401, "代码不对"),
        ({"code": ""}, 401, "代码不对"),
        ({"login": "Root"}, 422, "账号名不能用"),
        ({"login": "王芳"}, 422, "账号名不能用"),
        ({"name": "  "}, 422, "请填写姓名"),
        ({"name": "a\x00b"}, 422, "请填写姓名"),
        ({"password": "short", "again": "short"}, 422, "至少 10 个字符"),
        ({"password": "wang.fang-2026X", "again": "wang.fang-2026X"}, 422, "不能含账号或姓名"),
        ({"again": "another"}, 422, "两次密码不一样"),
        ({"form_token": "x"}, 403, "页面已过期"),
    ],
)
def test_what_is_not_taken(
    fresh: httpx.Client, empty_url: str, values: dict[str, str], status: int, said: str
) -> None:
    answer = send(fresh, **values)
    assert answer.status_code == status
    assert said in answer.text
    assert ADMIN["password"] not in answer.text
    assert values.get("code") or CODE not in answer.text
    with connect(empty_url) as owner:
        assert owner.execute("SELECT count(*) AS n FROM access.account").fetchone() == {"n": 0}


def test_an_account_made_elsewhere_ends_it_too(fresh: httpx.Client, empty_url: str) -> None:
    page = fresh.get("/first-start", headers=PAGE)
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    with connect(empty_url) as owner:
        add_account(owner, "root.admin", "管理员", ["admin"])
    answer = fresh.post("/first-start", data={n: unescape(v) for n, v in found} | ADMIN | {"code": CODE})
    assert answer.status_code == 404


def test_a_code_is_not_guessed() -> None:
    codes = {new_code() for _ in range(200)}
    assert len(codes) == 200
    assert all(re.fullmatch(r"([A-HJKMNP-TV-Z2-9]{4}-){2}[A-HJKMNP-TV-Z2-9]{4}", c) for c in codes)
    held = OneTimeCode(CODE)
    assert held.matches("abcd efgh jkmn")
    for _ in range(WRONG_MAX):
        assert not held.matches("AAAA")
    assert not held.matches(CODE), "after so many wrong ones the right one is worth nothing"
    assert not OneTimeCode(None).matches("")


@pytest.fixture
def served(make_database: Callable[[], str], tmp_path: Path) -> Iterator[Callable[[bool], str]]:
    """Starts `geoapp serve` over a database without accounts and gives what it said; its output is a terminal or a file."""
    started: list[subprocess.Popen[bytes]] = []

    def serve(on_a_terminal: bool) -> str:
        port = free_port()
        environment = os.environ | {
            "GEOAPP_HOME": str(tmp_path),
            "GEOAPP_DATABASE_URL": make_database(),
            "GEOAPP_PORT": str(port),
        }
        ours, theirs = pty.openpty() if on_a_terminal else os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-m", "geoapp.cli", "serve"], env=environment, stdout=theirs, stderr=theirs
        )
        started.append(process)
        os.close(theirs)
        said, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline and not re.search(rb"code:|user add", said):
            said += os.read(ours, 4096)
        return said.decode()

    yield serve
    for process in started:
        process.terminate()
        process.wait(20)


@pytest.mark.long
def test_the_code_is_shown_on_a_terminal_and_in_no_file(served: Callable[[bool], str]) -> None:
    assert re.search(r"One-time code:\s+([A-Z2-9]{4}-){2}[A-Z2-9]{4}", served(True))
    in_a_file = served(False)
    assert "geoapp user add" in in_a_file
    assert not re.search(r"[A-Z2-9]{4}-[A-Z2-9]{4}", in_a_file)
