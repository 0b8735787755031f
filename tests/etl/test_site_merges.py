"""Two sites that may be one: an admin decides, what hangs on them follows, and later imports know of it."""

import psycopg
import pytest
from district import TOWN_A, District, codes, counts, fetch

from geoapp.access.accounts import add_account
from geoapp.database.connection import connect

REFERENCES = (
    "SELECT conrelid::regclass::text AS name FROM pg_constraint WHERE contype = 'f' AND confrelid = 'registry.site'::regclass"
    " AND conparentid = 0 ORDER BY 1"
)


@pytest.fixture
def doubles(empty_url, tmp_path):
    """S1 (no credit code) and S2 (with one), of one name and address; one proposal."""
    district = District(tmp_path).towns()
    rows = [
        ("S1", "一厂", 100, 100, "工业路1号", "", "30"),
        ("S2", "一厂", 110, 100, "工业路1号", "91310116MA1J8ABC5F", ""),
        ("S3", "二厂", 500, 500, "工业路9号", "", ""),
    ]
    district.sites(rows, 地址="address", 代码="uscc", 人数="people")
    district.load(empty_url)
    with connect(empty_url) as owner:
        for login, role in (("boss", "admin"), ("looker", "committee")):
            add_account(owner, login, login, [role])
        first, second = (
            owner.execute("SELECT id FROM registry.site WHERE local_id = %s", (key,)).fetchone()["id"]
            for key in ("S1", "S2")
        )
    return district, empty_url, first, second


def decide(url, login, statement, *values, reason="同一家"):
    with connect(url) as connection:
        role = connection.execute("SELECT db_role FROM access.account WHERE login = %s", (login,)).fetchone()
        connection.execute("SELECT set_config('geoapp.reason', %s, true)", (reason,))
        connection.execute(f'SET LOCAL ROLE "{role["db_role"]}"'.encode())
        return connection.execute(statement.encode(), values).fetchone()


def hang_something_on(url, site):
    """A row in each table that refers to a site, but for the pairs."""
    with connect(url) as owner:
        polygon = "ST_Expand(s.geom, 20)"
        for statement in (
            f"INSERT INTO registry.key_risk_area (code, site_id, name_zh, kind, level, geom) SELECT 'K1', s.id, '罐区', 'tank', 'red', {polygon} FROM registry.site AS s WHERE s.id = %s",
            "INSERT INTO registry.camera (gb_id, name_zh, site_id, geom) SELECT '31011601001320000001', '枪机', s.id, s.geom FROM registry.site AS s WHERE s.id = %s",
            "INSERT INTO registry.certificate (site_id, holder_name, holder_hash, certificate_hash, job_class, issuer_family, issued_on, valid_to)"
            " VALUES (%s, '王', 'h', 'c', '焊接', 'MEM', '2025-01-01', '2031-01-01')",
            "INSERT INTO registry.hot_work_permit (permit_no, site_id, level, geom, starts_at, ends_at, status)"
            f" SELECT 'P1', s.id, 'first', {polygon}, '2026-01-01', '2026-01-02', 'approved' FROM registry.site AS s WHERE s.id = %s",
            "INSERT INTO inspection.visit (site_id, kind, done_at, outcome) VALUES (%s, 'patrol', '2026-01-01', 'ok')",
            "INSERT INTO inspection.hazard (site_id, class, title_zh, title_en, found_at, found_by, deadline, state)"
            " VALUES (%s, 'general', '通道堵塞', 'Blocked', '2026-01-01', 'patrol', '2026-02-01', 'found')",
        ):
            owner.execute(statement.encode(), (site,))
        add_account(owner, "firm", "企业", ["enterprise"], sites=[site])


def test_what_hangs_on_a_merged_site_follows(doubles):
    _, url, keep, gone = doubles
    hang_something_on(url, gone)
    before = fetch(url, "SELECT to_jsonb(s) AS row FROM registry.site AS s WHERE id = %s", gone)[0]["row"]
    moved = decide(url, "boss", "SELECT registry.merge_sites(%s, %s) AS n", keep, gone)
    assert moved["n"] == 6
    tables = [row["name"] for row in fetch(url, REFERENCES)]
    assert len(tables) == 11
    for table in tables:
        if table not in ("registry.site_merge", "watch.incident"):
            (held,) = fetch(url, f"SELECT count(*) AS n FROM {table} WHERE site_id = %s", keep)
            assert held["n"] == 1, table
    assert fetch(url, "SELECT FROM registry.site WHERE id = %s", gone) == []
    (site,) = fetch(url, "SELECT local_id, uscc, people FROM registry.site WHERE id = %s", keep)
    assert site == {"local_id": "S1", "uscc": before["uscc"], "people": 30}
    (alias,) = fetch(url, "SELECT site_id, uscc, local_id, merged_by FROM registry.site_alias")
    assert alias == {"site_id": keep, "uscc": before["uscc"], "local_id": "S2", "merged_by": "boss"}
    # both rows are in the audit, in the admin's name, with the reason
    records = fetch(
        url,
        "SELECT action, subject_id, before, after, reason, login FROM access.audit WHERE subject = 'registry.site' AND login = 'boss' ORDER BY id",
    )
    assert [(r["action"], r["subject_id"]) for r in records] == [("delete", str(gone)), ("update", str(keep))]
    assert {r["reason"] for r in records} == {"同一家"}
    assert {k: records[0]["before"][k] for k in ("uscc", "local_id", "name_zh")} == {
        k: before[k] for k in ("uscc", "local_id", "name_zh")
    }
    assert (records[1]["before"]["uscc"], records[1]["after"]["uscc"]) == (None, before["uscc"])


def test_a_later_import_knows_of_it_and_changes_nothing(doubles):
    district, url, keep, gone = doubles
    decide(url, "boss", "SELECT registry.merge_sites(%s, %s)", keep, gone)
    for _ in range(2):
        _, sites = district.load(url)
        assert counts(sites) == (3, 0, 2, 0, 1)
        assert codes(sites) == {3: ["merged_site"]}
        assert sites.gone == 0
    assert len(fetch(url, "SELECT FROM registry.site")) == 2


def test_the_other_way_round_keeps_the_other_one(doubles):
    district, url, other, keep = doubles
    decide(url, "boss", "SELECT registry.merge_sites(%s, %s)", keep, other)
    (site,) = fetch(url, "SELECT local_id, people FROM registry.site WHERE id = %s", keep)
    assert site == {"local_id": "S2", "people": 30}  # filled from the other
    _, sites = district.load(url)
    assert codes(sites) == {2: ["merged_site"]}


def test_a_third_double_is_asked_for_with_the_one_that_is_kept(doubles):
    _, url, keep, gone = doubles
    with connect(url) as owner:
        owner.execute(
            "INSERT INTO registry.site (local_id, name_zh, address, geom, town_code)"
            " SELECT 'S4', name_zh, address, geom, town_code FROM registry.site WHERE id = %s",
            (gone,),
        )
        (third,) = owner.execute("SELECT id FROM registry.site WHERE local_id = 'S4'").fetchall()
        owner.execute(
            "INSERT INTO registry.site_merge (site_id, other_id, distance_m) VALUES (%s, %s, 0)",
            (gone, third["id"]),
        )
    decide(url, "boss", "SELECT registry.merge_sites(%s, %s)", keep, gone)
    (pair,) = fetch(url, "SELECT site_id, other_id, round(distance_m) AS m FROM registry.site_merge")
    assert pair == {"site_id": keep, "other_id": third["id"], "m": 10}
    decide(url, "boss", "SELECT registry.merge_sites(%s, %s)", third["id"], keep)
    aliases = fetch(url, "SELECT site_id, local_id FROM registry.site_alias ORDER BY local_id")
    assert aliases == [{"site_id": third["id"], "local_id": key} for key in ("S1", "S2")]


def test_two_that_are_two_stay_and_are_not_asked_for_again(doubles):
    district, url, first, second = doubles
    decide(url, "boss", "SELECT registry.keep_sites_apart(%s, %s)", second, first)
    (pair,) = fetch(url, "SELECT state, decided_by FROM registry.site_merge")
    assert pair == {"state": "apart", "decided_by": "boss"}
    (record,) = fetch(url, "SELECT before, after FROM access.audit WHERE subject = 'registry.site_merge'")
    assert (record["before"]["state"], record["after"]["state"]) == ("proposed", "apart")
    _, sites = district.load(url)
    assert counts(sites) == (3, 0, 3, 0, 0)
    assert len(fetch(url, "SELECT FROM registry.site_merge")) == 1
    with pytest.raises(psycopg.errors.NoDataFound):
        decide(url, "boss", "SELECT registry.merge_sites(%s, %s)", first, second)


def test_who_is_no_admin_decides_nothing_and_nobody_what_was_not_proposed(doubles):
    _, url, first, second = doubles
    for statement in ("SELECT registry.merge_sites(%s, %s)", "SELECT registry.keep_sites_apart(%s, %s)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            decide(url, "looker", statement, first, second)
    for pair in ((first, first), (first, first + 999)):
        with pytest.raises(psycopg.errors.NoDataFound):
            decide(url, "boss", "SELECT registry.merge_sites(%s, %s)", *pair)
    with connect(url) as owner:
        owner.execute("SELECT pg_advisory_xact_lock(748116312)")  # as an import holds it
        with pytest.raises(psycopg.errors.LockNotAvailable):
            decide(url, "boss", "SELECT registry.merge_sites(%s, %s)", first, second)
    assert len(fetch(url, "SELECT FROM registry.site WHERE town_code = %s", TOWN_A)) == 3
