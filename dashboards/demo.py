"""The demo: private database, sample city, camera farm, watch and map, supervised by one process."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO

import httpx
import psycopg
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dashboards.asked import LOOPBACK_NAMES
from dashboards.demo_accounts import add_demo_accounts
from dashboards.serving import refuse_taken_port
from geoapp.database import migrations
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused
from geoapp.settings import Settings, settings
from geoapp.territory.simplified import renew_simplified
from layers.expected_events import keep_expected_events

SAMPLE_SEED = 310116
PR_SET_PDEATHSIG = 1
MAP_START_LIMIT_S = 90.0
FARM_START_LIMIT_S = 60.0
console = Console(soft_wrap=True)


def _die_with_parent() -> None:
    """In the child: a supervisor that is killed takes its children along, so that no port stays taken (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Service:
    """One child process, started again with growing pauses when it ends by itself."""

    name: str
    arguments: list[str]
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    next_start_at: float = 0.0
    _handle: IO[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        if self._handle is not None:
            self._handle.close()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._handle = self.log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "geoapp.cli", *self.arguments],
            stdout=self._handle,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=self.environment,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the children in order
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread of ours runs while a child is made
        )

    def ended(self) -> int | None:
        """Exit status when it has ended, else None."""
        return None if self.process is None else self.process.poll()

    def stop(self, limit_s: float = 15.0) -> None:
        """Asks it to end, then kills it after `limit_s` seconds."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._handle is not None:
            self._handle.close()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log."""
        try:
            return "\n  ".join(
                self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:]
            )
        except FileNotFoundError:
            return ""


def run_demo(*, small: bool = False) -> None:
    """Runs everything until Ctrl-C or SIGTERM, then stops it in order. Raises Refused with what to do."""
    started = time.monotonic()
    configured = settings()
    refuse_taken_port(configured.port, "GEOAPP_PORT")
    refuse_taken_port(configured.farm_port, "GEOAPP_FARM_PORT")
    url = _database(configured)
    _sample_city(url, configured, small=small)
    with connect(url, autocommit=True) as connection:
        renew_simplified(connection)
        keep_expected_events(connection)
    with connect(url) as connection:
        add_demo_accounts(connection)

    environment = (
        os.environ
        | {
            "PYTHONUNBUFFERED": "1",
            "YOLO_OFFLINE": "1",
            "YOLO_AUTOINSTALL": "false",
            "GEOAPP_DEMO": "1",  # one-click sign-in, if it listens on this machine only (dashboards/demo_accounts.py)
        }
    )
    logs = configured.home_path / "logs"
    reached_at = "127.0.0.1" if configured.host in ("0.0.0.0", "::") else configured.host
    address = f"http://{reached_at}:{configured.port}"
    web = Service("map", ["serve"], logs / "map.log", environment)
    farm = Service("camera farm", ["detect", "farm"], logs / "farm.log", environment)
    watch = Service("watch", ["detect", "run"], logs / "watch.log", environment)
    services = [web, farm, watch]
    stopping = _stop_on_signals()
    try:
        web.start()
        farm.start()
        with console.status("地图启动中 / starting the map …"):
            _wait_for_map(address, web, stopping)
        if not stopping():
            console.print(
                f"\n[bold green]地图 / map:[/] [link={address}]{address}[/]   (English: {address}/?lang=en)"
                f"   [dim]{time.monotonic() - started:.1f} s[/]"
            )
            if configured.host in LOOPBACK_NAMES:
                console.print("登录页上选一个角色即可进入 / choose a role on the sign-in page to enter.")
            else:
                console.print(
                    f"监听 {configured.host}，一键登录不开放；用 geoapp user add 建立账号 / listening on {configured.host}: "
                    "no one-click sign-in, make an account with geoapp user add."
                )
            console.print(
                "样例城市，数据为生成 / sample city, generated data. Ctrl-C 停止 / stops it."
                f"  [dim]logs: {logs}[/]"
            )
        with console.status("摄像机画面绘制中 / the camera farm draws its scenes …"):
            _wait_for_farm(f"http://127.0.0.1:{configured.farm_port}", farm, stopping)
        if not stopping():
            watch.start()
        _supervise(url, services, stopping, started)
    finally:
        console.print("停止中 / stopping …")
        for service in reversed(services):
            service.stop()
        if configured.database_url is None:
            PrivateCluster(configured.home_path, pg_bin=configured.pg_bin).down()
        console.print("已停止，数据保留 / stopped, the data stays.")


def _stop_on_signals() -> Callable[[], bool]:
    """Whether SIGINT or SIGTERM has come; the first asks for a clean stop, a second SIGINT interrupts at once."""
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return lambda: bool(asked)


def _database(configured: Settings) -> str:
    with console.status("PostGIS …"):
        url = database_url(configured)
        migrations.migrate(url, srid=migrations.stored_srid(url) or configured.metric_srid)
    return url


def _sample_city(url: str, configured: Settings, *, small: bool) -> None:
    """Builds the sample city in an empty database; a stored one is kept. Raises Refused for a real city."""
    from etl.sample_city.build import DEMO, SMALL, build_sample_city

    farm_url = f"http://127.0.0.1:{configured.farm_port}"
    with connect(url) as connection:
        held = connection.execute("SELECT name_zh, is_generated FROM territory.city").fetchone()
        if held is not None and not held["is_generated"]:
            raise Refused(
                f"这个数据库里是真实城市 {held['name_zh']} / this database holds a real city, the demo would mix data into it.\n"
                "  Run the demo with another GEOAPP_HOME, or serve this city with: geoapp serve"
            )
        if held is not None:
            # The farm may run on another port than last time; the cameras' addresses follow it.
            connection.execute(
                """
                UPDATE registry.camera
                SET snapshot_url = %(farm)s || '/snapshot/' || gb_id || '.jpg'
                WHERE is_generated AND snapshot_url IS NOT NULL
                  AND snapshot_url <> %(farm)s || '/snapshot/' || gb_id || '.jpg'
                """,
                {"farm": farm_url},
            )
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("样例城市 / sample city", total=1.0)
            build_sample_city(
                connection,
                size=SMALL if small else DEMO,
                seed=SAMPLE_SEED,
                as_of=datetime.now(UTC),
                farm_url=farm_url,
                progress=lambda what, share: bar.update(task, description=what, completed=share),
            )


def _wait_for_map(address: str, web: Service, stopping: Callable[[], bool]) -> None:
    """Waits until the sign-in page is served. Raises Refused, with the log's last lines, when it does not come."""
    deadline = time.monotonic() + MAP_START_LIMIT_S
    while time.monotonic() < deadline and not stopping():
        if web.ended() is not None:
            break
        try:
            if httpx.get(f"{address}/signin", timeout=2.0).status_code == 200:
                return
        except httpx.HTTPError:
            pass  # not listening yet
        time.sleep(0.2)
    if not stopping():
        raise Refused(f"地图没有启动 / The map did not start.\n  {web.last_words()}\n  Log: {web.log}")


def _wait_for_farm(address: str, farm: Service, stopping: Callable[[], bool]) -> None:
    """Waits until every scene is drawn: earlier the cameras would only time out. A slow farm is not waited for long."""
    deadline = time.monotonic() + FARM_START_LIMIT_S
    while time.monotonic() < deadline and not stopping() and farm.ended() is None:
        try:
            said = httpx.get(f"{address}/healthz", timeout=2.0).json()
            if said["drawn"] >= said["cameras"]:
                return
        except httpx.HTTPError:
            pass  # not listening yet
        time.sleep(0.2)


def _supervise(url: str, services: list[Service], stopping: Callable[[], bool], started: float) -> None:
    """Restarts what ends by itself, and tells of the first live incident."""
    since = datetime.now(UTC)
    told = False
    while not stopping():
        now = time.monotonic()
        for service in services:
            status = service.ended()
            if status is None:
                continue
            if service.next_start_at == 0.0:
                pause = min(60.0, 2.0**service.restarts)
                service.next_start_at = now + pause
                service.restarts += 1
                console.print(
                    f"[yellow]{service.name} ended ({status}), starts again in {pause:.0f} s[/]\n  {service.last_words(2)}"
                )
            elif now >= service.next_start_at:
                service.next_start_at = 0.0
                service.start()
        if not told:
            told = _tell_first_incident(url, since, started)
        time.sleep(1.0)


def _tell_first_incident(url: str, since: datetime, started: float) -> bool:
    try:
        with connect(url) as connection:
            row = connection.execute(
                """
                SELECT i.class, i.opened_at, c.name_zh
                FROM watch.incident AS i
                JOIN registry.camera AS c ON c.id = i.camera_id
                WHERE i.opened_at >= %s AND NOT i.is_generated AND i.mode = 'alert'
                ORDER BY i.opened_at
                LIMIT 1
                """,
                (since,),
            ).fetchone()
    except psycopg.OperationalError:
        return False  # the services say it in their logs, and the page in its banner
    if row is None:
        return False
    console.print(
        f"首个实时事件 / first live incident: {row['class']} @ {row['name_zh']}"
        f"   [dim]{time.monotonic() - started:.1f} s[/]"
    )
    return True
