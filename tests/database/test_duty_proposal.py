"""analysis.duty_proposal: industries that wait, the nearest business with its reasons, and what a decision does."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from hypothesis import given
from hypothesis import strategies as st
from small_town import COUNTY, add_site, assign, small_town

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
RULES = (
    ("R10", "机械加工企业", "C13-C43", "YJ"),
    ("R11", "加油站", "F5265", "YJ"),
    ("R12", "物流园、仓储", "G59", "JT"),
    ("R13", "道路客运", "G541;G542", "JT"),
    ("R14", "快递、邮政", "G60", "YZ"),
    ("R15", "动火作业", "全行业", "YJ"),
    ("R16", "宠物医院", "", "NY"),
)


@pytest.fixture(scope="module")
def database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        for code, name in (("JT", "交通运输局"), ("YZ", "邮政管理局"), ("NY", "农业农村局")):
            connection.execute("INSERT INTO duty.department (code, name_zh) VALUES (%s, %s)", (code, name))
        connection.execute("DELETE FROM duty.rule")
        for rule in RULES:
            connection.execute(
                "INSERT INTO duty.rule (code, place_type_zh, place_type_en, category, gbt4754, lead_code)"
                " VALUES (%s, %s, '', 'x', %s, %s)",
                rule,
            )
        yield connection


@pytest.fixture
def town(database: Connection) -> Iterator[Connection]:
    with database.transaction(force_rollback=True):
        yield database


def waiting(connection: Connection, name: str, code: str = "") -> int:
    site = add_site(connection, 600, 100, rule=None)
    connection.execute(
        "UPDATE registry.site SET name_zh = %s, gbt4754 = %s WHERE id = %s", (name, code, site)
    )
    return site


def proposals(connection: Connection, industry: str) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT * FROM analysis.duty_proposal_at(%s) WHERE industry = %s ORDER BY place", (AS_OF, industry)
    ).fetchall()


@pytest.mark.parametrize(
    ("code", "rule", "score", "covered", "part"),
    [
        ("F5265", "R11", 1.0, True, "F5265"),
        ("F526", "R11", 0.9, False, "F526"),
        ("F5299", "R11", 0.8, False, "F52"),
        ("5265", "R11", 1.0, True, "F5265"),
        ("F5100", "R11", 0.3, False, "F"),
        ("C3361", "R10", 0.6, True, "C13-C43"),
        ("G5910", "R12", 0.8, True, "G59"),
        ("G5412", "R13", 0.9, True, "G541"),
        ("J6610", "R11", 0.0, False, None),
    ],
)
def test_what_two_codes_share(
    town: Connection, code: str, rule: str, score: float, covered: bool, part: str | None
) -> None:
    waiting(town, "某某站", code)
    industry = code if code[0].isalpha() else f"F{code}"
    found = {r["rule_code"]: r for r in proposals(town, industry)}
    if score == 0:
        assert rule not in found or found[rule]["code_score"] == 0
        return
    row = found[rule]
    assert (row["code_score"], row["is_covered"], row["shared_part"]) == (score, covered, part)
    assert row["place"] == 1


def test_the_nearest_business_of_a_new_trade_and_why(town: Connection) -> None:
    for number in range(3):
        waiting(town, f"样例甲乙{number}无人机物流有限公司", "G5623")
    rows = proposals(town, "G5623")
    assert [r["place"] for r in rows] == [1, 2, 3]
    assert all(r["site_count"] == 3 for r in rows)
    assert (rows[0]["industry_zh"], rows[0]["industry_en"]) == ("航空运输业", "Air transport")
    nearest = rows[0]
    # The section alone is shared (0.3); of 物流, 流园 the names hold one; two of the section's three rules are JT's.
    assert (nearest["rule_code"], nearest["department_code"], nearest["is_covered"]) == ("R12", "JT", False)
    assert (nearest["code_score"], nearest["words_score"], nearest["shared_words"]) == (0.3, 0.5, ["物流"])
    assert nearest["kin_score"] == pytest.approx(2 / 3)
    assert nearest["similarity"] == pytest.approx(0.5 * 0.3 + 0.3 * 0.5 + 0.2 * 2 / 3)
    assert rows[1]["rule_code"] == "R13"
    assert all(r["rule_code"] != "R15" for r in rows), "works of every trade are no business"


def test_without_a_code_the_words_decide(town: Connection) -> None:
    waiting(town, "样例康康宠物医院（甲镇12号）")
    rows = proposals(town, "医院")
    assert (rows[0]["rule_code"], rows[0]["similarity"], rows[0]["code_score"], rows[0]["kin_score"]) == (
        "R16",
        1.0,
        None,
        None,
    )
    waiting(town, "丙丁戊己庚")
    alone = proposals(town, "己庚")
    assert [(r["rule_code"], r["place"], r["site_count"]) for r in alone] == [(None, None, 1)], (
        "listed, though nothing is near"
    )


def decide(connection: Connection, industry: str, **given_: Any) -> dict[str, Any]:
    values = {
        "industry": industry, "existing_rule": None, "department": None, "place_type_zh": None, "place_type_en": None,
        "near_rule": None, "document_no": "金安委〔2026〕7号", "valid_from": "2026-11-01",
    } | given_  # fmt: skip
    row = connection.execute(
        "SELECT * FROM duty.designate(%(industry)s, %(existing_rule)s, %(department)s, %(place_type_zh)s, %(place_type_en)s,"
        " %(near_rule)s, %(document_no)s, %(valid_from)s)",
        values,
    ).fetchone()
    assert row is not None
    return row


def test_a_decision_makes_a_type_designates_its_lead_and_types_the_sites(town: Connection) -> None:
    sites = [waiting(town, "无人机起降场", "G5623") for _ in range(2)]
    other = waiting(town, "某站", "F5299")
    made = decide(town, "G5623", department="JT", place_type_zh="无人机起降场", near_rule="R12")
    assert made["site_count"] == 2
    rule = town.execute("SELECT * FROM duty.rule WHERE code = %s", (made["used_rule"],)).fetchone()
    assert rule is not None
    assert (rule["gbt4754"], rule["lead_code"], rule["category"]) == ("G5623", "JT", "emerging")
    assert "金安委〔2026〕7号" in rule["legal_basis_zh"]
    found = town.execute(
        "SELECT site_id, status, lead_code FROM analysis.duty_site_at(%s) ORDER BY 1", (AS_OF,)
    ).fetchall()
    assert [(r["site_id"], r["status"], r["lead_code"]) for r in found] == [
        (sites[0], "no_person", "JT"), (sites[1], "no_person", "JT"), (other, "missing", None),
    ]  # fmt: skip
    assert town.execute(
        "SELECT count(*) AS n FROM analysis.duty_site_at('2026-10-01') WHERE status = 'missing'"
    ).fetchone() == {"n": 3}
    # The next of that kind: what was decided is proposed first, and a second type for it is refused.
    waiting(town, "另一起降场", "G5623")
    again = proposals(town, "G5623")[0]
    assert (again["rule_code"], again["is_decided"], again["is_covered"]) == (made["used_rule"], True, True)
    assert (again["decided_document_no"], str(again["decided_on"])) == ("金安委〔2026〕7号", "2026-11-01")
    with pytest.raises(psycopg.errors.UniqueViolation), town.transaction():
        decide(town, "G5623", department="YZ", place_type_zh="又一类")
    assert decide(town, "G5623", existing_rule=made["used_rule"])["site_count"] == 1
    assert proposals(town, "G5623") == []


def test_a_decision_that_lacks_something_is_refused(town: Connection) -> None:
    for given_ in (
        {"department": "JT"},
        {"place_type_zh": "甲"},
        {"department": "JT", "place_type_zh": "甲", "existing_rule": "R12"},
        {"department": "JT", "place_type_zh": "甲", "document_no": " "},
        {"department": "JT", "place_type_zh": "甲", "valid_from": "1900-01-01"},
    ):
        with pytest.raises(psycopg.errors.CheckViolation), town.transaction():
            decide(town, "G5623", **given_)
    for given_ in ({"existing_rule": "R99"}, {"department": "ZZ", "place_type_zh": "甲"}):
        with pytest.raises(psycopg.errors.ForeignKeyViolation), town.transaction():
            decide(town, "G5623", **given_)


def test_a_typed_site_does_not_wait(town: Connection) -> None:
    add_site(town, 600, 100, rule="R11")
    assign(town, "R11", COUNTY, "YJ", "proposed")
    assert town.execute("SELECT * FROM analysis.duty_proposal_at(%s)", (AS_OF,)).fetchall() == []


@given(phrase=st.text(alphabet="木业化工ab12、 （）", max_size=14))
def test_pairs_of_neighbours_as_python_makes_them(database: Connection, phrase: str) -> None:
    words = "".join(c if c not in "、 （）" else " " for c in phrase).split()
    expected = sorted({w[i : i + 2] for w in words for i in range(len(w) - 1)})
    row = database.execute("SELECT analysis.bigrams(%s) AS pairs", (phrase,)).fetchone()
    assert row is not None
    assert sorted(row["pairs"]) == expected
