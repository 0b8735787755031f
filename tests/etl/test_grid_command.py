"""`geoapp grid propose` and `geoapp grid check` as a person types them, on a database."""

import json

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from shapely import affinity, box
from typer.testing import CliRunner

from etl import grid_commands
from geoapp.database.connection import connect
from geoapp.errors import Refused

RUN = CliRunner()
X0, Y0 = 620_000.0, 3_410_000.0
TOWN, VILLAGES = "310116101000", ("310116101001", "310116101002", "310116101003")


def ground(west, south, east, north):
    return affinity.translate(box(west, south, east, north), X0, Y0)


@pytest.fixture
def district(empty_url, monkeypatch):
    """A database with a town of 2 by 2 km, a village with an outline (its southern half), two with seats, and 30 sites."""
    with connect(empty_url) as connection:
        connection.execute(
            "INSERT INTO territory.city (name_zh, name_en, code, metric_srid) VALUES ('试县', 'Test', '310116', 4549)"
        )
        units = [
            ("310116000000", "county", None, "试县", None, None),
            (TOWN, "town", "310116000000", "甲镇", ground(0, 0, 2000, 2000), None),
            (VILLAGES[0], "community", TOWN, "南村", ground(0, 0, 2000, 1000), None),
            (VILLAGES[1], "community", TOWN, "西村", None, (400, 1500)),
            (VILLAGES[2], "community", TOWN, "东村", None, (1500, 1500)),
        ]
        for code, level, parent, name, outline, seat in units:
            connection.execute(
                "INSERT INTO territory.unit (code, level, parent_code, name_zh, geom, seat) VALUES (%s, %s, %s, %s,"
                " ST_Multi(ST_GeomFromText(%s, 4549)), ST_GeomFromText(%s, 4549))",
                (
                    code, level, parent, name, None if outline is None else outline.wkt,
                    None if seat is None else f"POINT ({X0 + seat[0]} {Y0 + seat[1]})",
                ),
            )  # fmt: skip
        for n, (x, y) in enumerate(np.random.default_rng(5).uniform(50, 1950, (30, 2)).tolist()):
            connection.execute(
                "INSERT INTO registry.site (local_id, name_zh, geom) VALUES (%s, %s, ST_SetSRID(ST_Point(%s, %s), 4549))",
                (f"S{n}", f"单位{n}", X0 + x, Y0 + y),
            )
        connection.execute(
            "INSERT INTO territory.base_feature (kind, geom) VALUES ('road', ST_GeomFromText(%s, 4549))",
            (f"LINESTRING ({X0 - 50} {Y0 + 480}, {X0 + 2050} {Y0 + 520})",),
        )
    monkeypatch.setattr(grid_commands, "database_url", lambda: empty_url)
    return empty_url


def told(*words):
    answer = RUN.invoke(grid_commands.app, [*words, "--json"], catch_exceptions=False)
    return answer.exit_code, json.loads(answer.stdout)


def test_a_file_is_written_and_nothing_stored(district, tmp_path):
    path = tmp_path / "proposal.gpkg"
    code, said = told("propose", "-o", str(path))
    assert code == 0
    assert {line["code"]: line["made_from"] for line in said["communities"]} == {
        VILLAGES[0]: "outline", VILLAGES[1]: "seat", VILLAGES[2]: "seat",
    }  # fmt: skip
    assert said["cells"] == 8
    assert said["sites"] == 30
    assert said["communities"][0]["road_share"] > 0.5
    assert set(pyogrio.list_layers(path)[:, 0]) == {"cells", "communities", "seams", "roads"}
    cells = gpd.read_file(path, layer="cells")
    assert list(cells.columns) == ["code", "community", "town", "sites", "area_m2", "name", "geometry"]
    assert cells.crs.to_epsg() == 4549
    assert cells["area_m2"].sum() == pytest.approx(4e6, abs=1)
    assert shapely.coverage_is_valid(cells.geometry.to_numpy(), gap_width=0.5)
    with connect(district) as connection:
        assert connection.execute("SELECT FROM territory.grid_cell").fetchone() is None


def test_applied_it_is_a_valid_grid_with_outlines_sites_and_one_audit_record(district):
    code, said = told("propose", "--town", "甲镇", "--apply")
    assert (code, said["stored"]["cells"], said["stored"]["sites"]) == (0, 8, 30)
    with connect(district) as connection:
        cells = connection.execute("SELECT code, name_zh FROM territory.grid_cell ORDER BY code").fetchall()
        outlines = connection.execute(
            "SELECT code, source_frame FROM territory.unit WHERE level = 'community' AND geom IS NOT NULL ORDER BY code"
        ).fetchall()
        audit = connection.execute("SELECT detail FROM access.audit WHERE action = 'grid_propose'").fetchall()
        rows = connection.execute("SELECT FROM access.audit WHERE subject = 'territory.grid_cell'").fetchall()
    assert cells[0] == {"code": VILLAGES[0] + "000100", "name_zh": "南村第1网格"}
    assert [row["source_frame"] for row in outlines] == ["metric", "derived", "derived"]
    assert [row["detail"]["cells"] for row in audit] == [8]
    assert len(rows) == 1
    assert told("check") == (0, {"cells": 8, "valid": True, "problems": []})
    with pytest.raises(Refused, match="have cells already"):
        told("propose", "--apply")


def test_check_names_what_is_wrong_and_ends_with_1(district):
    told("propose", "--apply")
    gone = VILLAGES[0] + "000100"
    with connect(district) as connection:
        connection.execute("DELETE FROM territory.grid_cell WHERE code = %s", (gone,))
    code, said = told("check")
    assert code == 1
    (problem,) = said["problems"]
    assert (problem["name"], said["valid"]) == ("uncovered", False)
    assert problem["area_m2"] > 100_000
    assert len(problem["places"]) == 1
    table = RUN.invoke(grid_commands.app, ["check"], catch_exceptions=False)
    assert table.exit_code == 1
    assert "7 cells, 1 problems" in table.stdout


def test_a_retired_code_is_not_given_again(district):
    told("propose", "--apply")
    with connect(district) as connection:
        connection.execute("DELETE FROM territory.grid_cell")
    _, said = told("propose", "--apply")
    assert said["stored"]["cells"] == 8
    with connect(district) as connection:
        first = connection.execute("SELECT min(code) AS code FROM territory.grid_cell").fetchone()
    assert first["code"] == VILLAGES[0] + "000500"


def test_roads_of_a_file_are_followed_and_need_a_frame(district, tmp_path):
    line = shapely.LineString([(X0 + 1000, Y0 - 10), (X0 + 1010, Y0 + 2100)])
    bare, known = tmp_path / "bare.shp", tmp_path / "roads.gpkg"
    gpd.GeoDataFrame(geometry=[line], crs=4549).to_file(known)
    gpd.GeoDataFrame(geometry=[line]).to_file(bare)
    with pytest.raises(Refused, match="--roads-frame"):
        told("propose", "--roads", str(bare), "-o", str(tmp_path / "a.gpkg"))
    _, said = told("propose", "--roads", str(known), "-o", str(tmp_path / "a.gpkg"))
    assert said["communities"][0]["road_share"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--area-per-cell", "much"), "not an area"),
        (("--area-per-cell", "1 m2"), "0.01 to 10,000"),
        (("--town", "乙镇"), "There is no town"),
        (("--roads", "nowhere.gpkg"), "cannot be read"),
        (("-o", "/nowhere/at/all.gpkg"), "Cannot write"),
    ],
)
def test_what_cannot_be_done_is_said_in_both_languages(district, words, why):
    with pytest.raises(Refused, match=why):
        told("propose", *words)


def test_an_empty_database_says_what_to_load(empty_url, monkeypatch):
    monkeypatch.setattr(grid_commands, "database_url", lambda: empty_url)
    with pytest.raises(Refused, match="load its units first"):
        told("propose")
    with pytest.raises(Refused, match="No cell is stored"):
        told("check")
