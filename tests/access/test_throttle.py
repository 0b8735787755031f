"""The back-off: slow for whoever guesses, and for nobody else."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from geoapp.access import throttle
from geoapp.access.caller import Connection
from geoapp.access.throttle import CAP_S, Attempt, Try, network_of, plain_ip, wait_s
from geoapp.database.connection import connect
from geoapp.settings import settings

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
LOGINS = ["li.ming", "wang.wu", "?"]
NETWORKS = ["10.1.0.7", "10.1.0.8", "2001:db8::/64", None]
DEVICES = ["d1", "d2", None]

attempts = st.lists(
    st.builds(
        Attempt,
        st.integers(0, 4000).map(lambda s: AT - timedelta(seconds=s)),
        st.sampled_from(LOGINS),
        st.sampled_from(NETWORKS),
        st.sampled_from(DEVICES),
        st.booleans(),
    ),
    max_size=200,
)
tries = st.builds(
    Try, st.sampled_from(LOGINS), st.sampled_from(["10.1.0.7", "2001:db8::5", None]), st.sampled_from(DEVICES)
)


def failures(
    count: int,
    login: str = "li.ming",
    network: str | None = "10.1.0.7",
    *,
    device: str | None = None,
    ago: float = 0,
) -> list[Attempt]:
    return [Attempt(AT - timedelta(seconds=ago), login, network, device, False)] * count


# -- the decision ------------------------------------------------------------------------------------------------


@given(attempts, tries, st.booleans())
@how(deadline=None)
def test_a_wait_is_never_longer_than_the_cap_and_ends(made: list[Attempt], tried: Try, known: bool) -> None:
    wait = wait_s(made, tried, AT, known_device=known)
    assert 0 <= wait <= CAP_S
    assert wait_s(made, tried, AT + timedelta(seconds=wait), known_device=known) == 0
    assert (
        wait_s(made, tried, AT - timedelta(hours=2), known_device=known) <= CAP_S
    )  # a clock that was set back


@given(attempts, tries)
@how(deadline=None)
def test_a_success_resets_its_login_and_network(made: list[Attempt], tried: Try) -> None:
    pair = [a for a in made if a.login == tried.login and a.network == tried.network]
    few = [a for a in made if a not in pair][:20]
    success = Attempt(AT, tried.login, tried.network, None, True)
    assert wait_s([*pair[:29], success], Try(tried.login, tried.ip), AT, known_device=False) == 0
    assert wait_s([*few, success], Try(tried.login, tried.ip), AT, known_device=False) == 0


@given(attempts, tries, st.integers(0, 300))
@how(deadline=None)
def test_failures_at_other_logins_from_other_networks_change_nothing(
    made: list[Attempt], tried: Try, count: int
) -> None:
    others = failures(count, "zhao.liu", "10.9.9.9")
    assert wait_s(made, tried, AT, known_device=False) == wait_s(
        [*made, *others], tried, AT, known_device=False
    )


@given(attempts, st.integers(0, 300))
@how(deadline=None)
def test_nobody_locks_out_a_known_device(made: list[Attempt], count: int) -> None:
    others = [a for a in made if a.device != "d1"] + failures(count, device="d2") + failures(count)
    assert wait_s(others, Try("li.ming", "10.1.0.7", "d1"), AT, known_device=True) == 0


@given(attempts, tries, st.booleans(), st.randoms())
@how(deadline=None)
def test_the_order_of_what_was_fetched_does_not_matter(
    made: list[Attempt], tried: Try, known: bool, rnd
) -> None:  # type: ignore[no-untyped-def]
    made = [a for i, a in enumerate(made) if a.at not in {b.at for b in made[:i]}]
    mixed = list(made)
    rnd.shuffle(mixed)
    assert wait_s(made, tried, AT, known_device=known) == wait_s(mixed, tried, AT, known_device=known)


@pytest.mark.parametrize(
    ("count", "wait"), [(0, 0), (4, 0), (5, 2), (6, 4), (7, 8), (13, 512), (14, 900), (99, 900), (5000, 900)]
)
def test_each_failure_of_a_login_from_a_network_doubles_the_wait(count: int, wait: int) -> None:
    assert wait_s(failures(count), Try("li.ming", "10.1.0.7"), AT, known_device=False) == wait


def test_the_wait_is_counted_from_the_last_failure() -> None:
    tried = Try("li.ming", "10.1.0.7")
    assert wait_s(failures(8, ago=10), tried, AT, known_device=False) == 6
    assert wait_s(failures(8, ago=16), tried, AT, known_device=False) == 0
    assert wait_s(failures(50, ago=900), tried, AT, known_device=False) == 0


def test_a_network_that_tries_many_logins_waits_and_a_colleague_elsewhere_does_not() -> None:
    spread = [a for i in range(32) for a in failures(1, f"user{i}")]
    assert wait_s(spread[:29], Try("li.ming", "10.1.0.7"), AT, known_device=False) == 0
    assert wait_s(spread, Try("li.ming", "10.1.0.7"), AT, known_device=False) == 8
    assert wait_s(spread, Try("li.ming", "10.1.0.8"), AT, known_device=False) == 0
    assert wait_s(spread, Try("li.ming", "10.1.0.7", "d1"), AT, known_device=True) == 0
    # An account of one's own does not buy more guesses.
    mine = [Attempt(AT, "evil", "10.1.0.7", None, True)]
    assert wait_s([*spread, *mine], Try("li.ming", "10.1.0.7"), AT, known_device=False) == 8


def test_a_login_tried_from_everywhere_makes_strangers_wait() -> None:
    spread = [a for i in range(103) for a in failures(1, network=f"10.2.{i}.1", ago=5)]
    assert wait_s(spread[:99], Try("li.ming", "10.1.0.7"), AT, known_device=False) == 0
    assert wait_s(spread, Try("li.ming", "10.1.0.7"), AT, known_device=False) == 11
    assert wait_s(spread, Try("wang.wu", "10.1.0.7"), AT, known_device=False) == 0
    assert wait_s(spread, Try("li.ming", "10.1.0.7", "d1"), AT, known_device=True) == 0


def test_a_known_device_that_guesses_waits_too() -> None:
    own = failures(6, device="d1")
    assert wait_s(own, Try("li.ming", "10.8.8.8", "d1"), AT, known_device=True) == 4


@pytest.mark.parametrize(
    ("typed", "ip", "network"),
    [
        ("10.1.0.7", "10.1.0.7", "10.1.0.7"),
        ("::ffff:10.1.0.7", "10.1.0.7", "10.1.0.7"),
        ("2001:db8:0:1:aaaa::5", "2001:db8:0:1:aaaa::5", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("testclient", None, None),
        ("10.1.0.7; DROP TABLE", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_addresses(typed: str | None, ip: str | None, network: str | None) -> None:
    assert plain_ip(typed) == ip
    assert network_of(typed) == network


# -- the device cookie -------------------------------------------------------------------------------------------


def test_a_device_cookie_is_taken_from_this_installation_only(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = throttle.new_device()
    cookie = throttle.device_cookie(device)
    assert throttle.device_of(cookie) == device
    for forged in (
        None,
        "",
        ".",
        device,
        cookie[:-1],
        cookie + "0",
        "x" + cookie,
        "é" + cookie,
        "." * 99,
        "x" * 10**6,
    ):
        assert throttle.device_of(forged) is None
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "other"))
    settings.cache_clear()
    assert throttle.device_of(cookie) is None


# -- in the database ---------------------------------------------------------------------------------------------


@pytest.fixture
def store(empty_url: str) -> Iterator[Connection]:
    with connect(empty_url, autocommit=True) as connection:
        yield connection


def test_what_is_noted_is_weighed(store: Connection) -> None:
    tried = Try("li.ming", "10.1.0.7", "d1")
    for second in range(6):
        throttle.note(store, tried, AT - timedelta(seconds=second), succeeded=False)
    assert wait_s(throttle.recent(store, tried, AT), tried, AT, known_device=False) == 4
    neighbour = Try("wang.wu", "10.1.0.7")
    assert len(throttle.recent(store, neighbour, AT)) == 6
    assert throttle.recent(store, Try("wang.wu", "10.1.0.8"), AT) == []
    assert not throttle.is_known(store, tried, AT)
    throttle.note(store, tried, AT, succeeded=True)
    assert throttle.is_known(store, tried, AT)
    assert not throttle.is_known(store, tried, AT + timedelta(days=31))
    assert not throttle.is_known(store, Try("li.ming", "10.1.0.7", "d2"), AT)
    assert not throttle.is_known(store, Try("wang.wu", "10.1.0.7", "d1"), AT)
    assert wait_s(throttle.recent(store, tried, AT), tried, AT, known_device=False) == 0


def test_one_ipv6_network_is_one_place(store: Connection) -> None:
    for host in range(30):
        throttle.note(store, Try(f"user{host}", f"2001:db8::{host + 1:x}"), AT, succeeded=False)
    next_door = Try("li.ming", "2001:db8::ffff:1")
    assert wait_s(throttle.recent(store, next_door, AT), next_door, AT, known_device=False) == 2
    elsewhere = Try("li.ming", "2001:db8:0:1::1")
    assert throttle.recent(store, elsewhere, AT) == []


def test_an_address_that_is_none_is_one_place_too(store: Connection) -> None:
    tried = Try("li.ming", "testclient")
    for _ in range(5):
        throttle.note(store, tried, AT, succeeded=False)
    assert wait_s(throttle.recent(store, tried, AT), tried, AT, known_device=False) == 2


def test_old_attempts_are_forgotten(store: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    throttle.note(store, Try("li.ming", "10.1.0.7"), AT - timedelta(days=31), succeeded=True)
    throttle.note(store, Try("li.ming", "10.1.0.7"), AT - timedelta(days=29), succeeded=True)
    monkeypatch.setattr(throttle, "FORGET_EVERY", 1)
    throttle.note(store, Try("li.ming", "10.1.0.7"), AT, succeeded=True)
    assert store.execute("SELECT count(*) AS n FROM access.sign_in_attempt").fetchone() == {"n": 2}


def test_attempts_at_the_same_moment_count_for_each_other() -> None:
    tried = Try("li.ming", "10.1.0.7")
    let, gate = [], threading.Barrier(40)
    lock = threading.Lock()

    def attempt() -> None:
        gate.wait()
        with throttle.under_way(tried, AT) as others:
            if wait_s(others, tried, AT, known_device=False) == 0:
                with lock:
                    let.append(1)
            gate.wait()

    threads = [threading.Thread(target=attempt) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(let) == throttle.OF_PAIR
    with throttle.under_way(tried, AT) as others:
        assert others == []
