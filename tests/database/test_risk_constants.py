"""Constants with their history: a past day's score stays as it was, and can be asked for by today's constants."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from small_town import add_site, small_town

from geoapp.database.cluster import PrivateCluster
from geoapp.errors import Refused
from layers.constants import constants_at, set_constants

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, datetime.now(UTC)) as connection:
        yield connection


def test_a_past_day_is_as_it_was(town: Connection) -> None:
    site = add_site(town, 600, 100)
    town.execute("UPDATE registry.site SET active_from = '2020-01-01'")

    def score(moment: datetime, constants: datetime | None = None) -> float:
        row = town.execute(
            "SELECT score FROM analysis.risk_site_at(%s, constants => %s) WHERE site_id = %s",
            (moment, constants, site),
        ).fetchone()
        assert row is not None
        return float(row["score"])

    yesterday, before = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC)
    was = score(yesterday)
    [done] = set_constants(town, ["risk_h_yellow=0.9"], "专家组意见")
    assert done == {"name": "risk_h_yellow", "before": 0.5, "after": 0.9}
    now = datetime.now(UTC)
    assert score(now) > was + 5
    assert score(yesterday) == pytest.approx(was)
    # By today's constants the past day has today's score: nothing else changed.
    assert score(yesterday, now) == pytest.approx(score(now), abs=0.01)
    [held] = constants_at(town, now, "risk_h_yellow")
    assert (held["value"], held["reason"]) == (0.9, "专家组意见")
    assert held["valid_from"] > before
    [then] = constants_at(town, yesterday, "risk_h_yellow")
    assert (then["value"], then["valid_from"]) == (0.5, None)
    noted = town.execute(
        "SELECT reason, before, after FROM access.audit WHERE subject = 'analysis.parameter' AND subject_id = 'risk_h_yellow' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    assert noted is not None
    assert (noted["reason"], noted["before"]["value"], noted["after"]["value"]) == ("专家组意见", 0.5, 0.9)
    json.dumps(constants_at(town, now), default=str)


@pytest.mark.parametrize(("setting", "reason", "said"), [
    ("risk_h_yellow=0.6", " ", "--reason"), ("risk_h_yellow", "x", "name=number"), ("risk_h_yellow=much", "x", "name=number"),
    ("risk_h_yellow=nan", "x", "name=number"), ("risk_h_yellow=-1", "x", "cannot be"), ("risk_raw_scale=0", "x", "cannot be"),
    ("risk_h_green=1", "x", "no constant"),
])  # fmt: skip
def test_a_value_that_no_formula_can_use_is_refused(
    town: Connection, setting: str, reason: str, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        set_constants(town, ["risk_w_general=3", setting], reason)
    assert town.execute("SELECT value FROM analysis.parameter WHERE name = 'risk_w_general'").fetchone() == {
        "value": 2
    }
