"""Reasons: each code says in both languages what is wrong and what to do, and is both used and tried."""

import string
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pyarrow as pa
import pytest
import shapely

from etl.frames import parse_frame
from etl.ground import Ground
from etl.manifest import City, Grid
from etl.readers import Table
from etl.reasons import REASONS, Findings, Said
from etl.sections import grid
from etl.sections.sites import match_sites

ROOT = Path(__file__).resolve().parents[2]


def _fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("code", REASONS)
def test_a_code_has_all_its_texts(code):
    reason = REASONS[code]
    assert all(text.strip() for text in (reason.zh, reason.en, reason.fix_zh, reason.fix_en))
    assert reason.severity in ("error", "warning", "repaired")
    assert _fields(reason.zh) == _fields(reason.en)
    assert not _fields(reason.fix_zh + reason.fix_en)
    for chinese in (reason.zh, reason.fix_zh):
        assert any("一" <= letter <= "鿿" for letter in chinese)
    for english in (reason.en, reason.fix_en):
        assert not any("一" <= letter <= "鿿" for letter in english)


def _text_of(folder, *, but=()):
    return "\n".join(p.read_text(encoding="utf-8") for p in sorted(folder.rglob("*.py")) if p not in but)


def test_every_code_is_given_somewhere_and_tried_by_a_test():
    program, tests = (
        _text_of(ROOT / "etl", but=[ROOT / "etl" / "reasons.py"]),
        _text_of(ROOT / "tests"),
    )
    # Built from a part's name in etl/checks/codes.py.
    built = {"camera_id_industry", "camera_id_elsewhere"}
    assert {code for code in REASONS if f'"{code}"' not in program} - built == set()
    assert {code for code in REASONS if f'"{code}"' not in tests} == set()


def test_the_docs_name_every_code():
    docs = (ROOT / "docs" / "onboarding.md").read_text(encoding="utf-8")
    assert {code for code in REASONS if f"`{code}`" not in docs} == set()


def test_what_fills_a_sentence_may_be_of_a_column_of_any_kind_and_of_each_language():
    findings = Findings(2)
    mask = np.array([False, True])
    findings.reject(mask, "not_a_number", "n", found=pa.array(["1", "十"]))
    findings.reject(
        mask, "unit_level_wrong", "code", found=np.array([None, "310116"]), level=Said("镇", "town")
    )
    findings.warn(mask, "date_late", "d", found=pa.array([None, 3]), limit=7)
    first, second = findings.reasons[1]
    assert (first.zh, first.en.split(": ")[1]) == ("不是数字：十", "十")
    assert second.zh == "行政区划代码 310116 不是镇级的"
    assert second.en.endswith("of a town")
    assert findings.warnings[1][0].zh == "日期 3 晚于 7"
    assert findings.accepted.tolist() == [True, False]


def _ground(**held):
    """The ground of a made-up district with what is held, no database behind it."""
    ground = Ground(None, City(name_zh="甲区", name_en="A", code="310116", metric_srid=4549))
    ground.__dict__.update(held)
    return ground


def test_a_cell_that_names_another_community_than_its_code():
    code = "310116101001100100"
    held = {"编码": pa.array([code, code]), "社区": pa.array(["310116101001", "310116101002"])}
    shapes = np.array([shapely.box(620_000, 3_400_000, 620_100, 3_400_100)] * 2, dtype=object)
    table = Table(path=Path("grid.gpkg"), held=held, row_no=np.arange(2), shapes=shapes)
    section = Grid.model_validate({"file": "grid.gpkg", "columns": {"code": "编码", "community": "社区"}})
    findings = Findings(2)
    units = {"310116101001": None, "310116101002": None}
    ground = _ground(district=None, units=units, retired_units=set(), retired_cells=set())
    grid.prepare(table, section, parse_frame("epsg:4549"), ground, findings)
    assert "parent_mismatch" in [reason.code for reason in findings.reasons[1]]
    assert "parent_mismatch" not in [reason.code for reason in findings.reasons[0]]


def test_a_site_that_a_person_merged_into_another_is_not_brought_back():
    alias = [{"uscc": None, "local_id": "S2", "name_zh": "甲厂"}]
    connection = MagicMock()
    connection.execute.return_value.fetchall.side_effect = [[], alias]
    ground = _ground()
    ground._connection, ground._empty = connection, {"registry.site": False}
    findings = Findings(2)
    match_sites(np.array([None, None]), np.array(["S1", "S2"], dtype=object), ground, findings)
    assert {row: found[0].code for row, found in findings.reasons.items()} == {1: "merged_site"}
    assert "甲厂" in findings.reasons[1][0].zh
