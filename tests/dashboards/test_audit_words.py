"""The audit in words: what was done to an account, and its fields and values, in both languages."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from screens import Site
from test_account_pages import numbers, records_of

import dashboards
from dashboards.audit_page import field_word, value_words
from dashboards.texts import catalogue
from geoapp.access.account_changes import change_account, disable, enable
from geoapp.access.accounts import add_account
from geoapp.database.connection import connect

TABLES = (
    "access.account",
    "access.account_area",
    "access.account_site",
    "access.token",
    "registry.site",
    "registry.onboarding_target",
    "watch.incident",
    "watch.incident_assignment",
    "watch.handover",
    "watch.handover_receipt",
    "watch.legal_hold",
    "watch.retention_policy",
    "watch.camera_mode",
    "watch.mask",
    "watch.receiver",
    "inspection.visit",
    "inspection.hazard",
    "territory.changeset",
    "duty.assignment",
    "duty.designation",
    "duty.rule",
)


def test_the_columns_of_the_tables_that_people_change_have_words(site: Site) -> None:
    with site.connect() as owner:
        rows = owner.execute(
            "SELECT a.attrelid::regclass::text AS subject, a.attname::text AS name FROM pg_attribute AS a"
            " WHERE a.attrelid = ANY (%s::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attname NOT LIKE '%%\\_3857'",
            (list(TABLES),),
        ).fetchall()
    assert len(rows) > 100
    assert not [r for r in rows if field_word(r["subject"], r["name"], "zh") is None]
    # The same name is another thing in another table; what nobody has named stays a column.
    assert field_word("watch.incident", "class", "en") == "Class"
    assert field_word("inspection.hazard", "class", "en") == "Grade"
    assert field_word("analysis.parameter", "value", "zh") is None


def test_what_was_done_to_an_account_reads_in_words(site: Site) -> None:
    people = site.people
    with connect(site.url) as owner:
        made = add_account(owner, "worded", "文", ["duty_officer"], areas=[people.town])
        towns = {
            r["code"]: r["name_en"]
            for r in owner.execute("SELECT code, name_en FROM territory.unit").fetchall()
        }
        firm = owner.execute("SELECT name_zh FROM registry.site WHERE id = %s", (people.own_site,)).fetchone()
        now = owner.execute("SELECT now() AS at").fetchone()
        assert firm is not None
        assert now is not None
    changes: dict[str, Any] = {
        "role_changed": {"roles": ["inspector"], "areas": [people.other_town]},
        "area_given": {"roles": ["enterprise"], "sites": [people.own_site]},
    }
    for change in changes.values():
        with connect(site.url) as owner:
            change_account(owner, made, **change)
    with connect(site.url) as owner:
        disable(owner, made, now["at"])
    with connect(site.url) as owner:
        enable(owner, made)

    admin = site.client("admin")
    shown = records_of(admin, f"?since=&text={made}")
    for words in (
        "Account added",
        "Role changed",
        "Area given",
        "Area taken",
        "Account disabled",
        "Account enabled",
    ):
        assert words in shown, words
    moved = records_of(admin, f"?since=&text={made}&action=role_changed&subject=access.account")
    assert '"children": "Role"' in moved
    assert '"Duty officer"' in moved
    assert '"Inspector"' in moved
    assert '"Enterprise"' in moved
    given = records_of(admin, f"?since=&text={made}&action=area_given")
    assert towns[people.other_town] in given
    assert firm["name_zh"] in given
    assert towns[people.other_town] in records_of(admin, f"?since=&text={made}&action=area_taken")


def test_a_token_is_named_with_whose_it_is(site: Site) -> None:
    admin, planner = site.client("admin"), site.people.ids["planner"]
    form = {"name": "月报", "scopes": "read", "days": "30", "reason": "新报表"}
    assert admin.post(f"/accounts/{planner}/token", data=form).status_code == 200
    shown = records_of(admin, "?since=&action=token_made&subject=access.token")
    assert "API token 月报 · planner" in shown
    # Whoever may read the record but not the token is not told whose it is.
    assert "API token 月报" not in records_of(site.client("committee"), "?since=&action=token_made")


@pytest.mark.parametrize(
    ("word", "column"), [("account_disabled", "disabled_at"), ("account_enabled", "disabled_at")]
)
def test_the_filter_finds_the_deed_and_the_bare_change(site: Site, word: str, column: str) -> None:
    admin, account = site.client("admin"), site.people.ids["neighbour"]
    for action in ("disable", "enable"):
        assert admin.post(f"/accounts/{account}/{action}", data={"reason": word}).status_code == 200
    by_word = numbers(records_of(admin, f"?since=&text={word}&action={word}"))
    by_change = numbers(records_of(admin, f"?since=&text={word}&action=update"))
    assert len(by_word) == 1
    assert len(by_change) == 2
    assert set(by_word) < set(by_change)
    with site.connect() as owner:
        row = owner.execute("SELECT after FROM access.audit WHERE id = %s", (by_word[0],)).fetchone()
    assert row is not None
    assert list(row["after"]) == [column]
    assert (json.dumps(row["after"][column]) == "null") == (word == "account_enabled")


# --- nothing on record without a word ----------------------------------------------------------------------------------

ROOT = Path(dashboards.__file__).parents[1]
# access.record('sign_out', 'session', …) in Python or SQL; record(connection, "backup", …), record_batch(…) in Python.
BY_SQL = re.compile(r"access\.(?:write_)?record\(\s*'([a-z_]+)'(?:,\s*'([a-z_.]+)')?")
BY_PYTHON = re.compile(r"\b_?record(?:_batch)?\(\s*[\w.]+,\s*\"([a-z_]+)\"(?:,\s*\"([a-z_.]+)\")?")
LATER_SUBJECT = re.compile(r"access\.(?:write_)?record\(\s*%s,\s*'([a-z_.]+)'")


def written_on_record() -> tuple[set[str], set[str]]:
    """Actions and subjects that the program's own texts write."""
    actions, subjects = set(), set()
    for room in ("geoapp", "etl", "layers", "detection", "dashboards", "sql"):
        for path in (ROOT / room).rglob("*"):
            if path.suffix not in (".py", ".sql") or path.name.endswith(".down.sql"):
                continue
            text = path.read_text(encoding="utf-8")
            for action, subject in BY_SQL.findall(text) + BY_PYTHON.findall(text):
                actions.add(action)
                subjects |= {subject} - {""}
            subjects |= set(LATER_SUBJECT.findall(text))
    return actions, subjects


def test_every_action_and_subject_on_record_has_words(site: Site) -> None:
    actions, subjects = written_on_record()
    assert {"look_at_evidence", "feed_add", "backup", "sign_out", "grid_propose"} <= actions, (
        "the search finds them"
    )
    assert {"staging.feed", "path", "session", "database"} <= subjects
    with site.connect() as owner:
        rows = owner.execute(
            "SELECT DISTINCT g.tgrelid::regclass::text AS name FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid"
            " JOIN pg_proc AS p ON p.oid = g.tgfoid WHERE p.pronamespace = 'access'::regnamespace AND p.proname LIKE 'audit%%row'"
            " AND NOT c.relispartition"
        ).fetchall()
    tables = {row["name"] for row in rows}
    assert {"watch.incident", "access.account", "watch.receiver"} <= tables
    nameless = {s for s in subjects | tables if f"audit_subject.{s.replace('.', '_', 1)}" not in catalogue()}
    wordless = {a for a in actions if f"audit_action.{a}" not in catalogue()}
    assert (nameless, wordless) == (set(), set())


def details_in_python() -> Iterator[str]:
    """Names in the details that Python writes: of a dictionary in a call of record(), or in what is called detail."""
    for room in ("geoapp", "etl", "layers", "detection", "dashboards"):
        for path in (ROOT / room).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            if "access.record" not in text and "record(" not in text and "record_batch(" not in text:
                continue
            for node in ast.walk(ast.parse(text)):
                parts: list[ast.expr] = []
                if isinstance(node, ast.Call):
                    called = (
                        node.func.attr
                        if isinstance(node.func, ast.Attribute)
                        else getattr(node.func, "id", "")
                    )
                    parts = node.args if called in ("record", "_record", "record_batch") else []
                elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                    names = {t.id for t in targets if isinstance(t, ast.Name)}
                    parts = [node.value] if "detail" in names else []
                for part in parts:
                    for inner in ast.walk(part):
                        if isinstance(inner, ast.Dict):
                            yield from (k.value for k in inner.keys if isinstance(k, ast.Constant))


def details_in_sql() -> Iterator[str]:
    """Names in the details that SQL writes, in its own files and in texts of Python."""
    record = re.compile(r"access\.(?:write_)?record(?:_export)?\([^;]*?jsonb_build_object\((.*?)\)", re.S)
    for room in ("geoapp", "etl", "layers", "detection", "dashboards", "sql"):
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".py", ".sql") and not path.name.endswith(".down.sql"):
                for made in record.findall(path.read_text(encoding="utf-8")):
                    yield from re.findall(r"'([a-z_0-9]+)',", made)


def test_every_detail_on_record_has_words(site: Site) -> None:
    names = {*details_in_python(), *details_in_sql()}
    assert {"every", "source", "cause", "file_sha256", "messages", "rows", "communities"} <= names
    with site.connect() as owner:
        written = owner.execute(
            "SELECT DISTINCT k AS name FROM access.audit AS a CROSS JOIN LATERAL jsonb_object_keys(a.detail) AS k"
        ).fetchall()
    names |= {r["name"] for r in written}
    assert "seed" in names, "the sample city is on record"
    assert not sorted(
        n for n in names if not any(field_word(s, n, "en") for s in ("", "watch.evidence", "watch.receiver"))
    )


def test_the_sample_city_is_on_record_in_words(site: Site) -> None:
    shown = records_of(site.client("admin"), "?since=&action=sample_city")
    with site.connect() as owner:
        made = owner.execute("SELECT detail FROM access.audit WHERE action = 'sample_city'").fetchone()
    assert made is not None
    assert "registry.site" in made["detail"]["rows"]
    assert not re.search(r"(territory|registry|duty|watch|inspection)\.[a-z_]+ [0-9]", shown)
    assert f"Site {made['detail']['rows']['registry.site']:,} · " in shown
    assert value_words({"registry.site": 1200}, "zh", "Asia/Shanghai") == "场所 1,200"
    assert value_words(True, "en", "Asia/Shanghai") == "Yes"
