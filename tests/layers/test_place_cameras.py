"""`geoapp layers place-cameras`: table, JSON and GeoJSON say the same; what is lacking and what cannot be is said."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import shapely
from click.testing import Result
from clones import AS_OF
from small_town import TOWN_A, TOWN_B, add_area, add_camera, add_site, box, small_town
from typer.testing import CliRunner

from geoapp.database import connection as database
from geoapp.database.cluster import PrivateCluster
from layers import commands

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    """Two areas of town A that nobody sees; a camera without a sector."""
    with small_town(cluster, AS_OF) as connection:
        for x in (600, 1200):
            site = add_site(connection, x, 100, hazard="blue", people=5)
            add_area(connection, site, x, 100, 50, 50)
        add_camera(connection, 590, 90, None)
        yield connection


@pytest.fixture
def asked(town: Connection, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command with these options, as the register stood at AS_OF."""
    info = town.info
    url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
    monkeypatch.setattr(commands, "connect", lambda: database.connect(url))

    def run(*options: str) -> Result:
        at = AS_OF.strftime("%Y-%m-%dT%H:%M:%S")
        return CliRunner().invoke(commands.app, ["place-cameras", "--at", at, *options])

    return run


def test_places_as_table_json_and_geojson(asked: Any, tmp_path: Path) -> None:
    out = tmp_path / "places.geojson"
    answer = json.loads(asked("--next", "3", "--town", "甲镇", "-o", str(out), "--json").stdout)
    places = answer["places"]
    # 60 % of 2,500 m², red: 4 a square metre. One camera of 80 m and 90 degrees closes each.
    assert [p["gain"] for p in places] == [pytest.approx(6000), pytest.approx(6000)]
    assert (places[0]["gap_before"], places[1]["gap_after"]) == (
        pytest.approx(12000),
        pytest.approx(0, abs=1),
    )
    assert {s["name"] for p in places for s in p["sees"]} == {"重点区"}
    assert (answer["gaps"], answer["key_risk_areas"]) == (2, 2)
    features = json.loads(out.read_text(encoding="utf-8"))["features"]
    assert [f["properties"]["part"] for f in features] == ["place", "ground"] * 2
    for place, ground in zip(features[::2], features[1::2], strict=True):
        point, seen = (shapely.from_geojson(json.dumps(f["geometry"])) for f in (place, ground))
        assert point.distance(seen) < 1e-6
        assert 119 < point.x < 124
        assert 30 < point.y < 32
    said = asked("--next", "1", "--town", TOWN_A).stdout
    assert "1 of 1 cameras have no sector" in said
    assert "no building layer" in said
    assert "重点风险源区域" in said
    assert "(−50.0%)" in said


def test_nothing_to_close_is_said(asked: Any, town: Connection) -> None:
    said = asked("--town", TOWN_B).stdout
    assert "no key risk area is registered" in said
    camera = add_camera(town, 590, 90, box(500, 0, 1000, 400))
    assert "no gap" in asked().stdout
    town.execute("DELETE FROM registry.camera_reach WHERE camera_id = %s", (camera,))
    town.execute("DELETE FROM watch.camera_connection WHERE camera_id = %s", (camera,))
    town.execute("DELETE FROM registry.camera WHERE id = %s", (camera,))


@pytest.mark.parametrize(
    ("options", "code"),
    [(["--town", "丙镇"], 1), (["--next", "0"], 2), (["--hfov", "400"], 2), (["--range", "far"], 2)],
)
def test_what_cannot_be_is_refused(asked: Any, options: list[str], code: int) -> None:
    result = asked(*options)
    assert result.exit_code == code
    if code == 1:
        assert "there is no town" in str(result.exception)
