"""The heat over HTTP: exact windows, an ETag that follows events, and clear refusals of windows that mean nothing."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import geopandas as gpd
import psycopg
import pytest
from access.asking import AsWhoever, web_pool
from access.signed_in import caller
from clones import AS_OF
from fastapi import FastAPI
from fastapi.testclient import TestClient
from shapely.geometry import shape as shape_of
from small_town import TOWN_A, TOWN_B, add_camera, add_incident, small_town
from test_http import url_of
from test_tiles import tile_of
from vector_tile import read_tile

from geoapp.database.cluster import PrivateCluster
from layers import http
from layers.event_heat import Window, WindowError, window_of

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)
MONTH = (NOW - timedelta(days=40)).isoformat()


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    """Thirty events a day apart in town A, three of them fires, and one in town B."""
    with small_town(cluster, AS_OF) as connection:
        camera = add_camera(connection, 600, 100, None)
        for day in range(30):
            at = NOW - timedelta(days=day, minutes=1)
            add_incident(
                connection, camera, None, at, class_="fire" if day % 10 == 0 else "smoke", x=600, y=100
            )
        add_incident(connection, camera, None, NOW, class_="smoke", x=2600, y=100)
        yield connection


@pytest.fixture(scope="module")
def client(town: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    people = (
        caller(town, "heat.all", "duty_officer"),
        caller(town, "heat.a", "duty_officer", areas=[TOWN_A]),
        caller(town, "heat.b", "duty_officer", areas=[TOWN_B]),
    )
    with web_pool(url_of(town), tmp_path_factory.mktemp("home")) as pool:
        app = FastAPI()
        app.include_router(http.router(pool))
        with TestClient(AsWhoever(app, *people)) as test_client:
            yield test_client


def counts(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.text
    return sorted(f.properties["n"] for f in read_tile(answer.content)["event_heat"].features)


def address(town: Connection, z: int = 12) -> str:
    return f"/tiles/event_heat/{'/'.join(str(n) for n in tile_of(town, z, x=600, y=100))}.mvt"


def test_counts_of_a_window_and_class(client: TestClient, town: Connection) -> None:
    week = (NOW - timedelta(days=7)).isoformat()
    assert counts(client.get(address(town))) == [1, 30]
    assert counts(client.get(address(town), params={"class": "fire"})) == [3]
    assert counts(client.get(address(town), params={"from": week})) == [1, 7]
    assert counts(client.get(address(town), params={"to": week, "class": "smoke"})) == [21]
    nothing = {"from": "2020-01-01T00:00:00Z", "to": "2020-02-01T00:00:00Z"}
    assert client.get(address(town), params=nothing).status_code == 204
    [(x, y)] = [
        f.parts[0][0]
        for f in read_tile(client.get(address(town), params={"class": "fire"}).content)["event_heat"].features
    ]
    assert (x % 64, y % 64) == (32, 32)


def test_each_town_its_own_events_and_its_own_etag(client: TestClient, town: Connection) -> None:
    said = {
        who: client.get(address(town), headers={"x-test-caller": who})
        for who in ("heat.all", "heat.a", "heat.b")
    }
    assert [counts(one) for one in said.values()] == [[1, 30], [30], [1]]
    assert len({one.headers["etag"] for one in said.values()}) == 3
    theirs = said["heat.a"].headers["etag"]
    assert (
        client.get(address(town), headers={"x-test-caller": "heat.b", "If-None-Match": theirs}).status_code
        == 200
    )


def test_304_until_an_event_comes(client: TestClient, town: Connection) -> None:
    first = client.get(address(town), params={"class": "sparks"})
    assert first.status_code == 204
    again = {"headers": {"If-None-Match": first.headers["etag"]}, "params": {"class": "sparks"}}
    assert client.get(address(town), **again).status_code == 304
    assert (
        client.get(address(town), headers=again["headers"]).status_code == 200
    )  # another window is another answer
    camera = town.execute("SELECT id FROM registry.camera").fetchone()
    assert camera is not None
    made = add_incident(town, camera["id"], None, NOW, class_="sparks", x=600, y=100)
    assert counts(client.get(address(town), **again)) == [1]
    town.execute("DELETE FROM watch.incident WHERE id = %s", (made,))
    assert client.get(address(town), **again).status_code == 204


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-02-01T00:00:00Z", "to": "2026-02-01T08:00:00+08:00"},
        {"from": "2090-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00"},
        {"to": "2026-01-01"},
        {"from": "0001-01-01T00:00:00+14:00"},
        {"to": "9999-12-31T23:59:59-12:00"},
        {"from": "yesterday"},
        {"from": "2026-01-01T00:00:00Z" + " " * 100},
        {"class": "welding"},
        {"class": "fire'; --"},
    ],
)
def test_a_window_that_means_nothing_is_refused(
    client: TestClient, town: Connection, query: dict[str, str]
) -> None:
    for path in (address(town), "/tiles/event_heat.json"):
        said = client.get(path, params=query)
        assert said.status_code == 422, said.text
        assert " / " in said.json()["error"]


def test_no_finer_than_places_are_known(client: TestClient) -> None:
    for path in (
        "/tiles/event_heat/15/0/0.mvt",
        "/tiles/event_heat/3/8/0.mvt",
        "/tiles/event_heat/3/a/0.mvt",
    ):
        assert client.get(path).status_code == 404


def test_a_plus_that_nobody_encoded_is_understood() -> None:
    found = window_of("2026-01-01T00:00:00 08:00", "", "", NOW)
    assert found == Window(datetime(2025, 12, 31, 16, tzinfo=UTC))
    with pytest.raises(WindowError, match="time zone"):
        window_of("2026-01-01T00:00", "", "", NOW)


def test_scale_and_tilejson(client: TestClient) -> None:
    said = client.get("/tiles/event_heat.json", params={"zoom": 9, "class": "smoke"}).json()
    assert said["tiles"][0].endswith("/tiles/event_heat/{z}/{x}/{y}.mvt?zoom=9&class=smoke")
    assert said["scale"]["from_n"][0] == 1
    assert said["scale"]["from_n"] == sorted(set(said["scale"]["from_n"]))
    assert said["scale"]["from_n"][-1] >= 27
    finer = client.get("/tiles/event_heat.json", params={"zoom": 14}).json()
    assert max(finer["scale"]["from_n"]) < max(said["scale"]["from_n"])
    empty = client.get("/tiles/event_heat.json", params={"to": "2001-01-01T00:00:00Z"}).json()
    assert empty["scale"]["from_n"] == []
    assert client.get("/tiles/event_heat.json", params={"zoom": 15}).status_code == 422


def test_a_bin_of_any_zoom_is_found_by_its_id(client: TestClient, town: Connection) -> None:
    week = {"from": (NOW - timedelta(days=7)).isoformat()}
    for z in (6, 9, 11, 14):
        drawn = read_tile(client.get(address(town, z), params=week).content)["event_heat"].features
        said = [client.get(f"/identify/event_heat/{f.id}.json", params=week).json() for f in drawn]
        assert all("fields" in one for one in said), (z, drawn, said)
        found = [{one["name"]: one["value"] for one in answer["fields"]} for answer in said]
        assert [one["events"] for one in found] == [f.properties["n"] for f in drawn], z
        for answer, one in zip(said, found, strict=True):
            assert one["events"] == one["fire"] + one["smoke"] + one["welding_arc"] + one["sparks"]
            ground = gpd.GeoSeries([shape_of(answer["geometry"])], crs=4326).to_crs(4549)
            assert ground.area[0] ** 0.5 == pytest.approx(one["side_m"], rel=0.001)
    # Square metres on the ground, not those of the map.
    assert (
        255
        < float(client.get("/features/event_heat.geojson").json()["features"][0]["properties"]["side_m"])
        < 270
    )
    for nothing in (str(20 << 40), str(21 << 40), str((17 << 40) | (1 << 18)), "-1", str(2**62)):
        assert client.get(f"/identify/event_heat/{nothing}.json").status_code == 404
    assert client.get(f"/identify/event_heat/{2**70}.json").status_code == 422


def test_rows_of_a_window_are_those_of_its_tiles(client: TestClient, town: Connection) -> None:
    for who, ends in itertools.product(
        ("heat.all", "heat.a", "heat.b"),
        ({}, {"from": (NOW - timedelta(days=7)).isoformat()}, {"to": (NOW - timedelta(days=3)).isoformat()}),
    ):
        head = {"x-test-caller": who}
        drawn = client.get(
            address(town, 11), headers=head, params=ends | ({} if "from" in ends else {"from": MONTH})
        )
        tile = {} if drawn.status_code == 204 else {
            f.id: f.properties["n"] for f in read_tile(drawn.content)["event_heat"].features
        }  # fmt: skip
        rows = client.get("/features/event_heat.geojson", headers=head, params={"from": MONTH} | ends).json()[
            "features"
        ]
        assert {f["id"]: f["properties"]["events"] for f in rows} == tile, (who, ends)
        said = client.get("/legend/event_heat.json", headers=head, params={"from": MONTH} | ends).json()
        assert (said["total"], said["no_class"]) == (len(tile), 0)


def test_the_legend_of_a_zoom_counts_squares_and_events(client: TestClient, town: Connection) -> None:
    for more in ({"class": "fire"}, {}, {"to": (NOW - timedelta(days=12)).isoformat()}):
        asked = {"from": MONTH} | more
        scale = client.get("/tiles/event_heat.json", params={"zoom": 11, "counted": True} | asked).json()[
            "scale"
        ]
        answer = client.get(address(town, 11), params=asked)
        drawn = counts(answer)
        steps = [*scale["from_n"], float("inf")]
        assert scale["squares"] == [
            sum(low <= n < high for n in drawn) for low, high in itertools.pairwise(steps)
        ]
        inside = [NOW - timedelta(days=day, minutes=1) for day in range(30)]
        before = asked.get("to")
        assert scale["events"]["fire"] == sum(
            before is None or at.isoformat() < before for at in inside[::10]
        ), "of all kinds, whichever is drawn"
    year = {"from": "2001-01-01T00:00:00Z", "to": "2001-12-31T00:00:00Z", "counted": True}
    nothing = client.get("/tiles/event_heat.json", params=year).json()
    assert (nothing["scale"]["squares"], set(nothing["scale"]["events"].values())) == ([], {0})
    # No more than a year is added up, as everywhere.
    long = client.get("/tiles/event_heat.json", params=year | {"from": "2000-01-01T00:00:00Z"}).json()
    assert "squares" not in long["scale"]
