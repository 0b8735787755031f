"""When feeds are due: every so often, daily by the city's clock, sooner again after a failure."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from etl.feeds.schedule import first_due, late_after, next_due, parse_every, retry_due
from geoapp.errors import Refused

NIGHT = time(2, 30)


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("text", "every"),
    [
        ("15m", timedelta(minutes=15)),
        (" 1 h", timedelta(hours=1)),
        ("2d", timedelta(days=2)),
        ("02:30", NIGHT),
        ("2:30", NIGHT),
        ("23:59", time(23, 59)),
    ],
)
def test_ways_to_say_how_often(text, every):
    assert parse_every(text) == every


@pytest.mark.parametrize(
    "text", ["", "15", "0m", "30s", "24:00", "2:3", "-5m", "40d", "99999h", "daily", "１５m "]
)
def test_others_are_refused(text):
    if text == "１５m ":  # full-width digits are digits
        assert parse_every(text) == timedelta(minutes=15)
        return
    with pytest.raises(Refused, match="15m, 1h, 2d"):
        parse_every(text)


def test_daily_is_by_the_citys_clock():
    due = next_due(NIGHT, at("2026-11-22T01:30"), "Asia/Shanghai")
    assert due == at("2026-11-23T02:30", "Asia/Shanghai")
    assert next_due(NIGHT, due, "Asia/Shanghai") - due == timedelta(days=1)
    assert next_due(NIGHT, due - timedelta(seconds=1), "Asia/Shanghai") == due


def days(first, count, zone="Europe/Berlin", every=NIGHT):
    due, found = at(first, zone), []
    for _ in range(count):
        due = next_due(every, due, zone)
        found.append(due)
    return found


def test_where_clocks_go_forward_the_missing_time_is_after_the_gap():
    assert days("2026-03-27T12:00", 4) == [
        datetime(2026, 3, 28, 1, 30, tzinfo=UTC),
        datetime(2026, 3, 29, 1, 30, tzinfo=UTC),  # 03:30 in summer time: there is no 02:30
        datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
        datetime(2026, 3, 31, 0, 30, tzinfo=UTC),
    ]


def test_where_clocks_go_back_the_time_that_comes_twice_counts_once():
    assert days("2026-10-24T12:00", 3) == [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),  # the first 02:30; the second, at 01:30 UTC, is none
        datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
        datetime(2026, 10, 27, 1, 30, tzinfo=UTC),
    ]


def test_an_interval_is_due_at_once_and_a_daily_one_at_its_time():
    moment = at("2026-11-22T01:30")
    assert first_due(timedelta(hours=1), moment, "Asia/Shanghai") == moment
    assert first_due(NIGHT, moment, "Asia/Shanghai") == at("2026-11-22T18:30")


def test_pauses_after_failures_grow_and_never_go_past_the_regular_time():
    moment = at("2026-11-22T00:00")
    pauses = [
        (retry_due(NIGHT, moment, "Asia/Shanghai", n) - moment).total_seconds() / 60 for n in range(1, 10)
    ]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert retry_due(timedelta(minutes=5), moment, "UTC", 5000) == moment + timedelta(minutes=5)
    assert retry_due(NIGHT, at("2026-11-22T18:00"), "Asia/Shanghai", 9) == at("2026-11-22T18:30")


def test_from_which_age_data_are_late():
    assert late_after(timedelta(minutes=15)) == timedelta(minutes=30)
    assert late_after(NIGHT) == timedelta(hours=26)
