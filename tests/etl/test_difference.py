"""A changed file says first what it would do: new, changed, moved more than 5 m, gone."""

import pytest
from district import District, counts, fetch


@pytest.fixture
def district(tmp_path):
    return District(tmp_path).towns()


def keys(result, kind):
    return [row["local_id"] for row in result.difference.get(kind, [])]


def test_a_dry_run_shows_the_difference_and_stores_nothing(empty_url, district):
    district.sites(
        [
            ("S1", "甲厂", 100, 100),
            ("S2", "乙厂", 200, 100),
            ("S3", "丙厂", 300, 100),
            ("S4", "丁厂", 400, 100),
        ]
    )
    district.load(empty_url)
    stored = fetch(empty_url, "SELECT s::text AS row FROM registry.site AS s ORDER BY 1")
    district.sites(
        [
            ("S1", "甲厂", 104, 100),
            ("S2", "乙厂", 206, 100),
            ("S3", "丙厂", 300, 100),
            ("S5", "戊厂", 500, 100),
        ]
    )
    _, sites = district.load(empty_url, dry_run=True)
    assert counts(sites) == (4, 3, 1, 0, 0)
    assert (sites.new, sites.changed, sites.moved, sites.gone) == (1, 2, 1, 1)
    assert (keys(sites, "new"), keys(sites, "changed"), keys(sites, "moved"), keys(sites, "gone")) == (
        ["S5"], ["S1"], ["S2"], ["S4"],
    )  # fmt: skip
    assert fetch(empty_url, "SELECT s::text AS row FROM registry.site AS s ORDER BY 1") == stored
    _, done = district.load(empty_url)
    assert counts(done) == counts(sites)
    assert {r["local_id"] for r in fetch(empty_url, "SELECT local_id FROM registry.site")} == {
        "S1",
        "S2",
        "S3",
        "S4",
        "S5",
    }


def test_the_same_place_with_other_digits_is_no_change(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100)]).load(empty_url)
    district.sites([("S1", "甲厂", 100.0003, 100)])
    _, sites = district.load(empty_url)
    assert counts(sites) == (1, 0, 1, 0, 0)


def test_a_row_with_a_fault_is_not_gone(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 200, 100)]).load(empty_url)
    district.sites([("S1", "甲厂", 100, 100), ("S2", "", 200, 100)])
    _, sites = district.load(empty_url)
    assert (counts(sites), sites.gone) == ((2, 0, 1, 0, 1), 0)


def test_files_do_not_make_each_others_rows_gone(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100)])
    one = dict(district.sections["sites"])
    district.sites([("S2", "乙厂", 200, 100)], name="more.csv")
    district.sections["sites"] = [one, district.sections["sites"]]
    district.load(empty_url)
    again = district.load(empty_url)
    assert [r.gone for r in again] == [0, 0, 0]


def test_the_parts_of_one_file_do_not_either(empty_url, district):
    rows = [("S1", "甲厂", 100, 100, "a"), ("S2", "乙厂", 200, 100, "b")]
    district.sites(rows, 类=("kind"))
    part = district.sections["sites"]
    part["columns"] = {k: v for k, v in part["columns"].items() if k != "kind"}
    district.sections["sites"] = [part | {"where": {"类": "a"}}, part | {"where": {"类": "b"}}]
    district.load(empty_url)
    assert [r.gone for r in district.load(empty_url)] == [0, 0, 0]


def test_retired_rows_end_with_the_day_of_the_import(empty_url, district):
    from datetime import UTC, date, datetime

    district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 200, 100)]).load(empty_url)
    district.sites([("S1", "甲厂", 100, 100)])
    district.sections["sites"]["gone"] = "retire"
    late = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)  # the 23rd in the city
    _, sites = district.load(empty_url, moment=late)
    assert sites.gone == 1
    ended = fetch(empty_url, "SELECT local_id, active_to FROM registry.site WHERE active_to IS NOT NULL")
    assert ended == [{"local_id": "S2", "active_to": date(2026, 11, 23)}]
    _, again = district.load(empty_url)
    assert (counts(again), again.gone) == ((1, 0, 1, 0, 0), 0)
