"""Back-off at sign-in: slow for whoever guesses, and for nobody else.

Failures are weighed per login and network, per network over all logins, and per login over all networks. A browser that
has signed in to the login before carries a signed device cookie and answers for its own failures only: nobody can lock
it out. A wait is said at once and no thread sleeps; while it runs nothing is hashed and nothing is counted.
"""

import hmac
import ipaddress
import math
import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from geoapp.access.caller import Connection
from geoapp.access.sealing import derived
from geoapp.database.sql_files import read_sql

__all__ = [
    "CAP_S",
    "DEVICE_COOKIE",
    "Attempt",
    "Try",
    "device_cookie",
    "device_of",
    "is_known",
    "network_of",
    "new_device",
    "note",
    "plain_ip",
    "recent",
    "under_way",
    "wait_s",
]

WINDOW = timedelta(minutes=15)
LOGIN_WINDOW = timedelta(hours=1)
# Failures that are let pass without a wait.
OF_PAIR = 5
OF_NETWORK = 30
OF_LOGIN = 100
CAP_S = 900
KEEP = timedelta(days=30)
KEEP_SESSIONS = timedelta(days=90)
KEEP_TOKENS = timedelta(days=365)
FORGET_EVERY = 500
DEVICE_COOKIE = "geoapp_device"


@dataclass(frozen=True)
class Try:
    """One attempt that comes now: the login (`?` where what was typed cannot be one), the network, the device's id."""

    login: str
    ip: str | None = None
    device: str | None = None

    @property
    def network(self) -> str | None:
        """What counts as one place: the IPv4 address, or the /64 of IPv6, which one household or firm holds whole."""
        return network_of(self.ip)


@dataclass(frozen=True)
class Attempt:
    """One attempt that was made; `at` is aware."""

    at: datetime
    login: str
    network: str | None
    device: str | None
    succeeded: bool


def plain_ip(text: str | None) -> str | None:
    """An address as PostgreSQL's inet takes it (no IPv6 zone, IPv4 unwrapped), or None for what is none."""
    try:
        found = ipaddress.ip_address((text or "").split("%")[0])
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


def network_of(ip: str | None) -> str | None:
    """The network that an address counts for: itself for IPv4, its /64 for IPv6; None for None."""
    plain = plain_ip(ip)
    if plain is None or ":" not in plain:
        return plain
    return str(ipaddress.ip_network(f"{plain}/64", strict=False))


def wait_s(attempts: Iterable[Attempt], tried: Try, at: datetime, *, known_device: bool) -> int:
    """Seconds that this attempt has to wait, 0 to CAP_S; 0 = it may be tried now.

    attempts: those of `recent()` and `under_way()`, in any order. From the fifth failure of a login and network within
    15 minutes on, 2, 4, 8, … seconds since the last one; likewise from the 30th of a network, and from the 100th of a
    login within an hour. A success ends the count of its login and network. known_device: the device has signed in to
    this login before, so that only its own failures count.
    """
    made = sorted(attempts, key=lambda a: a.at)
    if known_device:
        own = [a for a in made if a.login == tried.login and a.device == tried.device]
        return _wait(_since_success(own), OF_PAIR, WINDOW, at)
    pair = [a for a in made if a.login == tried.login and a.network == tried.network]
    network = [a for a in made if a.network == tried.network]
    login = [a for a in made if a.login == tried.login]
    return max(
        _wait(_since_success(pair), OF_PAIR, WINDOW, at),
        _wait(network, OF_NETWORK, WINDOW, at),
        _wait(login, OF_LOGIN, LOGIN_WINDOW, at),
    )


def _since_success(made: list[Attempt]) -> list[Attempt]:
    last = max((i for i, a in enumerate(made) if a.succeeded), default=-1)
    return made[last + 1 :]


def _wait(made: list[Attempt], free: int, window: timedelta, at: datetime) -> int:
    failures = [a.at for a in made if not a.succeeded and at - window < a.at]
    if len(failures) < free:
        return 0
    pause = min(CAP_S, 2 ** min(len(failures) - free + 1, 20))
    return max(0, min(CAP_S, math.ceil(pause - (at - failures[-1]).total_seconds())))


def recent(connection: Connection, tried: Try, at: datetime) -> list[Attempt]:
    """The attempts that `wait_s` weighs for this one."""
    rows = connection.execute(
        read_sql("access/sign_in_attempts").encode(),
        {"login": tried.login, "network": tried.network, "since": at - LOGIN_WINDOW},
    ).fetchall()
    return [
        Attempt(row["at"], row["login"], network_of(row["ip"]), row["device"], row["succeeded"])
        for row in rows
    ]


def is_known(connection: Connection, tried: Try, at: datetime) -> bool:
    """Whether this device has signed in to this login within the last 30 days."""
    if tried.device is None:
        return False
    found = connection.execute(
        "SELECT FROM access.sign_in_attempt WHERE login = %s AND device = %s AND succeeded AND at > %s LIMIT 1",
        (tried.login, tried.device, at - KEEP),
    ).fetchone()
    return found is not None


def note(connection: Connection, tried: Try, at: datetime, *, succeeded: bool) -> None:
    """Writes an attempt down; now and then forgets what is long over: attempts, ended sessions and tokens."""
    row = connection.execute(
        "INSERT INTO access.sign_in_attempt (at, login, ip, device, succeeded) VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (at, tried.login, plain_ip(tried.ip), tried.device, succeeded),
    ).fetchone()
    if row is not None and row["id"] % FORGET_EVERY == 0:
        connection.execute("DELETE FROM access.sign_in_attempt WHERE at < %s", (at - KEEP,))
        connection.execute("SELECT access.forget_ended(%s, %s)", (at - KEEP_SESSIONS, at - KEEP_TOKENS))


_open: list[Attempt] = []
_open_lock = threading.Lock()


@contextmanager
def under_way(tried: Try, at: datetime) -> Iterator[list[Attempt]]:
    """Inside the block this attempt counts as failed for others; gives those of this process that are under way.

    Without it a thousand attempts at the same moment would all see that nobody has failed yet.
    """
    mine = Attempt(at, tried.login, tried.network, tried.device, False)
    with _open_lock:
        others = list(_open)
        _open.append(mine)
    try:
        yield others
    finally:
        with _open_lock:
            _open[:] = [a for a in _open if a is not mine]


def new_device() -> str:
    """A fresh device id."""
    return secrets.token_urlsafe(16)


def device_cookie(device: str) -> str:
    """The cookie of a device: its id and a MAC under the installation's key. Raises KeyFileRefused."""
    return f"{device}.{_mac(device)}"


def device_of(cookie: str | None) -> str | None:
    """The device id of a cookie that this installation signed; None for any other. Raises KeyFileRefused."""
    if not cookie or len(cookie) > 100 or not cookie.isascii():
        return None
    device, dot, mac = cookie.rpartition(".")
    return device if dot and hmac.compare_digest(mac, _mac(device)) else None


def _mac(device: str) -> str:
    return hmac.new(derived("device"), device.encode(), "sha256").hexdigest()[:43]
