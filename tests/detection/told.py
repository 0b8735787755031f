"""What tests of telling share: receivers on 127.0.0.1 that keep a log, things that happen, and receivers to be told."""

import json
import smtplib
import socketserver
import ssl
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from geoapp.watch.telling.connections import Connections
from geoapp.watch.telling.register import add_receiver, checked

Connection = psycopg.Connection[dict[str, Any]]
AT = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)


@dataclass
class Asked:
    """One request as the receiver saw it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers["X-GeoApp-Key"]


Reply = Callable[[Asked, BaseHTTPRequestHandler], None]


def reply(status: int, body: Any = "", **headers: str) -> Reply:
    """An answer; a body that is no text goes out as JSON."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    def answer(_: Asked, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return answer


@dataclass
class HttpReceiver:
    """Answers by path: a list of replies is used up one by one, its last stays. `asked` is its own log."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                where = urlsplit(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                query = {k: v[0] for k, v in parse_qs(where.query).items()}
                asked = Asked(where.path, query, dict(self.headers.items()), body)
                with lock:
                    receiver.asked.append(asked)
                    todo = receiver.replies.get(where.path, [reply(200, "ok")])
                    answer = todo.pop(0) if len(todo) > 1 else todo[0]
                answer(asked, self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def at(self, path: str) -> list[Asked]:
        return [a for a in self.asked if a.path == path]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@lru_cache(maxsize=4)
def opener(url: str) -> Callable[[], AbstractContextManager[Connection]]:
    return Connections(url).connection


def add(
    connection: Connection,
    name: str,
    kind: str,
    address: str,
    *,
    secrets: dict[str, str] | None = None,
    at: datetime = AT,
    **asked: Any,
) -> int:
    """A receiver that hears of what happens from `at` on."""
    given = {"name": name, "kind": kind, "address": address} | asked
    held = {k: SecretStr(v) for k, v in (secrets or {}).items()}
    with connection.transaction():
        return add_receiver(connection, checked(given), held, at=at, by="test")


def begin(connection: Connection, kind: str = "fire", *, at: datetime = AT, score: float = 0.9) -> uuid.UUID:
    """An open incident in the picture of a camera of the sample city; nobody is told yet."""
    incident = uuid.uuid4()
    row = connection.execute(
        "INSERT INTO watch.incident (id, class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score,"
        " model_hash, box, geom, placing_method, semi_major_m, semi_minor_m, rotation_deg, cell_code, town_code, site_id)"
        " SELECT %s, %s, c.id, 'open', %s, %s, %s, %s, 'test', '{1,1,9,9}', c.geom, 'pose_ray', 12.5, 3.2, 30, c.cell_code,"
        " c.town_code, c.site_id FROM registry.camera AS c"
        " WHERE c.cell_code IS NOT NULL AND c.site_id IS NOT NULL ORDER BY c.id LIMIT 1 RETURNING id",
        (incident, kind, at - timedelta(seconds=4), at, at, score),
    ).fetchone()
    assert row is not None
    return incident


def notice(
    connection: Connection,
    incident: uuid.UUID,
    transition: str = "opened",
    *,
    at: datetime = AT,
    **payload: Any,
) -> int:
    """The outbox row of a change, as the watch writes it; its id."""
    row = connection.execute(
        "INSERT INTO watch.outbox (topic, dedupe_key, payload, created_at)"
        " SELECT 'incident', %(key)s, jsonb_build_object('id', i.id, 'incident_no', i.incident_no, 'class', i.class,"
        " 'state', i.state, 'review', i.review, 'transition', %(transition)s::text) || %(more)s::jsonb, %(at)s"
        " FROM watch.incident AS i WHERE i.id = %(id)s RETURNING id",
        {
            "key": f"incident:{incident}:{transition}:{uuid.uuid4()}",
            "id": incident,
            "transition": transition,
            "more": json.dumps(payload),
            "at": at,
        },
    ).fetchone()
    assert row is not None
    return int(row["id"])


def happen(connection: Connection, kind: str = "fire", *, at: datetime = AT, score: float = 0.9) -> uuid.UUID:
    """An incident that opens."""
    incident = begin(connection, kind, at=at, score=score)
    notice(connection, incident, at=at)
    return incident


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


# -- mail -------------------------------------------------------------------------------------------------------


class MailServer:
    """A small real SMTP server (RFC 5321) with STARTTLS and AUTH PLAIN; `mails` are envelope and content as they came."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        account: str | None = None,
        refuse: frozenset[str] = frozenset(),
        data_code: int = 250,
    ) -> None:
        self.mails: list[tuple[str, list[str], bytes, bool]] = []
        self.logins: list[str] = []
        mails, logins = self.mails, self.logins

        class Handler(socketserver.StreamRequestHandler):
            def say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def handle(self) -> None:  # noqa: PLR0912 - a verb a branch
                sender, recipients, is_tls = "", [], False
                self.say("220 test")
                while line := self.rfile.readline():
                    verb, _, rest = line.decode().strip().partition(" ")
                    match verb.upper():
                        case "EHLO":
                            self.say("250-test")
                            if tls is not None and not is_tls:
                                self.say("250-STARTTLS")
                            if account is not None:
                                self.say("250-AUTH PLAIN")
                            self.say("250 8BITMIME")
                        case "STARTTLS" if tls is not None:
                            self.say("220 go")
                            self.request = tls.wrap_socket(self.request, server_side=True)
                            self.rfile = self.request.makefile("rb")
                            self.wfile = self.request.makefile("wb", buffering=0)  # type: ignore[assignment]
                            is_tls = True
                        case "AUTH":
                            given = rest.removeprefix("PLAIN ")
                            logins.append(given)
                            self.say("235 ok" if given == account else "535 no such account")
                        case "MAIL":
                            sender, recipients = rest.partition(":")[2].strip("<>"), []
                            self.say("250 ok")
                        case "RCPT":
                            one = rest.partition(":")[2].split()[0].strip("<>")
                            if one in refuse:
                                self.say("550 nobody here")
                            else:
                                recipients.append(one)
                                self.say("250 ok")
                        case "DATA":
                            self.say("354 go")
                            body = b""
                            while (part := self.rfile.readline()) not in (b".\r\n", b""):
                                body += part
                            if data_code == 250:
                                mails.append((sender, recipients, body, is_tls))
                            self.say(f"{data_code} done")
                        case "QUIT":
                            self.say("221 bye")
                            return
                        case _:
                            self.say("250 ok")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"smtp://127.0.0.1:{self._server.server_address[1]}"
        assert smtplib.SMTP("127.0.0.1", self._server.server_address[1], timeout=5).noop()[0] == 250

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """(certificate, key) of 127.0.0.1, signed by itself: believed where it is named as an authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    import ipaddress

    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    crt, pem = folder / "test.crt", folder / "test.key"
    crt.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    pem.chmod(0o644)  # the broker reads it under an account of its own
    return crt, pem
