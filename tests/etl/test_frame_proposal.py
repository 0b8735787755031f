"""A frame proposed for a file of a stored district: on the terminal, in `geoapp inspect`, and agreed on in a load."""

import csv
import io
import json
from unittest.mock import MagicMock

import numpy as np
import pytest
from district import SIDE, District, fetch
from rich.console import Console
from typer.testing import CliRunner

from etl.ask_frame import asking
from etl.frame_proposal import propose_frame
from etl.frames import parse_frame
from etl.ground import Ground
from etl.inspection import look_at, running_ground, section_of
from etl.manifest import load_manifest
from etl.readers import read_table
from geoapp.cli import build
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings
from geoapp.territory.frames import points_from_metric

X0, Y0 = 620_000.0, 3_410_000.0


def _written(district, frame, count, *, seed=1, swapped=False):
    """A list of sites all over the two towns, with the town that each is in; no frame is declared."""
    rng = np.random.default_rng(seed)
    east, north = rng.uniform(10, 2 * SIDE - 10, count), rng.uniform(10, SIDE - 10, count)
    lon, lat = points_from_metric(X0 + east, Y0 + north, parse_frame(frame), 4549)
    if swapped:
        lon, lat = lat, lon
    with (district.folder / "sites.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["编号", "名称", "经度", "纬度", "镇"])
        for i in range(count):
            town = "甲镇" if east[i] < SIDE else "乙镇"
            writer.writerow([f"S{i}", f"厂{i}", f"{lon[i]:.6f}", f"{lat[i]:.6f}", town])
    columns = {"id": "编号", "name": "名称", "lon": "经度", "lat": "纬度", "town": "镇"}
    district.sections["sites"] = {"file": "sites.csv", "columns": columns}
    return district


@pytest.fixture
def district(empty_url, tmp_path):
    """The district with its towns stored."""
    made = District(tmp_path).towns()
    made.load(empty_url)
    return made


def _proposed(url, district):
    section = load_manifest(district.manifest).sites[0]
    with connect(url) as connection:
        ground = Ground(connection, load_manifest(district.manifest).city)
        return propose_frame(read_table(district.folder / "sites.csv"), section, ground)


def _shown(renderable):
    stream = io.StringIO()
    Console(file=stream, width=140).print(renderable)
    return stream.getvalue()


def test_a_file_of_many_sites_is_told_by_the_towns_they_name(empty_url, district):
    proposal = _proposed(empty_url, _written(district, "bd09", 400))
    assert (proposal.is_sure, proposal.best, proposal.named_by) == (True, "bd09", "镇")
    assert json.loads(json.dumps(proposal.as_json()))["candidates"][0]["in_named"] == 1.0
    shown = _shown(proposal.table())
    for expected in ("bd09", "gcj02", "wgs84 / cgcs2000", "镇", "100.0%", "sure"):
        assert expected in shown
    # The same sites, ten of them: nothing is proven, and nothing proposed.
    proposal = _proposed(empty_url, _written(district, "bd09", 10))
    assert (proposal.is_sure, proposal.best) == (False, None)
    assert proposal.reason in " ".join(_shown(proposal.table()).split()) or "too few" in proposal.reason


def test_a_file_of_a_wider_area_is_told_by_the_rows_of_ours(empty_url, district):
    _written(district, "bd09", 400)
    with (district.folder / "sites.csv").open("a", encoding="utf-8", newline="") as stream:
        rows = [[f"X{i}", "外厂", f"{121.9 + i * 1e-4:.4f}", "31.3", "丙镇"] for i in range(2_000)]
        csv.writer(stream).writerows(rows)
    proposal = _proposed(empty_url, district)
    assert (proposal.is_sure, proposal.best, proposal.candidates[0].tested) == (True, "bd09", 400)
    # `where` chooses: nothing is left of ours.
    district.sections["sites"]["where"] = {"镇": "丙镇"}
    assert not _proposed(empty_url, district).candidates


def test_columns_that_changed_places_are_said_to_be(empty_url, district):
    proposal = _proposed(empty_url, _written(district, "gcj02", 400, swapped=True))
    assert proposal.best is None
    assert "gcj02 (x ↔ y)" in proposal.candidates[0].label
    assert "lon" in proposal.reason


def test_a_load_takes_a_frame_that_is_sure_and_refuses_one_that_is_not(empty_url, district):
    console = Console(file=io.StringIO(), width=140)
    _written(district, "gcj02", 300)
    _, sites = district.load(empty_url, choose_frame=asking(console, MagicMock(), yes=True))
    assert (sites.stored, sites.rejected, sites.frame) == (300, 0, "gcj02")
    assert fetch(empty_url, "SELECT DISTINCT source_frame FROM registry.site") == [{"source_frame": "gcj02"}]
    _written(district, "gcj02", 8)
    with pytest.raises(Refused, match="cannot be told"):
        district.load(empty_url, choose_frame=asking(console, MagicMock(), yes=True))
    assert "unsure" in console.file.getvalue()


@pytest.fixture
def declare(monkeypatch):
    """Sets or (None) takes away a GEOAPP_ variable; what the program has read of them is forgotten, also afterwards."""

    def to(name, value):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    yield to
    monkeypatch.undo()
    settings.cache_clear()


def test_inspect_shows_the_table_where_a_database_has_the_outlines(empty_url, district, declare):
    _written(district, "gcj02", 400)
    file = district.folder / "sites.csv"
    declare("GEOAPP_DATABASE_URL", empty_url)
    for extra in ([], ["--manifest", str(district.manifest)]):
        result = CliRunner().invoke(build({"inspect"}), ["inspect", str(file), "--json", *extra])
        assert result.exit_code == 0, result.output
        frames = json.loads(result.output)["frames"]
        assert (frames["sure"], frames["frame"]) == (True, "gcj02")
    assert "gcj02" in CliRunner().invoke(build({"inspect"}), ["inspect", str(file)]).output
    # Without a server, or with one that holds no city, a file is looked at all the same.
    declare("GEOAPP_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    result = CliRunner().invoke(build({"inspect"}), ["inspect", str(file), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["frames"] is None


def test_a_file_that_the_manifest_does_not_name_is_looked_at_by_its_columns(empty_url, district):
    _written(district, "bd09", 300)
    manifest = load_manifest(district.manifest)
    assert section_of(manifest, district.folder / "other.csv", None) is None
    with connect(empty_url) as connection:
        found, proposal = look_at(district.folder / "sites.csv", ground=Ground(connection, manifest.city))
    assert proposal is not None
    assert proposal.best == "bd09"
    assert found["frames"]["named_by"] == "镇"


def test_no_database_is_started_to_look_at_a_file(tmp_path, declare):
    declare("GEOAPP_DATABASE_URL", None)
    declare("GEOAPP_HOME", str(tmp_path / "home"))
    with running_ground() as ground:
        assert ground is None
    assert not (tmp_path / "home").exists()
