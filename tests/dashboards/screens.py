"""What the browser tests work with: a running GeoApp, waiting for the map, an incident as the watch writes one."""

import contextlib
import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import psycopg
from psycopg import sql

from geoapp.access.accounts import add_account
from geoapp.access.sessions import CSRF_COOKIE, CSRF_HEADER, csrf_of, open_session
from geoapp.database.connection import connect

# Debian's Chromium without the window that nobody sees: a page opens in a quarter of the time.
CHROMIUM = next(
    p
    for p in ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")
    if Path(p).exists() or p == "/usr/bin/chromium"
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class People:
    """Accounts for tests, by login: every role of the contract, and their places.

    committee, analyst and admin are of the whole district; planner, duty_officer and inspector of `town`; neighbour is a
    duty officer of `other_town`; community is an inspector of `community_code`, in `town`; enterprise has `own_site`, in
    `town`, which has a key risk area and a camera; other_enterprise has `other_site`, in `other_town`.
    """

    ids: dict[str, int]
    town: str
    other_town: str
    community_code: str
    own_site: int
    other_site: int


def add_people(owner: psycopg.Connection[dict[str, Any]]) -> People:
    """Makes the accounts of People in a sample city, through the owner's connection."""
    rows = owner.execute(
        "SELECT s.id, s.town_code, left(s.cell_code, 12) AS community FROM registry.site AS s"
        " WHERE s.town_code IS NOT NULL AND s.cell_code IS NOT NULL ORDER BY"
        " EXISTS (SELECT FROM registry.key_risk_area AS k WHERE k.site_id = s.id)"
        "   AND EXISTS (SELECT FROM registry.camera AS c WHERE c.site_id = s.id) DESC,"
        " EXISTS (SELECT FROM registry.key_risk_area AS k WHERE k.site_id = s.id) DESC, s.id"
    ).fetchall()
    own = rows[0]
    other = next(row for row in rows if row["town_code"] != own["town_code"])
    town, elsewhere = own["town_code"], other["town_code"]
    made = {
        "committee": add_account(owner, "committee", "安委会测试", ["committee"]),
        "analyst": add_account(owner, "analyst", "分析员测试", ["analyst"]),
        "admin": add_account(owner, "admin", "管理员测试", ["admin"]),
        "planner": add_account(owner, "planner", "编制员测试", ["planner"], areas=[town]),
        "duty_officer": add_account(owner, "duty_officer", "值班员测试", ["duty_officer"], areas=[town]),
        "inspector": add_account(owner, "inspector", "检查员测试", ["inspector"], areas=[town]),
        "neighbour": add_account(owner, "neighbour", "邻镇值班员", ["duty_officer"], areas=[elsewhere]),
        "community": add_account(owner, "community", "社区检查员", ["inspector"], areas=[own["community"]]),
        "enterprise": add_account(owner, "enterprise", "企业测试", ["enterprise"], sites=[own["id"]]),
        "other_enterprise": add_account(
            owner, "other_enterprise", "另一企业", ["enterprise"], sites=[other["id"]]
        ),
    }
    return People(made, town, elsewhere, own["community"], own["id"], other["id"])


@dataclass
class Site:
    """A running GeoApp: where it is, its database (`url` is the owner's), its evidence folder, its people."""

    base: str
    url: str
    home: Path
    database: str
    admin_url: str
    people: People
    _clients: list[httpx.Client] = field(default_factory=list)

    def cookie(self, login: str) -> str:
        """The cookie of a new session of this account, opened as the sign-in does it."""
        with connect(self.url) as owner:
            return open_session(
                owner, self.people.ids[login], method="password", at=datetime.now(UTC), ip="127.0.0.1"
            )

    def client(self, login: str | None = "committee", **options: Any) -> httpx.Client:
        """An HTTP client that is signed in (None: a stranger) and sends the CSRF header. Closed with the site."""
        client = httpx.Client(base_url=self.base, timeout=20, **options)
        if login is not None:
            token = self.cookie(login)
            client.cookies.set("geoapp_session", token, domain="127.0.0.1")
            client.cookies.set(CSRF_COOKIE, csrf_of(token), domain="127.0.0.1")
            client.headers[CSRF_HEADER] = csrf_of(token)
        self._clients.append(client)
        return client

    def sign_in(self, context: Any, login: str) -> None:
        """Gives a browser's context (Playwright) the cookies of a new session."""
        token = self.cookie(login)
        context.add_cookies(
            [
                {
                    "name": "geoapp_session",
                    "value": token,
                    "url": self.base,
                    "httpOnly": True,
                    "sameSite": "Lax",
                },
                {"name": CSRF_COOKIE, "value": csrf_of(token), "url": self.base, "sameSite": "Lax"},
            ]
        )

    def close(self) -> None:
        """Closes the clients."""
        for client in self._clients:
            client.close()

    def connect(self) -> psycopg.Connection[dict[str, Any]]:
        return connect(self.url, autocommit=True)

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """No connection to the database lives or can be made inside the block."""
        with psycopg.connect(self.admin_url, autocommit=True) as admin:
            allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
            name = sql.Identifier(self.database)
            admin.execute(allow.format(name, sql.SQL("false")))
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                (self.database,),
            )
            try:
                yield
            finally:
                admin.execute(allow.format(name, sql.SQL("true")))


def until(page: Any, expression: str, seconds: float = 15.0) -> Any:
    """Polls a JavaScript expression until it is truthy and returns it; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = page.evaluate(expression)
        if value:
            return value
        assert time.monotonic() < deadline, f"never true in the browser: {expression}"
        page.wait_for_timeout(40)


def drawn(page: Any) -> None:
    """Waits until the map stands, its cells are drawn and the lens has coloured them."""
    until(page, "document.documentElement.dataset.map === 'ready'", 25)
    until(page, "geoapp.city.stats().layers.cell.decoded > 0 && document.documentElement.dataset.lens")
    until(page, "Object.values(geoapp.city.tiles.cell._tiles).every(t => t.loaded)")


def open_incident(
    connection: psycopg.Connection[dict[str, Any]],
    home: Path,
    *,
    kind: str = "fire",
    seen: datetime | None = None,
) -> dict[str, str]:
    """Writes an open incident with its frame as the watch does: one transaction, outbox row last."""
    moment = seen or datetime.now(UTC)
    picture = np.full((360, 640, 3), 90, np.uint8)
    cv2.rectangle(picture, (300, 160), (380, 260), (40, 120, 250), -1)
    content = cv2.imencode(".jpg", picture)[1].tobytes()
    digest = hashlib.sha256(content).hexdigest()
    path = Path("2026") / f"{digest[:16]}-{uuid.uuid4().hex[:6]}.jpg"
    (home / "evidence" / path).parent.mkdir(parents=True, exist_ok=True)
    (home / "evidence" / path).write_bytes(content)
    incident, observation, evidence = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    box = [300.0, 160.0, 380.0, 260.0]
    boxes = json.dumps([{"class": kind, "score": 0.91, "box": box}])
    with connection.transaction():
        camera = connection.execute(
            "SELECT c.id, c.cell_code, c.town_code FROM registry.camera AS c"
            " WHERE c.snapshot_url IS NOT NULL AND c.cell_code IS NOT NULL ORDER BY c.id LIMIT 1"
        ).fetchone()
        assert camera is not None
        connection.execute(
            "INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed, model_hash, boxes)"
            " VALUES (%s, %s, %s, %s, true, 'test', %s)",
            (observation, camera["id"], moment, moment, boxes),
        )
        row = connection.execute(
            "INSERT INTO watch.incident (id, class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score,"
            " model_hash, box, geom, placing_method, semi_major_m, semi_minor_m, rotation_deg, cell_code, town_code)"
            " SELECT %s, %s, c.id, 'open', %s, %s, %s, 0.91, 'test', %s, c.geom, 'pose_ray', 12.5, 3.2, 30, c.cell_code,"
            " c.town_code FROM registry.camera AS c WHERE c.id = %s RETURNING incident_no",
            (incident, kind, moment, moment, moment, box, camera["id"]),
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO watch.evidence (id, incident_id, observation_id, sha256, path, bytes, width_px, height_px,"
            " captured_at, received_at, boxes) VALUES (%s, %s, %s, %s, %s, %s, 640, 360, %s, %s, %s)",
            (evidence, incident, observation, digest, str(path), len(content), moment, moment, boxes),
        )
        payload = {
            "id": str(incident), "incident_no": row["incident_no"], "class": kind, "state": "open",
            "review": "unreviewed", "transition": "opened",
        }  # fmt: skip
        connection.execute(
            "INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES ('incident', %s, %s)",
            (f"incident:{incident}:opened", json.dumps(payload)),
        )
    return {"id": str(incident), "evidence": str(evidence), "path": str(path), "no": str(row["incident_no"])}
