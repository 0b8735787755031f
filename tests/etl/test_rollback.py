"""An import taken back leaves the register as it was before it; what cannot be taken back is said and left."""

import pytest
from district import TOWN_A, District, counts, fetch

from etl.rollback import roll_back
from geoapp.database.connection import connect
from geoapp.errors import Refused

REGISTER = (
    "SELECT to_jsonb(u) - 'version' - 'geom_3857' || jsonb_build_object('geom', u.geom::text) AS row FROM territory.unit AS u"
    " UNION ALL SELECT to_jsonb(s) - 'geom_3857' || jsonb_build_object('geom', s.geom::text) FROM registry.site AS s ORDER BY 1"
)


@pytest.fixture
def district(tmp_path):
    return District(tmp_path).towns()


def last_load(url):
    return fetch(url, "SELECT max(id) AS id FROM staging.load")[0]["id"]


def test_what_came_is_deleted_and_what_changed_is_as_before(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 200, 100)]).load(empty_url)
    before = fetch(empty_url, REGISTER)
    district.sites([("S1", "甲厂改名", 100, 100), ("S2", "乙厂", 260, 100), ("S3", "丙厂", 300, 100)])
    _, sites = district.load(empty_url)
    assert (sites.new, sites.changed, sites.moved) == (1, 2, 1)
    assert fetch(empty_url, REGISTER) != before
    (taken,) = roll_back(empty_url, batch_id=sites.batch_id, by="li.wei")
    assert (taken.deleted, taken.restored) == (1, 2)
    assert fetch(empty_url, REGISTER) == before
    (batch,) = fetch(empty_url, "SELECT * FROM staging.batch WHERE id = %s", sites.batch_id)
    assert batch["rolled_back_by"] == "li.wei"
    with pytest.raises(Refused, match="already"):
        roll_back(empty_url, batch_id=sites.batch_id, by="li.wei")
    # the file comes again: it is compared with what is stored now
    _, again = district.load(empty_url)
    assert (again.new, again.changed) == (1, 2)


def test_a_whole_run_goes_and_leaves_an_empty_city(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100)]).load(empty_url)
    taken = roll_back(empty_url, load_id=last_load(empty_url), by="x")
    assert [one.section for one in taken] == ["sites", "units"]
    assert fetch(empty_url, "SELECT FROM registry.site") == []
    (county,) = fetch(empty_url, "SELECT code, geom FROM territory.unit")
    assert (county["code"], county["geom"]) == ("310116000000", None)
    (run,) = fetch(empty_url, "SELECT state FROM staging.load")
    assert run["state"] == "rolled_back"
    assert [counts(r) for r in district.load(empty_url)] == [(2, 2, 0, 0, 0), (1, 1, 0, 0, 0)]


def test_a_later_import_has_to_go_first(empty_url, district):
    _, first = district.sites([("S1", "甲厂", 100, 100)]).load(empty_url)
    _, second = district.sites([("S1", "乙厂", 100, 100)]).load(empty_url)
    with pytest.raises(Refused, match=str(second.batch_id)):
        roll_back(empty_url, batch_id=first.batch_id, by="x")
    roll_back(empty_url, batch_id=second.batch_id, by="x")
    roll_back(empty_url, batch_id=first.batch_id, by="x")
    assert fetch(empty_url, "SELECT FROM registry.site") == []


def test_what_is_in_use_stays_whole(empty_url, district):
    _, sites = district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 200, 100)]).load(empty_url)
    with connect(empty_url) as connection:
        connection.execute(
            "INSERT INTO inspection.visit (site_id, kind, done_at, outcome)"
            " SELECT id, 'patrol', now(), 'ok' FROM registry.site WHERE local_id = 'S1'"
        )
    with pytest.raises(Refused, match="in use"):
        roll_back(empty_url, batch_id=sites.batch_id, by="x")
    assert len(fetch(empty_url, "SELECT FROM registry.site")) == 2
    with pytest.raises(Refused, match="in use"):  # sites stand in the towns
        roll_back(empty_url, batch_id=sites.batch_id - 1, by="x")


def test_a_persons_change_is_not_lost_in_silence(empty_url, district):
    _, sites = district.sites([("S1", "甲厂", 100, 100)]).load(empty_url)
    with connect(empty_url) as connection:
        connection.execute("UPDATE registry.site SET name_zh = '人改的名' WHERE local_id = 'S1'")
    with pytest.raises(Refused, match="--force"):
        roll_back(empty_url, batch_id=sites.batch_id, by="x")
    assert fetch(empty_url, "SELECT name_zh FROM registry.site")[0]["name_zh"] == "人改的名"
    roll_back(empty_url, batch_id=sites.batch_id, by="x", force=True)
    assert fetch(empty_url, "SELECT FROM registry.site") == []


def test_retired_rows_are_in_use_again(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 200, 100)]).load(empty_url)
    district.sites([("S1", "甲厂", 100, 100)])
    district.sections["sites"]["gone"] = "retire"
    _, sites = district.load(empty_url)
    assert sites.gone == 1
    assert [
        r["local_id"]
        for r in fetch(empty_url, "SELECT local_id FROM registry.site WHERE active_to IS NOT NULL")
    ] == ["S2"]
    roll_back(empty_url, batch_id=sites.batch_id, by="x")
    assert fetch(empty_url, "SELECT FROM registry.site WHERE active_to IS NOT NULL") == []


def test_there_is_no_such_batch(empty_url):
    with pytest.raises(Refused, match="no import 99"):
        roll_back(empty_url, batch_id=99, by="x")


def test_the_audit_has_one_record_of_it(empty_url, district):
    _, sites = district.sites([("S1", "甲厂", 100, 100)]).load(empty_url)
    roll_back(empty_url, batch_id=sites.batch_id, by="x")
    rows = fetch(empty_url, "SELECT subject_id, detail FROM access.audit WHERE action = 'rollback'")
    assert [(r["subject_id"], r["detail"]["deleted"]) for r in rows] == [(str(sites.batch_id), 1)]
    assert TOWN_A
