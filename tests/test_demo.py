"""The demo as a stranger runs it: one command, a map, a live incident; killed with -9, started again, nothing lost."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect

pytestmark = pytest.mark.timeout(400)


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def processes_of(home: Path) -> list[int]:
    """Every process that works for this home: those started with it, and the database server's."""
    mark = f"GEOAPP_HOME={home}".encode()
    data = PrivateCluster(home).data.resolve()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0") or (entry / "cwd").resolve() == data:
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def wait_for(what: str, check: Callable[[], Any], limit_s: float) -> Any:
    deadline = time.monotonic() + limit_s
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {limit_s:.0f} s"
        time.sleep(0.5)


class Demo:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, self.farm_port = free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = os.environ | {
            "GEOAPP_HOME": str(self.home),
            "GEOAPP_PORT": str(self.port),
            "GEOAPP_FARM_PORT": str(self.farm_port),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "geoapp.cli", "demo", "--small"],
            env=environment,
            stdout=(self.home / "demo.log").open("ab"),
            stderr=subprocess.STDOUT,
        )

    def said(self) -> str:
        return (self.home / "demo.log").read_text(encoding="utf-8")

    def page_is_served(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the demo ended: {self.said()}"
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def sign_in(self, role: str) -> httpx.Client:
        """A browser that has clicked a role on the sign-in page."""
        client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)
        page = client.get("/signin")
        assert f'value="{role}"' in page.text, page.text[-3000:]
        token = re.search(r'name="form_token" value="(\w+)"', page.text)
        assert token is not None
        answer = client.post("/signin/demo", data={"form_token": token[1], "role": role})
        assert answer.status_code == 303, answer.text
        return client

    def rows(self, query: str) -> list[dict[str, Any]]:
        try:
            with connect(PrivateCluster(self.home).url()) as connection:
                return connection.execute(query.encode()).fetchall()
        except psycopg.OperationalError:
            return []

    def live_incidents(self) -> list[dict[str, Any]]:
        return self.rows(
            "SELECT i.id, i.class, e.sha256, e.path FROM watch.incident AS i"
            " JOIN watch.evidence AS e ON e.incident_id = i.id"
            " WHERE NOT i.is_generated AND i.state <> 'candidate'"
        )

    def secrets(self) -> dict[str, str]:
        """What nobody may read in a log: the owner's password, the key file's keys."""
        held = {
            "the owner's password": (self.home / "database" / "password").read_text(encoding="utf-8").strip()
        }
        keys = (self.home / "keys" / "installation.key").read_text(encoding="utf-8")
        return held | {f"key {n}": text for n, text in enumerate(re.findall(r'"([^"]{32,})"', keys))}

    def written(self) -> Iterator[tuple[str, str]]:
        """Every text that the run has left: its own words, the services' logs, the database server's log."""
        for path in [
            self.home / "demo.log",
            *(self.home / "logs").iterdir(),
            PrivateCluster(self.home).root / "log",
        ]:
            yield path.name, path.read_text(encoding="utf-8", errors="replace")

    def kill_everything(self) -> None:
        for pid in processes_of(self.home):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        assert self.process is not None
        self.process.wait(10)


@pytest.fixture
def demo() -> Iterator[Demo]:
    home = Path(tempfile.mkdtemp(prefix="geoapp-demo-"))
    home.chmod(0o755)
    running = Demo(home)
    yield running
    running.kill_everything()
    shutil.rmtree(home, ignore_errors=True)


def test_one_command_shows_a_watched_district_and_survives_a_kill(demo: Demo) -> None:
    demo.start()
    wait_for("the map", demo.page_is_served, 120)
    assert httpx.get(f"http://127.0.0.1:{demo.port}/headline.json").status_code == 401, (
        "strangers see nothing"
    )
    secrets = demo.secrets()
    assert len(secrets) >= 3
    with contextlib.closing(demo.sign_in("committee")) as client:
        secrets |= {f"cookie {cookie.name}": str(cookie.value) for cookie in client.cookies.jar}
        assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
        everything = client.get("/towns.json").json()
        assert everything
    before = wait_for("a live incident with its frame", demo.live_incidents, 150)

    demo.kill_everything()
    assert not processes_of(demo.home)
    demo.start()
    wait_for("the map again", demo.page_is_served, 60)
    with contextlib.closing(demo.sign_in("duty_officer")) as client:
        assert client.get("/headline.json").status_code == 200

    after = {row["id"]: row for row in demo.live_incidents()}
    for row in before:
        assert row["id"] in after, "an incident was lost"
    for row in after.values():
        frame = (demo.home / "evidence" / row["path"]).read_bytes()
        assert hashlib.sha256(frame).hexdigest() == row["sha256"]
    generated = demo.rows("SELECT count(*) AS n FROM registry.site")[0]["n"]
    assert generated > 0
    seen_before = demo.rows("SELECT count(*) AS n FROM watch.observation")[0]["n"]
    wait_for(
        "the watch goes on",
        lambda: demo.rows("SELECT count(*) AS n FROM watch.observation")[0]["n"] > seen_before,
        60,
    )

    assert demo.process is not None
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(40) == 0, demo.said()
    assert "已停止" in demo.said()
    assert "Traceback" not in demo.said()
    assert not processes_of(demo.home), "a clean stop leaves no process behind"
    for name, text in demo.written():
        assert "postgresql://" not in text, name
        for what, secret in secrets.items():
            assert len(secret) > 20, what
            assert secret not in text, f"{what} stands in {name}"
