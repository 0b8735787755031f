"""When a receiver is told: cooldown, quiet hours, pauses and pace, without clock or database."""

import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.http import retry_after_s
from geoapp.watch.telling.receiver import Receiver
from geoapp.watch.telling.rules import Hold, Send, Waiting, pause_s, quiet_ends, steps, tokens_at

AT = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)  # 09:30 in the city
ZONE = ZoneInfo("Asia/Shanghai")


def receiver(
    *,
    cooldown_s: float = 300.0,
    quiet: tuple[time, time] | None = None,
    passes: frozenset[str] = frozenset({"fire"}),
    per_minute: int = 20,
    tokens: float = 5.0,
    tokens_since: datetime = AT,
) -> Receiver:
    return Receiver(
        id=1,
        name="r",
        kind="webhook",
        address="http://127.0.0.1/",
        recipients=(),
        sender=None,
        language="zh",
        cooldown_s=cooldown_s,
        quiet_from=quiet and quiet[0],
        quiet_to=quiet and quiet[1],
        quiet_passes=passes,
        per_minute=per_minute,
        failures=0,
        tokens=tokens,
        tokens_at=tokens_since,
        lease_token=1,
    )


def waiting(
    number: int,
    transition: str = "opened",
    class_name: str = "smoke",
    *,
    attempts: int = 0,
    due_s: float = 0.0,
) -> Waiting:
    return Waiting(number, transition, class_name, False, attempts, AT + timedelta(seconds=due_s))


def test_the_first_news_goes_at_once_with_all_that_waits() -> None:
    todo = steps([waiting(1), waiting(2, "quiet"), waiting(3, "closed")], None, receiver(), AT, ZONE)
    assert todo == [Send(1, (2, 3))]


def test_news_within_the_cooldown_wait_for_its_end() -> None:
    told_at = AT - timedelta(seconds=100)
    assert steps([waiting(2, "quiet")], told_at, receiver(), AT, ZONE) == [
        Hold((2,), told_at + timedelta(seconds=300), "cooldown")
    ]
    assert steps([waiting(2, "quiet")], AT - timedelta(seconds=300), receiver(), AT, ZONE) == [Send(2, ())]


def test_what_is_worse_than_was_told_waits_for_nothing() -> None:
    todo = steps([waiting(2, "quiet"), waiting(3, "upgraded", "fire")], AT, receiver(), AT, ZONE)
    assert todo == [Send(2, (3,))]


def test_a_confirmation_passes_and_a_rejection_waits() -> None:
    confirmed = Waiting(2, "reviewed", "smoke", True, 0, AT)
    rejected = Waiting(2, "reviewed", "smoke", False, 0, AT)
    assert steps([confirmed], AT, receiver(), AT, ZONE) == [Send(2, ())]
    assert isinstance(steps([rejected], AT, receiver(), AT, ZONE)[0], Hold)


def test_a_message_that_failed_stays_as_it_is_and_later_news_wait_behind_it() -> None:
    failed = waiting(1, attempts=2, due_s=40)
    assert steps([failed, waiting(2, "quiet")], None, receiver(), AT, ZONE) == [
        Hold((2,), AT + timedelta(seconds=40), "earlier")
    ]
    due = waiting(1, attempts=2, due_s=-1)
    assert steps([due, waiting(2, "quiet")], None, receiver(), AT, ZONE)[0] == Send(1, ())
    # An escalation does not stand behind old news that nobody takes.
    assert Send(2, ()) in steps([failed, waiting(2, "upgraded", "fire")], None, receiver(), AT, ZONE)


NIGHT = time(22, 0), time(7, 0)


@pytest.mark.parametrize(
    ("local", "ends"),
    [
        ("2026-11-22 21:59:59", None),
        ("2026-11-22 22:00:00", "2026-11-23 07:00:00"),
        ("2026-11-23 06:59:59", "2026-11-23 07:00:00"),
        ("2026-11-23 07:00:00", None),
    ],
)
def test_quiet_hours_go_by_the_citys_clock_and_over_midnight(local: str, ends: str | None) -> None:
    at = datetime.fromisoformat(local).replace(tzinfo=ZONE).astimezone(UTC)
    expected = None if ends is None else datetime.fromisoformat(ends).replace(tzinfo=ZONE)
    assert quiet_ends(receiver(quiet=NIGHT), at, ZONE) == expected


def test_in_quiet_hours_smoke_waits_and_fire_does_not() -> None:
    night = datetime(2026, 11, 22, 23, 0, tzinfo=ZONE)
    morning = datetime(2026, 11, 23, 7, 0, tzinfo=ZONE)
    quiet = receiver(quiet=NIGHT)
    assert steps([waiting(1)], None, quiet, night, ZONE) == [Hold((1,), morning, "quiet_hours")]
    assert steps([waiting(1), waiting(2, "upgraded", "fire")], None, quiet, night, ZONE) == [Send(1, (2,))]
    assert steps([waiting(1, "opened", "fire")], None, quiet, night, ZONE) == [Send(1, ())]


times = st.times(min_value=time(0, 0), max_value=time(23, 59))


@given(
    begins=times,
    ends=times,
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
    zone=st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York"]),
)
def test_quiet_hours_end_within_a_day_and_are_over_at_their_end(
    begins: time, ends: time, at: datetime, zone: str
) -> None:
    quiet = receiver(quiet=(begins, ends))
    over = quiet_ends(quiet, at, ZoneInfo(zone))
    if over is None:
        return
    # 25 h: the day on which clocks go back.
    assert at < over <= at + timedelta(hours=25)
    assert over.astimezone(ZoneInfo(zone)).time().replace(fold=0) == ends or zone != "Asia/Shanghai"
    assert quiet_ends(quiet, over, ZoneInfo(zone)) is None


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["opened", "quiet", "closed", "upgraded", "reviewed", "reopened"]),
            st.sampled_from(["smoke", "fire"]),
            st.integers(0, 2),
            st.floats(-100, 100),
        ),
        min_size=1,
        max_size=8,
    ),
    told_s=st.none() | st.floats(0, 1000),
    is_night=st.booleans(),
)
def test_nothing_is_left_out_and_nothing_goes_twice(
    rows: list[tuple[str, str, int, float]], told_s: float | None, is_night: bool
) -> None:
    held = [waiting(n, t, c, attempts=a, due_s=d) for n, (t, c, a, d) in enumerate(rows, 1)]
    told_at = None if told_s is None else AT - timedelta(seconds=told_s)
    quiet = (time(9, 0), time(10, 0)) if is_night else None
    todo = steps(held, told_at, receiver(quiet=quiet), AT, ZONE)
    named = [n for s in todo for n in ((s.id, *s.joined) if isinstance(s, Send) else s.ids)]
    not_due = {w.id for w in held if w.attempts and w.next_try_at > AT}
    assert sorted(named) == sorted({w.id for w in held} - not_due)
    assert all(s.until > AT for s in todo if isinstance(s, Hold))
    # What was tried goes as it was: nothing joins it.
    tried = {w.id for w in held if w.attempts}
    assert all(not s.joined for s in todo if isinstance(s, Send) and s.id in tried)


@given(
    gaps=st.lists(st.floats(0, 90), min_size=1, max_size=150), per_minute=st.sampled_from([1, 2, 4, 20, 60])
)
def test_no_minute_sees_more_messages_than_the_robot_takes(gaps: list[float], per_minute: int) -> None:
    at, bucket = AT, receiver(per_minute=per_minute, tokens=max(1.0, per_minute / 4))
    sent: list[datetime] = []
    for gap in gaps:
        at += timedelta(seconds=gap)
        while (left := tokens_at(bucket, at)) >= 1:
            bucket = receiver(per_minute=per_minute, tokens=left - 1, tokens_since=at)
            sent.append(at)
    for first in sent:
        within = [s for s in sent if first <= s < first + timedelta(seconds=60)]
        assert len(within) <= per_minute


@given(attempts=st.integers(1, 1000), seed=st.integers(0, 99))
def test_pauses_grow_up_to_a_bound(attempts: int, seed: int) -> None:
    config = TellingConfig(retry_first_s=2, retry_most_s=900)
    pause = pause_s(attempts, config.retry_most_s, config, random.Random(seed))
    whole = min(900.0, 2.0 * 2 ** (min(attempts, 20) - 1))
    assert whole / 2 <= pause <= whole


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("Sun, 22 Nov 2026 01:31:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 01:29:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        (None, None),
        ("99999999999999999999", 86_400.0),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, AT) == seconds
