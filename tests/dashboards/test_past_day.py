"""The day that the map speaks of: which moment a day is, what is refused, what was not known yet."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dash import html
from hypothesis import given
from hypothesis import strategies as st
from test_panels import words

from dashboards.day_bar import day_banner
from dashboards.past_day import PastDay, past_day

NOW = datetime(2026, 11, 28, 1, 30, tzinfo=UTC)
SHANGHAI = "Asia/Shanghai"
KNOWN = {
    "risk": datetime(2024, 5, 1, tzinfo=UTC),
    "coverage": datetime(2026, 11, 20, tzinfo=UTC),
    "duty": None,
}


@given(
    st.dates(date(1990, 1, 1), date(2026, 11, 26)),
    # Clocks that are moved at midnight, by half an hour, and not at all.
    st.sampled_from(
        [SHANGHAI, "Europe/Berlin", "America/Sao_Paulo", "Africa/Cairo", "Australia/Lord_Howe", "UTC"]
    ),
)
def test_a_day_is_its_last_second_on_the_citys_clock(day: date, zone: str) -> None:
    found = past_day(day.isoformat(), NOW, zone, {})
    assert found.as_of is not None
    there = ZoneInfo(zone)
    assert found.as_of.astimezone(there).date() == day
    assert (found.as_of.astimezone(UTC) + timedelta(seconds=1)).astimezone(there).date() == day + timedelta(
        days=1
    )


@pytest.mark.parametrize("text", ["", None, "2026-11-28"])
def test_today_is_now(text: str | None) -> None:
    assert past_day(text, NOW, SHANGHAI, KNOWN) == PastDay()


def test_the_date_line_is_the_citys() -> None:
    late = datetime(2026, 11, 27, 17, 0, tzinfo=UTC)
    assert past_day("2026-11-28", late, SHANGHAI, KNOWN) == PastDay(), "it is the 28th there already"
    assert past_day("2026-11-28", late, "UTC", KNOWN).refused == "day.future"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-11-29", "day.future"),
        ("9999-12-31", "day.future"),
        ("2026-02-30", "day.no_day"),
        ("gestern", "day.no_day"),
        ("'; DROP TABLE x", "day.no_day"),
    ],
)
def test_another_day_is_refused_with_words(text: str, why: str) -> None:
    found = past_day(text, NOW, SHANGHAI, KNOWN)
    assert (found.refused, found.as_of, found.day) == (why, None, "")
    for lang in ("zh", "en"):
        assert len(words(day_banner(found, lang))) > 10
    assert words(day_banner(found, "zh")) != words(day_banner(found, "en"))


def test_a_lens_without_a_record_by_then_is_not_known() -> None:
    later = past_day("2026-11-25", NOW, SHANGHAI, KNOWN)
    assert later.unknown == ("duty",)
    assert later.first == ""
    between = past_day("2025-03-01", NOW, SHANGHAI, KNOWN)
    assert between.unknown == ("coverage", "duty")
    before = past_day("2024-04-30", NOW, SHANGHAI, KNOWN)
    assert before.unknown == ("risk", "coverage", "duty")
    assert before.first == "2024-05-01"
    assert past_day("1970-01-01", NOW, SHANGHAI, dict.fromkeys(KNOWN)).unknown == tuple(KNOWN)
    assert past_day("0001-01-01", NOW, SHANGHAI, KNOWN).unknown == tuple(KNOWN)


def test_the_banner_says_which_day_and_leads_back() -> None:
    shown = day_banner(past_day("2025-03-01", NOW, SHANGHAI, KNOWN), "en")
    assert "2025-03-01 23:59:59" in words(shown)
    assert "Coverage, Duty" in words(shown)
    assert not shown.hidden
    assert [b for b in shown._traverse() if isinstance(b, html.Button)]
    assert day_banner(PastDay(), "en").hidden
