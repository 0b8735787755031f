"""The router over FastAPI: ETag before tile SQL, refusals that name what is known, and no picture without a database."""

import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from access.asking import AsWhoever, web_pool
from access.signed_in import caller
from clones import AS_OF, drop
from fastapi import FastAPI
from fastapi.testclient import TestClient
from small_town import (
    COUNTY,
    add_area,
    add_camera,
    add_hazard,
    add_incident,
    add_person,
    add_site,
    assign,
    box,
    small_town,
)
from test_tiles import tile_of
from vector_tile import read_tile

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from layers import http
from layers.registry import LENSES, layers_for

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    """The small town with a red site, its camera, a key risk area and incidents; committed, so that a pool sees it."""
    with small_town(cluster, AS_OF) as connection:
        assign(connection, "R01", COUNTY, "YJ", "confirmed", person=add_person(connection, "科长"))
        site = add_site(connection, 600, 100)
        add_area(connection, site, 600, 100, 100, 100)
        camera = add_camera(connection, 590, 100, box(600, 100, 90, 100), seen=datetime.now(UTC))
        add_hazard(connection, site, "major", NOW - timedelta(days=2))
        add_incident(connection, camera, site, NOW - timedelta(minutes=5), x=600, y=100)
        old = NOW - timedelta(days=3)
        add_incident(
            connection,
            camera,
            site,
            old,
            state="closed",
            closed_at=old,
            review="false",
            reviewed_at=old,
            x=600,
            y=100,
        )
        add_incident(connection, camera, site, NOW, state="candidate", x=600, y=100)
        yield connection


def url_of(connection: Connection) -> str:
    info = connection.info
    return f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"


@pytest.fixture(scope="module")
def client(town: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Asks as a duty officer of the whole district."""
    with web_pool(url_of(town), tmp_path_factory.mktemp("home")) as pool:
        app = FastAPI()
        app.include_router(http.router(pool))
        with TestClient(AsWhoever(app, caller(town, "district", "duty_officer"))) as test_client:
            yield test_client


@pytest.fixture
def count_tiles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the layers for which tile SQL ran."""
    made: list[str] = []
    real = http.make_tile

    def counted(connection: Any, layer: Any, *address: int, **when: Any) -> bytes:
        made.append(layer.id)
        return real(connection, layer, *address, **when)

    monkeypatch.setattr(http, "make_tile", counted)
    return made


def path(town: Connection, name: str, z: int = 12) -> str:
    return f"/tiles/{name}/{'/'.join(str(n) for n in tile_of(town, z))}.mvt"


def test_tile_then_304_without_tile_sql_then_renewed_by_an_edit(
    client: TestClient, town: Connection, count_tiles: list[str]
) -> None:
    first = client.get(path(town, "cell"))
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/vnd.mapbox-vector-tile"
    assert first.headers["content-encoding"] == "gzip"
    assert first.headers["cache-control"] == "private, max-age=0, must-revalidate"
    assert len(read_tile(first.content)["cell"].features) == 10
    assert count_tiles == ["cell"]
    etag = first.headers["etag"]
    again = client.get(path(town, "cell"), headers={"If-None-Match": f'"other", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    plain = client.get(path(town, "cell"), headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == first.content
    assert count_tiles == ["cell"]  # one tile made for three answers
    town.execute("UPDATE territory.grid_cell SET name_zh = name_zh WHERE cell_no = 1")
    renewed = client.get(path(town, "cell"), headers={"If-None-Match": etag})
    assert renewed.status_code == 200
    assert renewed.headers["etag"] != etag
    assert count_tiles == ["cell", "cell"]


def test_empty_tile_is_204(client: TestClient, count_tiles: list[str]) -> None:
    for _ in range(2):
        answer = client.get("/tiles/cell/12/0/0.mvt")
        assert (answer.status_code, answer.content) == (204, b"")
    assert count_tiles == ["cell"]


@pytest.mark.parametrize(
    "address",
    ["/tiles/cell/1/2/0.mvt", "/tiles/cell/x/0/0.mvt", "/tiles/cell/99/0/0.mvt", "/tiles/cell/3/-1/0.mvt"],
)
def test_no_such_tile_is_404(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "2^z" in answer.json()["error"]


@pytest.mark.parametrize("address", ["/tiles/grid/1/0/0.mvt", "/tiles/grid.json", "/layers/grid.json"])
def test_unknown_layer_is_404_with_the_known_names(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert all(name in answer.json()["error"] for name in layers_for(["duty_officer"]))


def test_layer_without_tiles_says_where_its_features_are(client: TestClient) -> None:
    assert "/features/incident.geojson" in client.get("/tiles/incident.json").json()["error"]


def test_unknown_lens_and_cell_are_404(client: TestClient) -> None:
    assert "coverage" in client.get("/lens/heat.json").json()["error"]
    assert client.get("/cell/999.json").status_code == 404


def test_tilejson(client: TestClient) -> None:
    said = client.get("/tiles/cell.json").json()
    assert said["tilejson"] == "3.0.0"
    assert said["tiles"] == ["http://testserver/tiles/cell/{z}/{x}/{y}.mvt"]
    assert said["vector_layers"][0]["id"] == "cell"
    west, south, east, north = said["bounds"]
    assert 121 < west < east < 121.5
    assert 30.5 < south < north < 31


def test_declarations_have_both_languages_and_second_cues(client: TestClient) -> None:
    said = client.get("/layers.json").json()["layers"]
    assert [one["id"] for one in said] == list(layers_for(["duty_officer"]))
    for one in said:
        assert one["name_zh"]
        assert one["name_en"]
        for known in [
            *(c for by in one["classings"] for c in by["classes"]),
            *(c for lens in one["lenses"] for c in lens["classes"]),
        ]:
            assert known["colour"].startswith("#")
            assert known["name_zh"]
            assert known["name_en"]
    risk = {
        c["id"]: (c["colour"], c["numeral"])
        for c in client.get("/layers/cell.json").json()["lenses"][0]["classes"]
    }
    assert risk["red"] == ("#9B1B1E", "I")
    assert risk["orange"] == ("#E8743B", "II")
    assert risk["yellow"] == ("#FBE05C", "III")
    assert risk["blue"] == ("#5AA9E6", "IV")


@pytest.mark.parametrize("name", [lens.id for lens in LENSES])
def test_lens_has_a_class_for_every_cell(client: TestClient, town: Connection, name: str) -> None:
    answer = client.get(f"/lens/{name}.json")
    said = answer.json()
    cells = {str(r["cell_no"]) for r in town.execute("SELECT cell_no FROM territory.grid_cell").fetchall()}
    assert set(said["classes"]) == cells
    lens = next(one for one in LENSES if one.id == name)
    assert set(said["counts"]) == {c.id for c in lens.classes}
    assert sum(said["counts"].values()) == len(cells)
    assert set(said["classes"].values()) <= set(said["counts"])
    assert datetime.fromisoformat(said["as_of"]).tzinfo is not None
    assert (
        client.get(f"/lens/{name}.json", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    )


def test_duty_by_share_or_by_state(client: TestClient, town: Connection) -> None:
    share, state = (
        client.get("/lens/duty.json", params={"classing": by}).json() for by in ("share", "state")
    )
    assert (share["classing"], state["classing"]) == ("share", "state")
    assert share["classes"] == client.get("/lens/duty.json").json()["classes"]
    rows = town.execute("SELECT cell_no, level, state, has_chief FROM analysis.duty_cell").fetchall()
    assert share["classes"] == {str(r["cell_no"]): str(r["level"]) for r in rows}
    assert state["classes"] == {
        str(r["cell_no"]): r["state"] if r["state"] != "confirmed" or r["has_chief"] else "no_chief"
        for r in rows
    }
    duty = next(one for one in LENSES if one.id == "duty")
    words = {
        r["state"]
        for r in town.execute("SELECT state FROM analysis.duty_state WHERE of <> 'unit'").fetchall()
    }
    assert {one.id for one in duty.classings[1].classes} == words | {"no_chief"}
    assert set(state["counts"]) == words | {"no_chief"}
    # Whoever lacks something is hatched, and only who lacks nothing looks calm.
    assert [one.id for one in duty.classings[1].classes if not one.hatch] == ["confirmed"]
    for name, by in (("duty", "nonsense"), ("risk", "state")):
        assert client.get(f"/lens/{name}.json", params={"classing": by}).status_code == 422


def test_lens_says_what_the_views_say(client: TestClient, town: Connection) -> None:
    moment = NOW.isoformat()
    said = client.get("/lens/risk.json", params={"as_of": moment}).json()
    rows = town.execute("SELECT cell_no, look FROM analysis.risk_cell_at(%s)", (NOW,)).fetchall()
    assert said["classes"] == {str(r["cell_no"]): r["look"] for r in rows}
    assert said["as_of"] == moment
    # One major hazard: its cell is orange at least though the score alone would say less.
    assert said["counts"]["none"] == 9
    assert said["counts"]["yellow"] == said["counts"]["blue"] == 0
    coverage = client.get("/lens/coverage.json", params={"as_of": moment}).json()
    assert coverage["kinds"] == {
        str(r["cell_no"]): r["gap_kinds"]
        for r in town.execute(
            "SELECT cell_no, gap_kinds FROM analysis.coverage_cell_at(%s)", (NOW,)
        ).fetchall()
        if r["gap_kinds"]
    }


def test_headline_and_towns(client: TestClient, town: Connection) -> None:
    said = client.get("/headline.json").json()
    assert said["figures"]["cells_total"] == {
        "value": 10,
        "numerator": 10,
        "denominator": None,
        "unit": "cell",
    }
    assert said["figures"]["incidents_open"]["value"] == 1
    assert [t["name_en"] for t in client.get("/towns.json").json()["towns"]] == ["Town A", "Town B"]


def test_incidents_are_geojson_in_degrees_without_candidates(client: TestClient) -> None:
    said = client.get("/features/incident.geojson")
    assert said.headers["content-type"].startswith("application/geo+json")
    [live] = said.json()["features"]
    lon, lat = live["geometry"]["coordinates"]
    assert 121 < lon < 121.5
    assert 30.5 < lat < 31
    assert (live["properties"]["state"], live["properties"]["review"]) == ("open", "unreviewed")
    assert live["id"] == live["properties"]["incident_no"]
    week = client.get(
        "/features/incident.geojson", params={"since": (NOW - timedelta(days=7)).isoformat()}
    ).json()
    assert [f["properties"]["state"] for f in week["features"]] == ["open", "closed"]
    assert client.get("/features/incident.geojson", params={"since": "yesterday"}).status_code == 422


def test_identify(client: TestClient, town: Connection) -> None:
    row = town.execute(
        "SELECT ST_X(p) AS lon, ST_Y(p) AS lat FROM ST_Transform(ST_SetSRID(ST_MakePoint(620620, 3400120), 4549), 4326) AS p"
    ).fetchone()
    assert row is not None
    said = client.get("/identify", params=row).json()
    assert said["cell"]["name_zh"] == "1,0"
    assert [u["level"] for u in said["units"]] == ["county", "town"]
    assert len(said["key_risk_areas"]) == 1
    assert [c["is_online"] for c in said["cameras"]] == [True]
    assert said["sites"][0]["distance_m"] == pytest.approx(28.3, abs=0.1)
    sea = client.get("/identify", params={"lon": 0, "lat": 0}).json()
    assert (sea["cell"], sea["units"], sea["sites"]) == (None, [], [])
    assert client.get("/identify", params={"lon": 200, "lat": 0}).status_code == 422


def test_cell_tells_why_and_who_answers(client: TestClient, town: Connection) -> None:
    code = town.execute("SELECT code FROM territory.grid_cell WHERE name_zh = '1,0'").fetchone()["code"]  # type: ignore[index]
    said = client.get(f"/cell/{code}.json").json()
    assert said == client.get(f"/cell/{code[:12]}-{code[12]}-{code[13:16]}-{code[16:]}.json").json() | {
        "as_of": said["as_of"], "risk": said["risk"], "sites": said["sites"]
    }  # fmt: skip
    assert said["risk"]["top_site_id"] == said["sites"][0]["id"]
    assert said["risk"]["override_reason"] == "major_hazard_open"
    assert len(said["risk"]["reasons"]) == 3
    assert said["sites"][0]["level"] == "red"
    assert said["sites"][0]["lead_code"] == "YJ"
    assert [(a["role"], a["phone"]) for a in said["answering"]][:2] == [
        ("chief", "12345"),
        ("worker", "12345"),
    ]
    assert [c["is_online"] for c in said["cameras"]] == [True]
    assert [i["state"] for i in said["incidents"]] == ["open"]
    assert {g["kind"] for g in said["gaps"]} == {"not_checked"}
    one = town.execute("SELECT level, score FROM analysis.risk_cell WHERE cell_code = %s", (code,)).fetchone()
    assert one is not None
    assert said["risk"]["level"] == one["level"]


def test_database_away_is_said_and_no_empty_tile_is_shown(
    make_database: Callable[..., str], cluster: PrivateCluster, tmp_path: Path
) -> None:
    url = make_database()
    with connect(url) as owner:
        officer = caller(owner, "district", "duty_officer")
    with web_pool(url, tmp_path, size=1) as pool:
        pool.timeout = 1.0
        app = FastAPI()
        app.include_router(http.router(pool))
        with TestClient(AsWhoever(app, officer)) as test_client:
            assert test_client.get("/tiles/cell/12/0/0.mvt").status_code == 204
            assert test_client.get("/lens/risk.json").status_code == 200
            drop(cluster, url.rsplit("/", 1)[1])
            for address in (
                "/tiles/cell/12/0/0.mvt",
                "/tiles/cell.json",
                "/features/incident.geojson",
                "/lens/duty.json",
            ):
                answer = test_client.get(address)
                assert answer.status_code == 503, address
                assert "geoapp db up" in answer.json()["error"]
                assert answer.headers["cache-control"] == "no-store"
            # What needs no database still answers.
            assert test_client.get("/layers.json").status_code == 200


def test_old_schema_is_said(make_database: Callable[..., str], tmp_path: Path) -> None:
    from geoapp.database.migrations import drop_definitions_of

    url = make_database()
    with connect(url) as owner:
        officer = caller(owner, "district", "duty_officer")
    drop_definitions_of(url)
    with web_pool(url, tmp_path, size=1) as pool:
        app = FastAPI()
        app.include_router(http.router(pool))
        with TestClient(AsWhoever(app, officer)) as test_client:
            answer = test_client.get("/tiles/cell/12/0/0.mvt")
            assert answer.status_code == 503
            assert "geoapp db up" in answer.json()["error"]


def test_gzip_of_json(client: TestClient) -> None:
    raw = client.build_request("GET", "/lens/duty.json", headers={"Accept-Encoding": "gzip"})
    answer = client.send(raw, stream=True)
    body = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(body))["lens"] == "duty"


def test_times_and_codes_that_no_database_takes_are_refused_not_faults(client: TestClient) -> None:
    for address in (
        "/headline.json?as_of=9999-12-31T23:59:59-12:00",
        "/towns.json?as_of=0001-01-01T00:00:00%2B14:00",
        "/cell/310116101001100100.json?as_of=2099-01-01T00:00:00Z",
        "/features/incident.geojson?id=nobody&limit=1",
        "/cell/%00.json",
    ):
        said = client.get(address)
        assert said.status_code == (400 if "%00" in address else 422), address
        assert said.json()["error"]
