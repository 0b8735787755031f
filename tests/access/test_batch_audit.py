"""A load or a sample city is one audit record a batch, not one a row; every other change keeps its own."""

import csv
import getpass
import hashlib
from pathlib import Path
from typing import Any

import psycopg
import pytest
from signed_in import caller

from etl.batch import batch
from etl.load import load
from etl.manifest import Manifest, load_manifest
from geoapp.database.connection import connect
from geoapp.errors import Refused

TOWN = "310116101000"
MANIFEST = """
city: {name_zh: 试县, name_en: Test, code: "310116", metric_srid: 4549}
units: {file: towns.csv, columns: {code: code, name: name}}
departments: {file: departments.csv, columns: {code: code, name: name}}
"""


def manifest_in(folder: Path, departments: list[tuple[str, str]]) -> Manifest:
    for name, rows in {"towns.csv": [(TOWN, "甲镇")], "departments.csv": departments}.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("code", "name"), *rows])
    (folder / "manifest.yaml").write_text(MANIFEST, encoding="utf-8")
    return load_manifest(folder / "manifest.yaml")


def audit(url: str) -> list[dict[str, Any]]:
    with connect(url) as connection:
        return connection.execute("SELECT * FROM access.audit ORDER BY id").fetchall()


def test_a_load_is_one_record_a_file_with_who_what_and_which_file(empty_url: str, tmp_path: Path) -> None:
    asked = manifest_in(tmp_path, [("yj", "应急管理局"), ("xf", "消防救援大队"), ("zj", "建设和管理委员会")])
    load(empty_url, asked, folder=tmp_path)
    units, departments = audit(empty_url)
    assert (departments["action"], departments["subject"], departments["ok"]) == (
        "load",
        "staging.batch",
        True,
    )
    assert departments["detail"] == {
        "section": "departments",
        "file": "departments.csv",
        "rows_in": 3,
        "stored": 3,
        "unchanged": 0,
        "repaired": 0,
        "rejected": 0,
        "file_sha256": hashlib.sha256((tmp_path / "departments.csv").read_bytes()).hexdigest(),
        "system_user": getpass.getuser(),
    }
    with connect(empty_url) as connection:
        held = connection.execute(
            "SELECT section, rows_stored FROM staging.batch WHERE id = %s", (int(departments["subject_id"]),)
        ).fetchone()
    assert held == {"section": "departments", "rows_stored": 3}
    assert units["detail"]["section"] == "units"
    # The rows of that batch are told by their batch, so nothing is lost; a change by hand is a record again.
    with connect(empty_url) as connection:
        connection.execute("UPDATE duty.department SET name_zh = '应急局' WHERE code = 'yj'")
    last = audit(empty_url)[-1]
    assert (last["action"], last["before"], last["after"]) == (
        "update",
        {"name_zh": "应急管理局"},
        {"name_zh": "应急局"},
    )


def test_a_load_that_fails_or_is_tried_leaves_no_record(empty_url: str, tmp_path: Path) -> None:
    asked = manifest_in(tmp_path, [("yj", "应急管理局")])
    load(empty_url, asked, folder=tmp_path, dry_run=True)
    assert audit(empty_url) == []
    (tmp_path / "departments.csv").unlink()
    with pytest.raises(Refused):
        load(empty_url, asked, folder=tmp_path)
    assert audit(empty_url) == []


def test_the_sample_city_is_one_record(city: psycopg.Connection[dict[str, Any]]) -> None:
    (made,) = city.execute("SELECT * FROM access.audit").fetchall()
    assert (made["action"], made["subject"], made["subject_id"]) == (
        "sample_city",
        "territory.city",
        "310116",
    )
    assert made["detail"]["seed"] == 116
    sites = city.execute("SELECT count(*) AS n FROM registry.site").fetchone()
    assert sites is not None
    assert made["detail"]["rows"]["registry.site"] == sites["n"] > 0


def test_the_mark_of_a_batch_ends_with_it(city: psycopg.Connection[dict[str, Any]]) -> None:
    before = city.execute("SELECT count(*) AS n FROM access.audit").fetchone()
    assert before is not None
    with city.transaction():
        with batch(city, "load:test"):
            city.execute(
                "UPDATE registry.site SET name_zh = name_zh || '甲' WHERE id = (SELECT min(id) FROM registry.site)"
            )
        city.execute(
            "UPDATE registry.site SET name_zh = name_zh || '乙' WHERE id = (SELECT min(id) FROM registry.site)"
        )
    after = city.execute("SELECT count(*) AS n FROM access.audit").fetchone()
    assert after is not None
    assert after["n"] - before["n"] == 1


def test_nobody_but_the_owner_leaves_rows_out(city_url: str) -> None:
    """An admin who sets the mark in the own transaction is recorded all the same."""
    with connect(city_url) as owner:
        admin = caller(owner, "batch.admin", "admin")
    with connect(city_url) as connection:
        connection.execute(f'SET LOCAL ROLE "{admin.db_role}"')
        connection.execute("SET LOCAL geoapp.batch = 'load:mine'")
        connection.execute(
            "UPDATE analysis.parameter SET value = value + 1 WHERE name = (SELECT min(name) FROM analysis.parameter)"
        )
    last = audit(city_url)[-1]
    assert (last["subject"], last["action"], last["login"]) == ("analysis.parameter", "update", "batch.admin")
