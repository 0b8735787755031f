"""Every section of the contract at once: each row lands where it belongs, and the same again changes nothing."""

import os
import subprocess

import psycopg
import pytest
from clones import clone, drop
from whole_district import CELLS, SIDE, TOWN_A, TOWN_B, X0, WholeDistrict, id_number

from etl.manifest import LOADABLE
from geoapp.database.cluster import DATABASE, find_server
from geoapp.database.connection import connect
from geoapp.settings import settings


def fetch(url, query, *values):
    with connect(url) as connection:
        return connection.execute(query, values).fetchall()


@pytest.fixture(scope="module")
def district(tmp_path_factory):
    return WholeDistrict(tmp_path_factory.mktemp("files")).everything()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A key file of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOAPP_KEY_FILE", str(tmp_path_factory.mktemp("home") / "installation.key"))
        settings.cache_clear()
        yield
    settings.cache_clear()


@pytest.fixture(scope="module")
def loaded(cluster, district, home):
    """URL of a database that holds the district, with the results of the load."""
    name = clone(cluster, DATABASE)
    yield cluster.url(name), district.load(cluster.url(name))
    drop(cluster, name)


@pytest.fixture(scope="module")
def url(loaded):
    return loaded[0]


def test_all_sections_at_once_and_the_same_again_changes_nothing(loaded, district):
    url, first = loaded
    assert set(district.sections) == {kind.name for kind in LOADABLE} | {"city"}
    assert {r.section: r.rejected_rows for r in first if r.stored != r.rows_in} == {}
    versions = "SELECT layer, version FROM territory.layer_version ORDER BY layer"
    before = fetch(url, versions)
    second = district.load(url)
    assert {r.section: (r.new, r.changed) for r in second if r.unchanged != r.rows_in} == {}
    assert fetch(url, versions) == before
    assert fetch(url, "SELECT count(*) AS n FROM duty.person") == [{"n": 7}]


def test_a_dry_run_stores_nothing(empty_url, district, home):
    assert all(r.stored == r.rows_in for r in district.load(empty_url, dry_run=True))
    assert fetch(empty_url, "SELECT count(*) AS n FROM watch.reported_event") == [{"n": 0}]


def test_who_answers_is_what_the_lists_say(url):
    rows = fetch(
        url,
        "SELECT unit_code, rule_code, lead_code, person_name, person_phone, status FROM analysis.duty_matrix ORDER BY 1, 2",
    )
    answers = {(r["unit_code"], r["rule_code"]): tuple(r.values())[2:] for r in rows}
    county = "310116000000"
    assert answers[county, "R01"] == ("YJ", "张伟", "021-10000001", "confirmed")
    assert answers[TOWN_A, "R01"] == ("YJ", "张伟", "021-10000001", "confirmed")
    # The county's lead of homestays has no named person; town B leads its own.
    assert answers[TOWN_A, "R02"] == ("WL", None, None, "no_person")
    assert answers[TOWN_B, "R02"] == ("YJ", "李娜", "021-10000002", "confirmed")
    cells = fetch(url, "SELECT code, chief_name, worker_count FROM analysis.grid_cell ORDER BY code")
    assert [tuple(r.values()) for r in cells] == [
        (CELLS[0], "王芳", 1),
        (CELLS[1], None, 1),
        (CELLS[2], None, 0),
        (CELLS[3], None, 0),
    ]
    gaps = fetch(
        url,
        "SELECT kind, subject_id FROM analysis.duty_gap WHERE subject IN ('cell', 'unit') ORDER BY 1, 2",
    )
    assert [tuple(g.values()) for g in gaps] == [
        ("no_grid_worker", CELLS[2]),
        ("no_grid_worker", CELLS[3]),
        ("no_town_person", county),
    ]
    officer = fetch(url, "SELECT department_code, can_admin_inspect FROM duty.person WHERE name_zh = '周平'")
    assert officer == [{"department_code": "YJ", "can_admin_inspect": True}]


def test_checks_and_hazards_reach_the_sites(url):
    rows = fetch(
        url,
        "SELECT local_id, open_hazard_count, last_admin_inspection_at IS NOT NULL AS checked FROM analysis.site"
        " WHERE local_id IN ('S1', 'S2') ORDER BY 1",
    )
    # At S2 the door was closed: that is no check. Its hazard is closed.
    assert [tuple(r.values()) for r in rows] == [("S1", 1, True), ("S2", 0, False)]
    hazard = fetch(
        url,
        "SELECT class, found_by, state, deadline AT TIME ZONE 'Asia/Shanghai' AS until FROM inspection.hazard WHERE local_id = 'hazard/YH1'",
    )[0]
    assert (hazard["class"], hazard["found_by"], hazard["state"]) == ("major", "admin_inspection", "fixing")
    assert str(hazard["until"]) == "2026-11-30 23:59:59"  # the day of the deadline counts
    people = fetch(
        url,
        "SELECT DISTINCT p.name_zh FROM inspection.visit AS v JOIN duty.person AS p ON p.id = v.person_id",
    )
    assert people == [{"name_zh": "周平"}]


def test_a_permit_covers_its_circle_for_its_hours(url):
    permit = fetch(
        url,
        "SELECT level, status, ST_Area(geom) AS m2, ST_X(ST_Centroid(geom)) AS x, starts_at AT TIME ZONE 'UTC' AS from_utc"
        " FROM registry.hot_work_permit",
    )[0]
    assert (permit["level"], permit["status"]) == ("second", "approved")
    assert permit["m2"] == pytest.approx(3.14159 * 15**2, rel=0.01)
    assert permit["x"] == pytest.approx(X0 + 3010, abs=0.01)
    assert str(permit["from_utc"]) == "2026-11-22 00:00:00"


def test_places_have_town_and_cell(url):
    events = fetch(
        url,
        "SELECT kind, source, town_zh, cell_code FROM analysis.reported_event ORDER BY happened_at, id",
    )
    # Two alarms of the same minute at the same place, without ids, are two.
    assert [tuple(e.values()) for e in events] == [
        ("fire", "119", "甲镇", CELLS[1]),
        ("fire", "119", "甲镇", CELLS[1]),
        ("alarm", "119", "乙镇", CELLS[3]),
    ]
    buildings = fetch(
        url,
        "SELECT name_zh, use, floors, height_m, town_code, cell_code FROM territory.building ORDER BY id",
    )
    assert [tuple(b.values()) for b in buildings] == [
        ("一号楼", "住宅", 6, 18.5, TOWN_A, CELLS[1]),
        ("", "厂房", None, 9.0, TOWN_B, CELLS[3]),
    ]
    lines = fetch(
        url,
        "SELECT kind, name_zh, width_m, ST_Length(geom) AS m FROM territory.base_feature ORDER BY local_id",
    )
    assert ("main_road", "G320", 24.0) in [(r["kind"], r["name_zh"], r["width_m"]) for r in lines]
    assert {r["kind"] for r in lines} == {"main_road", "road", "river", "water"}
    assert max(r["m"] for r in lines) == pytest.approx(9500)  # kept whole over the border
    resource = fetch(url, "SELECT kind, name_zh, town_zh FROM analysis.resource")
    assert resource == [{"kind": "hydrant", "name_zh": "路口消火栓", "town_zh": "甲镇"}]
    assert fetch(
        url,
        "SELECT bool_and(ST_X(geom) BETWEEN %s AND %s) AS yes FROM watch.reported_event",
        X0,
        X0 + 2 * SIDE,
    )[0]["yes"]


def test_a_certificates_id_number_stands_nowhere(url, tmp_path):
    wrong = id_number(12)[:-1] + ("0" if id_number(12)[-1] != "0" else "1")
    row = {
        "site": "S3",
        "holder": "错号",
        "id_number": wrong,
        "job_class": "焊工",
        "issuer": "MEM",
        "issued_on": "2024-01-01",
        "valid_to": "2030-01-01",
    }
    district = WholeDistrict(tmp_path)
    district.table(
        "certificates",
        [{**row, "id_number": id_number(11), "holder": "吴工"}, {**row, "certificate_no": f"T{wrong}"}],
    )
    district.load(url)
    info = psycopg.conninfo.conninfo_to_dict(url)
    dump = subprocess.run(
        [find_server() / "pg_dump", "--data-only", "--dbname", url],
        capture_output=True, text=True, check=True, timeout=60, env={"PGPASSWORD": str(info["password"]), "PATH": os.environ["PATH"]},
    ).stdout  # fmt: skip
    assert "吴工" in dump
    assert "错号" in dump
    for number in (id_number(11), wrong):
        assert number not in dump
        assert number[:14] not in dump
