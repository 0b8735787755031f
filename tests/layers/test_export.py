"""Layers as files: what comes back is what the views say; and the two commands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import psycopg
import pytest
from clones import AS_OF
from small_town import add_area, add_camera, add_incident, add_site, box, small_town
from typer.testing import CliRunner

from geoapp.database.cluster import PrivateCluster
from geoapp.errors import Refused
from layers import commands
from layers.export import export_layer, exportable

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        site = add_site(connection, 600, 100)
        add_area(connection, site, 600, 100, 100, 100)
        camera = add_camera(connection, 590, 100, box(600, 100, 90, 100), seen=AS_OF)
        add_incident(connection, camera, site, AS_OF, x=600, y=100)
        connection.execute(
            "INSERT INTO territory.base_feature (kind, geom) SELECT 'sea', geom FROM territory.grid_cell LIMIT 1"
        )
        yield connection


@pytest.mark.parametrize("name", exportable())
def test_every_layer_is_written_and_read_back(town: Connection, tmp_path: Path, name: str) -> None:
    target = tmp_path / f"{name}.gpkg"
    count = export_layer(town, name, target)
    frame = gpd.read_file(target)
    assert len(frame) == count > 0
    assert frame.crs.to_epsg() == 4549
    assert list(tmp_path.iterdir()) == [target]


def test_cells_carry_the_three_lenses(town: Connection, tmp_path: Path) -> None:
    export_layer(town, "cell", tmp_path / "c.geojson")
    frame = gpd.read_file(tmp_path / "c.geojson")
    assert frame.crs.to_epsg() == 4326
    assert 121 < frame.total_bounds[0] < frame.total_bounds[2] < 121.5
    levels = {
        r["code"]: r["level"]
        for r in town.execute("SELECT cell_code AS code, level::text FROM analysis.duty_cell").fetchall()
    }
    assert dict(zip(frame["code"], frame["duty_class"].astype(str), strict=True)) == levels
    assert set(frame["risk_class"]) >= {"none"}
    assert "coverage_class" in frame


def test_refusals_say_what_to_do(town: Connection, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cell"):
        export_layer(town, "grid", tmp_path / "a.gpkg")
    with pytest.raises(Refused, match=r"\.gpkg"):
        export_layer(town, "cell", tmp_path / "a.shp")
    with pytest.raises(Refused, match="no folder"):
        export_layer(town, "cell", tmp_path / "missing" / "a.gpkg")
    with pytest.raises(Refused, match="not exported"):
        export_layer(town, "unit_label", tmp_path / "a.gpkg")


def test_a_failed_export_leaves_the_old_file(
    town: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.gpkg"
    export_layer(town, "cell", target)
    before = target.read_bytes()

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(gpd.GeoDataFrame, "to_file", broken)
    with pytest.raises(OSError, match="disk full"):
        export_layer(town, "cell", target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_commands(town: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = town.info
    url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
    from geoapp.database import connection as database

    monkeypatch.setattr(commands, "connect", lambda: database.connect(url))
    run = CliRunner().invoke
    said = json.loads(run(commands.app, ["refresh", "--json"]).stdout)
    assert said["no_cell_renewed"] is False
    assert (said["no_cell_pieces"], said["no_cell_km2"]) == (2, 0.5)
    town.execute("DELETE FROM territory.no_cell_made_from")
    assert "renewed" in run(commands.app, ["refresh"]).stdout
    target = tmp_path / "sites.gpkg"
    answer = json.loads(run(commands.app, ["export", "site", str(target), "--json"]).stdout)
    assert (answer["features"], target.exists()) == (1, True)
