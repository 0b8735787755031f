"""What the other sections do not store, and why; what they store and point at; how an import changes and is taken back."""

import pytest
import shapely
import yaml
from clones import clone, drop
from whole_district import CELLS, TOWN_B, WholeDistrict, codes, degrees, id_number

import etl.load
from etl.load import open_store
from etl.manifest import load_manifest
from etl.rollback import roll_back
from geoapp.database.cluster import DATABASE
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings


def fetch(url, query, *values):
    with connect(url) as connection:
        return [tuple(row.values()) for row in connection.execute(query, values).fetchall()]


@pytest.fixture(scope="module")
def on_the_ground(cluster, tmp_path_factory):
    """Name of a database with the towns, cells, departments, rules and sites of the district."""
    name = clone(cluster, DATABASE)
    WholeDistrict(tmp_path_factory.mktemp("ground")).ground().load(cluster.url(name))
    yield name
    drop(cluster, name)


@pytest.fixture
def url(cluster, on_the_ground):
    name = clone(cluster, on_the_ground)
    yield cluster.url(name)
    drop(cluster, name)


@pytest.fixture
def district(tmp_path, monkeypatch):
    """A manifest of the city alone, to which a test adds a section."""
    monkeypatch.setenv("GEOAPP_KEY_FILE", str(tmp_path / "installation.key"))
    settings.cache_clear()
    yield WholeDistrict(tmp_path)
    settings.cache_clear()


def result(district, url, section, **options):
    return next(r for r in district.load(url, **options) if r.section == section)


def test_two_confirmed_leads_are_stored_warned_of_and_a_gap(url, district):
    lead = {"rule": "R01", "role": "牵头", "status": "已确认"}
    district.table(
        "assignments",
        [
            {**lead, "department": "YJ", "valid_from": "2024-01-01", "valid_to": ""},
            {**lead, "department": "ZJ", "valid_from": "2025-01-01", "valid_to": ""},
            {**lead, "department": "WL", "valid_from": "2020-01-01", "valid_to": "2024-01-01"},  # over before
            {**lead, "department": "WL", "valid_from": "2026-01-01", "valid_to": "", "rule": "R02"},
        ],
    )
    got = result(district, url, "assignments")
    assert (got.stored, got.rejected, got.warnings) == (4, 0, {"two_leads": 1})
    assert fetch(url, "SELECT row_no, reason_zh FROM staging.warning")[0][0] == 3
    status = "SELECT DISTINCT status FROM analysis.duty_matrix WHERE rule_code = 'R01'"
    assert fetch(url, status) == [("two_leads",)]
    # The same file again: the warning is about the rows, not about the day.
    again = result(district, url, "assignments")
    assert (again.unchanged, again.warnings) == (4, {"two_leads": 2})


def test_assignments_that_name_nothing_known(url, district):
    good = {"rule": "R01", "department": "YJ", "role": "牵头", "valid_from": "2024-01-01"}
    rows = [
        good,
        {**good, "rule": "R99"},
        {**good, "department": "交通局"},
        {**good, "unit": "丙镇"},
        {**good, "role": "旁听"},
        {**good, "valid_from": "2024-13-01"},
        {**good, "valid_from": "2024-02-01", "valid_to": "2023-01-01"},
        good,
    ]
    district.table("assignments", rows)
    got = result(district, url, "assignments")
    assert codes(got) == {
        3: ["unknown_rule"],
        4: ["unknown_department"],
        5: ["unknown_unit"],
        6: ["not_allowed"],
        7: ["not_a_date"],
        8: ["ends_before_it_starts"],
        9: ["duplicate_in_file"],
    }
    assert "lead 主管, co 配合" in got.rejected_rows[3]["reasons"][0]["zh"]
    # No document and no word of it: a proposal, which leaves the duty open.
    assert fetch(url, "SELECT status FROM duty.assignment") == [("proposed",)]
    assert any("拟定" in notice for notice in got.notices)


def test_an_assignment_written_by_hand_is_the_same_one(url, district):
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, valid_from)"
            " VALUES ('R01', '310116000000', 'YJ', 'lead', 'proposed', '2024-01-01')"
        )
    district.table(
        "assignments", [{"rule": "R01", "department": "YJ", "status": "已确认", "valid_from": "2024-01-01"}]
    )
    got = result(district, url, "assignments")
    assert (got.new, got.changed) == (0, 1)
    assert fetch(url, "SELECT status FROM duty.assignment") == [("confirmed",)]


def test_staff_rows_need_an_office_and_people_are_known_by_name_and_phone(url, district):
    chief = {"name": "王芳", "phone": "130 0000 0001", "cell": CELLS[0], "role": "网格长"}
    rows = [
        chief,
        {**chief, "cell": CELLS[1]},
        {"name": "王芳", "phone": "13000000009", "cell": CELLS[2], "role": "网格长"},  # another one
        {"name": "张伟", "unit": "东村", "role": "负责人"},
        {"name": "张伟", "unit": "西村", "role": "负责人"},  # without phones: one in each village
        {"name": "无处", "phone": "1"},
        {**chief, "cell": "310116101001199900"},
        {**chief, "role": "负责人"},
        {"name": "李娜", "unit": "甲镇"},
    ]
    district.table("staff", rows)
    got = result(district, url, "staff")
    assert codes(got) == {
        7: ["place_missing"],
        8: ["unknown_cell"],
        9: ["not_allowed"],
        10: ["value_missing"],
    }
    people = fetch(url, "SELECT name_zh, phone, unit_code FROM duty.person ORDER BY name_zh, phone")
    assert len(people) == 4
    assert people[2][:2] == ("王芳", "13000000001")
    chiefs = fetch(url, "SELECT cell_code, person_id FROM duty.grid_staff ORDER BY 1")
    assert chiefs[0][1] == chiefs[1][1] != chiefs[2][1]
    # The officer may inspect from now on: the row is changed, its office is not.
    rows[0]["can_admin_inspect"] = "是"
    district.table("staff", rows)
    again = result(district, url, "staff")
    assert (again.new, again.changed, again.unchanged) == (0, 2, 3)
    assert fetch(url, "SELECT count(*) FROM duty.person WHERE can_admin_inspect") == [(1,)]
    roll_back(url, batch_id=again.batch_id, by="test")
    assert fetch(url, "SELECT count(*) FROM duty.person WHERE can_admin_inspect") == [(0,)]
    roll_back(url, batch_id=got.batch_id, by="test")
    for table in ("person", "grid_staff", "unit_staff"):
        assert fetch(url, f"SELECT count(*) FROM duty.{table}") == [(0,)]


def test_certificates_say_what_is_wrong_without_the_number(url, district):
    right = id_number(21)
    good = {
        "site": "S3", "holder": "吴工", "id_number": right, "certificate_no": f"T{right}", "job_class": "焊工",
        "issuer": "应急管理局", "issued_on": "2024-01-01", "valid_to": "2030-01-01",
    }  # fmt: skip
    other = id_number(22)
    flipped = right[:-1] + ("1" if right[-1] != "1" else "2")
    rows = [
        good,
        {**good, "id_number": flipped},
        {**good, "id_number": right[:17]},
        {**good, "id_number": id_number(21, "31011619901301")},
        {**good, "certificate_no": f"T{other}", "job_class": "高处作业"},
        {**good, "site": "S9"},
        {**good, "issuer": "教育局"},
        {**good, "issuer": "住建", "certificate_no": ""},
        {**good, "valid_to": "2023-01-01"},
        {**good, "job_class": "潜水作业"},
        good,
    ]
    district.table("certificates", rows)
    got = result(district, url, "certificates")
    assert codes(got) == {
        3: ["id_number_invalid"],
        4: ["id_number_invalid"],
        5: ["id_number_invalid"],
        6: ["certificate_not_holders"],
        7: ["unknown_site"],
        8: ["not_allowed"],
        9: ["value_missing"],
        10: ["ends_before_it_starts"],
        12: ["duplicate_in_file"],
    }
    assert got.warnings == {"job_class_unlisted": 1}
    stored = fetch(
        url,
        "SELECT job_class, issuer_family, holder_hash, certificate_hash FROM registry.certificate ORDER BY id",
    )
    assert [(s[0], s[1]) for s in stored] == [("焊接与热切割作业", "MEM"), ("潜水作业", "MEM")]
    assert stored[0][2:] == stored[1][2:]
    kept = str(fetch(url, "SELECT columns, reason_zh, reason_en FROM staging.rejected"))
    for number in (right, flipped, other, right[:14]):
        assert number not in kept
    assert f"{right[:3]}***********{right[-4:]}" in kept  # enough to find the row again


def test_a_lost_key_file_is_refused_before_certificates_come_twice(url, district, tmp_path):
    row = {"site": "S3", "holder": "吴工", "id_number": id_number(21), "job_class": "焊工", "issuer": "MEM"}
    district.table("certificates", [{**row, "issued_on": "2024-01-01", "valid_to": "2030-01-01"}])
    assert result(district, url, "certificates").new == 1
    (tmp_path / "installation.key").unlink()
    with pytest.raises(Refused, match=r"installation\.key"):
        district.load(url)
    assert fetch(url, "SELECT count(*) FROM registry.certificate") == [(1,)]


def test_permits_by_area_by_point_and_by_their_site(url, district):
    good = {
        "permit_no": "P1",
        "site": "S3",
        "level": "一级",
        "starts_at": "2026-11-22 08:00",
        "ends_at": "2026-11-22 12:00",
    }
    rows = [
        good,
        {**good, "permit_no": "P2", "ends_at": "2026-11-23 12:00"},
        {**good, "permit_no": "P3", "ends_at": "2026-11-22 08:00"},
        {**good, "permit_no": "P4", "starts_at": "上午"},
        {**good, "permit_no": "P5", "level": "五级"},
        {**good, "permit_no": ""},
    ]
    district.table("permits", rows)
    got = result(district, url, "permits")
    assert codes(got) == {
        4: ["ends_before_it_starts"],
        5: ["not_a_time"],
        6: ["not_allowed"],
        7: ["key_missing"],
    }
    assert got.warnings == {"permit_too_long": 1}  # 28 h; a first-level permit may last 8
    around = "SELECT DISTINCT round(ST_Distance(ST_Centroid(p.geom), s.geom)) AS away, round(sqrt(ST_Area(p.geom) / pi()))"
    assert fetch(
        url, f"{around} FROM registry.hot_work_permit AS p JOIN registry.site AS s ON s.id = p.site_id"
    ) == [(0, 10)]
    area = shapely.box(3000, 3500, 3040, 3520)
    district.shapes("permits", {k: [v] for k, v in (good | {"permit_no": "P8"}).items()}, [area])
    assert result(district, url, "permits").new == 1
    assert fetch(url, "SELECT ST_Area(geom) FROM registry.hot_work_permit WHERE permit_no = 'P8'")[0][
        0
    ] == pytest.approx(800)


def test_hazards_whose_state_and_times_disagree(url, district):
    good = {
        "id": "1",
        "site": "S1",
        "class": "一般",
        "title": "堵塞",
        "found_at": "2026-11-01",
        "state": "整改中",
        "closed_at": "",
    }
    rows = [
        good,
        {**good, "id": "2", "state": "已销号"},
        {**good, "id": "3", "closed_at": "2026-11-03"},
        {**good, "id": "4", "state": "已销号", "closed_at": "2026-10-01"},
        {**good, "id": "5", "class": "特大"},
        {**good, "id": "6", "state": "", "closed_at": "2026-11-03"},
    ]
    district.table("hazards", rows)
    got = result(district, url, "hazards")
    assert codes(got) == {
        3: ["state_disagrees"],
        4: ["state_disagrees"],
        5: ["ends_before_it_starts"],
        6: ["not_allowed"],
    }
    states = fetch(url, "SELECT local_id, state, found_by FROM inspection.hazard ORDER BY 1")
    assert states == [("hazard/1", "fixing", "patrol"), ("hazard/6", "verified_closed", "patrol")]


def test_events_stream_in_chunks_and_repeats_keep_their_number(url, district, monkeypatch):
    monkeypatch.setattr(etl.load, "CHUNK_ROWS", 7)
    places = [(50.0 + 40 * (n % 3), 100.0, f"2017-01-01 0{n % 2}:00") for n in range(40)]
    rows = [dict(zip(("lon", "lat", "happened_at"), (*degrees(x, y), t), strict=True)) for x, y, t in places]
    outside = dict(zip(("lon", "lat", "happened_at"), (*degrees(-900, 0), "2017-01-01"), strict=True))
    district.table("events", [*rows, outside, {**rows[0], "happened_at": "昨天"}], kind="fire", source="119")
    got = result(district, url, "events")
    assert (got.rows_in, got.stored) == (42, 40)
    assert codes(got) == {42: ["outside_district"], 43: ["not_a_time"]}
    # Six different events, each as often as the file has it; the same file again is the same events.
    keys = fetch(
        url, "SELECT split_part(local_id, '-', 1) AS k, count(*) FROM watch.reported_event GROUP BY 1"
    )
    assert sorted(n for _, n in keys) == [6, 6, 7, 7, 7, 7]
    assert result(district, url, "events").unchanged == 40
    # One more of the first: one new row.
    district.table("events", [*rows, rows[0]], kind="fire", source="119")
    assert result(district, url, "events").new == 1


def test_events_of_a_foreign_city_in_geoparquet_style(empty_url, tmp_path):
    """Another continent's zone and clock, a table of Parquet with times in UTC, no outline of anything."""
    import pandas as pd

    frame = pd.DataFrame(
        {
            "Date": pd.to_datetime(["2017-01-01 06:00", "2017-01-01 06:00", "2017-07-04 12:30"], utc=True),
            "Latitude": [41.890751, 41.890751, 41.886147],
            "Longitude": [-87.716173, -87.716173, -87.624524],
        }
    )
    frame.to_parquet(tmp_path / "events.parquet")
    city = {
        "name_zh": "远城",
        "name_en": "Far",
        "code": "990001",
        "metric_srid": 26916,
        "timezone": "America/Chicago",
    }
    columns = {"happened_at": "Date", "lon": "Longitude", "lat": "Latitude"}
    away = WholeDistrict(tmp_path)
    away.sections = {
        "city": city,
        "events": {"file": "events.parquet", "frame": "wgs84", "kind": "other", "columns": columns},
    }
    path = tmp_path / "m.yaml"
    path.write_text(yaml.safe_dump(away.sections, allow_unicode=True), encoding="utf-8")
    with open_store(empty_url, load_manifest(path).city, dry_run=False) as store:
        assert result(away, store, "events").new == 3
        assert result(away, store, "events").unchanged == 3
        when = "SELECT to_char(happened_at AT TIME ZONE 'UTC', 'MM-DD HH24:MI') FROM analysis.reported_event ORDER BY id"
        assert fetch(store, when) == [("01-01 06:00",), ("01-01 06:00",), ("07-04 12:30",)]


def test_lines_of_unknown_kind_or_elsewhere_are_set_aside(url, district):
    district.shapes(
        "roads",
        {
            "id": ["1", "2", "3", "4"],
            "kind": ["高速公路", "运河", "支路", "支路"],
            "width_m": [25.0, None, None, -3.0],
        },
        [
            shapely.LineString([(0, 0), (100, 100)]),
            shapely.LineString([(0, 0), (100, 100)]),
            shapely.LineString([(-900, -900), (-800, -900)]),
            shapely.LineString([(0, 0), (0, 90)]),
        ],
    )
    got = result(district, url, "roads")
    assert codes(got) == {2: ["not_allowed"], 3: ["outside_district"], 4: ["out_of_range"]}
    assert fetch(url, "SELECT local_id, kind, width_m FROM territory.base_feature") == [
        ("roads/1", "motorway", 25.0)
    ]


def test_resources_of_a_kind_that_the_manifest_names(url, district):
    lon, lat = degrees(5000, 100)
    district.table(
        "resources",
        [{"id": "M1", "name": "西村微型消防站", "lon": lon, "lat": lat, "capacity": "6"}],
        kind="微型消防站",
    )
    result(district, url, "resources")
    assert fetch(url, "SELECT kind, capacity, town_code, cell_code FROM registry.resource") == [
        ("micro_fire_station", 6.0, TOWN_B, CELLS[3])
    ]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"events": {"file": "e.csv", "columns": {"happened_at": "t"}}}, "columns.kind"),
        ({"events": {"file": "e.csv", "kind": "洪水", "columns": {"happened_at": "t"}}}, "fire"),
        (
            {
                "hazards": {
                    "file": "h.csv",
                    "columns": {"site": "s", "class": "c", "title": "t", "found": "f"},
                }
            },
            "`found_by`",
        ),
        ({"staff": {"file": "s.csv", "columns": {"name": "n", "tel": "t"}}}, "columns.tel"),
        ({"certificates": {"file": "s.csv", "columns": {"site": "n"}}}, "id_number"),
    ],
)
def test_a_manifest_is_told_what_its_section_lacks(tmp_path, section, said):
    path = tmp_path / "m.yaml"
    path.write_text(
        yaml.safe_dump(
            {"city": {"name_zh": "试县", "name_en": "T", "code": "310116", "metric_srid": 4549}} | section
        )
    )
    with pytest.raises(Refused, match=said):
        load_manifest(path)


def test_duties_of_the_sample_city_are_not_overwritten(city_url, district):
    generated = "SELECT md5(string_agg(a::text, '' ORDER BY id)) FROM duty.assignment AS a WHERE is_generated"
    before = fetch(city_url, generated)
    held = fetch(
        city_url,
        "SELECT rule_code, department_code, role, valid_from::text FROM duty.assignment ORDER BY id LIMIT 1",
    )[0]
    row = dict(zip(("rule", "department", "role", "valid_from"), held, strict=True)) | {"status": "有争议"}
    staff = {
        "name": "王芳",
        "phone": "13000000001",
        "unit": "310116",
        "role": "安全员",
        "assigned_from": "2026-01-01",
    }
    district.sections["city"] |= {"name_zh": "金山区", "name_en": "Jinshan"}
    district.table("assignments", [row, {**row, "valid_from": "2026-01-01"}]).table("staff", [staff])
    assignments, people = district.load(city_url, into_sample=True)
    assert codes(assignments) == {2: ["held_by_sample"]}
    assert (assignments.new, people.new) == (1, 1)
    assert fetch(city_url, generated) == before
    for done in (people, assignments):
        roll_back(city_url, batch_id=done.batch_id, by="test")
    for table in ("person", "assignment", "unit_staff"):
        assert fetch(city_url, f"SELECT count(*) FROM duty.{table} WHERE NOT is_generated") == [(0,)]
