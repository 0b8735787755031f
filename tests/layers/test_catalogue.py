"""Every layer, walked by its declaration: tile, TileJSON, legend, features, one by id, files, and whose rows they are."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import psycopg
import pytest
from access.asking import WHO, AsWhoever, web_pool
from access.signed_in import caller
from clones import AS_OF
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg.types.json import Jsonb
from small_town import (
    COUNTY,
    TOWN_A,
    TOWN_B,
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
from vector_tile import Feature, TileLayer, read_tile

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from layers import http
from layers.catalogue import DECLARED
from layers.declaration import GROUPS, Layer
from layers.expected_events import keep_expected_events
from layers.export import export_layer
from layers.registry import LAYERS
from layers.tile_query import tile_query
from layers.tiles import make_tile, own_functions

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)
TILED = [name for name, one in LAYERS.items() if one.kind == "tiles"]
CLASSED = [name for name, one in LAYERS.items() if one.classings or one.lenses]
NUMBERED = [name for name in TILED if name not in ("base", "unit", "unit_label")]


@dataclass
class Walk:
    """Two towns with the same things in each, and three who ask: the district's committee and each town's."""

    owner: Connection
    web: TestClient

    def get(self, path: str, who: str = "district", **params: Any) -> Any:
        return self.web.get(path, headers={WHO: who}, params=params)

    def features(self, name: str, who: str = "district", **params: Any) -> list[dict[str, Any]]:
        answer = self.get(f"/features/{name}.geojson", who, limit=5000, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()["features"]  # type: ignore[no-any-return]

    def tile(self, name: str, z: int, x: float, who: str = "district") -> list[Feature]:
        address = "/".join(str(n) for n in tile_of(self.owner, z, x=x, y=100))
        answer = self.get(f"/tiles/{name}/{address}.mvt", who)
        assert answer.status_code in (200, 204), answer.text
        return read_tile(answer.content)[name].features if answer.status_code == 200 else []


@pytest.fixture(scope="module")
def walk(cluster: PrivateCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with small_town(cluster, AS_OF) as owner:
        assign(owner, "R01", COUNTY, "YJ", "confirmed", person=add_person(owner, "科长"))
        assign(owner, "R02", COUNTY, "XF", "disputed")
        for town, x in ((TOWN_A, 600), (TOWN_B, 2600)):
            for n, (rule, hazard) in enumerate((("R01", "red"), ("R02", None), (None, "blue"))):
                site = add_site(owner, x + n, 100 + n, rule=rule, hazard=hazard)
                add_hazard(owner, site, "major", NOW - timedelta(days=2))
            add_area(owner, site, x, 100, 100, 100)
            seen = add_camera(owner, x - 10, 100, box(x, 100, 50, 100), seen=NOW)
            add_camera(owner, x - 20, 100, box(x, 100, 20, 20), reason="frozen", tried=NOW)
            add_camera(owner, x - 30, 100, box(x, 100, 20, 20), url=None)
            add_incident(owner, seen, site, NOW - timedelta(minutes=5), x=x, y=100)
            old = NOW - timedelta(days=20)
            add_incident(
                owner,
                seen,
                site,
                old,
                state="closed",
                closed_at=old,
                review="false",
                reviewed_at=old,
                x=x,
                y=100,
            )
            owner.execute(
                "INSERT INTO territory.changeset (title, town_code, state, proposal) VALUES ('改', %s, 'submitted', %s)",
                (town, Jsonb(proposal(owner, x))),
            )
            owner.execute(
                "INSERT INTO watch.reported_event (local_id, kind, happened_at, geom, town_code)"
                " SELECT %(town)s || n, 'fire', now() - n * interval '3 days',"
                " ST_SetSRID(ST_MakePoint(%(x)s, 3400100), 4549), %(town)s FROM generate_series(1, 40) AS n",
                {"town": town, "x": 620000 + x},
            )
        owner.execute("SELECT analysis.keep_risk_surface()")
        keep_expected_events(owner)
        owner.execute(
            "INSERT INTO territory.changeset (title, town_code, proposal) VALUES ('空', %s, '{\"n\": 1}')",
            (TOWN_A,),
        )
        owner.execute(
            "INSERT INTO territory.base_feature (kind, geom) SELECT 'sea', geom FROM territory.grid_cell LIMIT 1"
        )
        callers = [
            caller(owner, "district", ["committee", "planner"]),
            caller(owner, "town_a", "committee", areas=[TOWN_A]),
            caller(owner, "town_b", "committee", areas=[TOWN_B]),
            caller(owner, "officer_a", "duty_officer", areas=[TOWN_A]),
        ]
        info = owner.info
        url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
        with web_pool(url, tmp_path_factory.mktemp("home")) as pool:
            app = FastAPI()
            app.include_router(http.router(pool))
            with TestClient(AsWhoever(app, *callers)) as client:
                yield Walk(owner, client)


def proposal(owner: Connection, x: float) -> dict[str, Any]:
    """Two cells for one, as a planner's GeoJSON in degrees."""
    shapes = [
        owner.execute(
            "SELECT ST_AsGeoJSON(ST_Transform(ST_GeomFromText(%s, 4549), 4326), 9)::jsonb AS g",
            (box(west, 0, 250, 500),),
        ).fetchone()["g"]  # type: ignore[index]
        for west in (x - 100, x + 150)
    ]
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {}, "geometry": g} for g in shapes],
    }


def class_values(layer: Layer, found: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(classing, class) of rows; booleans as JSON writes them."""
    said = set()
    for one in layer.classings:
        for row in found:
            value = row.get(one.field)
            said.add(
                (
                    one.id,
                    one.empty
                    if value is None
                    else str(value).lower()
                    if isinstance(value, bool)
                    else str(value),
                )
            )
    return said


def known_classes(layer: Layer) -> set[tuple[str, str]]:
    return {(one.id, c.id) for one in layer.classings for c in one.classes}


def test_a_declaration_is_whole() -> None:
    assert list(DECLARED) == [one.id for one in sorted(DECLARED.values(), key=lambda one: one.order)]
    for name, one in DECLARED.items():
        assert name == one.id
        assert one.name_zh
        assert one.name_en
        assert one.group in GROUPS
        assert set(one.drawer).isdisjoint(one.fields), "said once"
        assert all(" / " in said for said in one.fields.values())
        assert {c.field for c in one.classings} <= set(one.fields)
        assert {computed for computed, _ in one.computed} <= set(one.fields)
        for by in one.classings:
            ids = [c.id for c in by.classes]
            assert len(set(ids)) == len(ids)
            assert by.empty in ("", *ids)
            assert all(c.name_zh and c.name_en and c.colour.startswith("#") for c in by.classes)
            # What nobody knows is never a plain colour.
            for c in by.classes:
                unknown = c.id in (
                    "unknown",
                    "not_known",
                    "unobserved",
                    "no_date",
                    "no_type",
                    "never_looked",
                    "not_connected",
                )
                assert not unknown or c.hatch, (name, c.id)


@pytest.mark.parametrize("name", TILED)
def test_tiles_of_every_layer(walk: Walk, name: str) -> None:
    layer = LAYERS[name]
    drawn: list[Feature] = []
    for z in sorted({layer.min_zoom, 9, 11, 12, 14}):
        found = walk.tile(name, z, 610)
        assert z >= layer.min_zoom or not found
        assert set().union(*(f.properties for f in found), set()) <= set(layer.fields), z
        assert all(isinstance(f.id, int) for f in found)
        for by in layer.classings:
            if z >= by.from_zoom:
                values = {f.properties.get(by.field) for f in found} - {None}
                texts = {str(v).lower() if isinstance(v, bool) else v for v in values}
                assert texts <= {c.id for c in by.classes}, (z, by.id)
        if "n" in layer.fields and layer.grouped_below > z >= layer.min_zoom:
            assert sum(f.properties["n"] for f in found) >= len(found)
        drawn += found
    assert drawn
    assert walk.get(f"/tiles/{name}/2/0/0.mvt").status_code == 204
    told = walk.get(f"/tiles/{name}.json").json()
    assert told["tilejson"] == "3.0.0"
    assert told["vector_layers"] == [
        {"id": name, "fields": layer.fields, "minzoom": layer.min_zoom, "maxzoom": layer.max_zoom}
    ]


@pytest.mark.parametrize("name", sorted(own_functions() & set(NUMBERED)))
def test_a_function_written_by_hand_draws_what_the_declaration_says(walk: Walk, name: str) -> None:
    """Same features, same properties: the function may only be faster."""
    layer, address = LAYERS[name], tile_of(walk.owner, 15, x=610, y=100)
    composed = walk.owner.execute(tile_query(layer, *address, 4549)).fetchone()
    assert composed is not None

    def told(tile: bytes) -> dict[Any, Any]:
        found = read_tile(tile).get(name, TileLayer(name)).features
        return {f.id: f.properties for f in found}

    by_hand, by_declaration = told(make_tile(walk.owner, layer, *address)), told(bytes(composed["tile"]))
    assert set(by_hand) == set(by_declaration) != set()
    for key, properties in by_hand.items():
        for field, value in properties.items():
            other = by_declaration[key].get(field)
            assert value == (pytest.approx(other, abs=0.5) if isinstance(other, float) else other), (
                key,
                field,
            )


@pytest.mark.parametrize("name", NUMBERED)
def test_ids_of_tiles_are_ids_of_features(walk: Walk, name: str) -> None:
    by_id = {f["id"]: f for f in walk.features(name) if f["geometry"] is not None}
    # Bins of zoom 11 are the squares that a file holds; those of other zooms are found by their ids (test_event_heat.py).
    drawn = [f for x in (610, 2610) for f in walk.tile(name, 11 if LAYERS[name].between else 14, x)]
    assert drawn
    for feature in drawn:
        assert feature.id in by_id


@pytest.mark.parametrize("name", list(LAYERS))
def test_features_have_their_fields_classes_and_place(walk: Walk, name: str) -> None:
    layer = LAYERS[name]
    found = walk.features(name, bbox="-180,-90,180,90") if name != "incident" else walk.features(name)
    assert found
    wanted = {*layer.fields, *layer.drawer} - {"n"}
    assert all(set(f["properties"]) == wanted for f in found)
    assert len({f["id"] for f in found}) == len(found)
    assert class_values(layer, [f["properties"] for f in found]) <= known_classes(layer)
    kinds = {f["geometry"]["type"].removeprefix("Multi").lower() for f in found}
    assert (
        kinds <= ({layer.geometry} if layer.geometry != "mixed" else {"point", "linestring", "polygon"})
        or name == "unit_label"
    )
    for f in found:
        lon, lat = _first_position(f["geometry"]["coordinates"])
        assert 121 < lon < 121.5
        assert 30.5 < lat < 31


def _first_position(coordinates: Any) -> tuple[float, float]:
    while isinstance(coordinates[0], list):
        coordinates = coordinates[0]
    return coordinates[0], coordinates[1]


@pytest.mark.parametrize("name", CLASSED)
def test_a_legend_adds_up_to_the_rows(walk: Walk, name: str) -> None:
    layer = LAYERS[name]
    rows = walk.features(name)
    ways = [one.id for one in layer.classings] or [one.id for one in layer.lenses]
    for by in ways:
        said = walk.get(f"/legend/{name}.json", classing=by).json()
        counts = {c["id"]: c["count"] for c in said["classes"]}
        assert (said["layer"], said["classing"], said["no_class"]) == (name, by, 0)
        assert sum(counts.values()) == said["total"] == len(rows)
        assert said["no_place"] == sum(f["geometry"] is None for f in rows)
        for one in layer.classings:
            if one.id == by:
                values = [
                    v
                    for f in rows
                    for _, v in class_values(replace(layer, classings=(one,)), [f["properties"]])
                ]
                assert counts == {c.id: values.count(c.id) for c in one.classes}
    first = walk.get(f"/legend/{name}.json")
    assert first.json()["classing"] == ways[0]
    again = walk.web.get(
        f"/legend/{name}.json", headers={WHO: "district", "If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    assert walk.get(f"/legend/{name}.json", classing="nonsense").status_code == 422


@pytest.mark.parametrize("name", list(LAYERS))
def test_one_feature_by_its_id(walk: Walk, name: str) -> None:
    layer = LAYERS[name]
    for feature in walk.features(name)[:3]:
        said = walk.get(f"/identify/{name}/{feature['id']}.json")
        assert said.status_code == 200, said.text
        one = said.json()
        assert (one["id"], one["source"]) == (feature["id"], layer.source)
        assert one["geometry"] == feature["geometry"]
        assert {f["name"]: f["value"] for f in one["fields"]} == feature["properties"]
        assert all(f["zh"] and f["en"] for f in one["fields"]), [
            f["name"] for f in one["fields"] if not f["zh"]
        ]
        assert set(one["classes"].items()) == class_values(layer, [feature["properties"]])
    assert walk.get(f"/identify/{name}/999999999.json").status_code == 404
    wrong = walk.get(f"/identify/{name}/x'; DROP TABLE territory.unit; --.json")
    assert wrong.status_code in (404, 422)


@pytest.mark.parametrize("name", [n for n in LAYERS if LAYERS[n].scoped])
def test_a_town_sees_its_own_rows_and_counts_only(walk: Walk, name: str) -> None:
    rows = {who: walk.features(name, who) for who in ("district", "town_a", "town_b")}
    ids = {who: {f["id"] for f in found} for who, found in rows.items()}
    assert ids["town_a"] | ids["town_b"] <= ids["district"] | ids["town_a"] & ids["town_b"]
    for who, town, other in (("town_a", TOWN_A, TOWN_B), ("town_b", TOWN_B, TOWN_A)):
        assert ids[who] or name == "no_cell"
        assert other not in json.dumps([f["properties"] for f in rows[who]])
        assert {f["properties"].get("town_code") for f in rows[who]} <= {town, None}
        if name in CLASSED:
            said = walk.get(f"/legend/{name}.json", who).json()
            assert said["total"] == len(rows[who])
        there = next((f["id"] for f in rows["district"] if f["properties"].get("town_code") == other), None)
        if there is not None:
            assert walk.get(f"/identify/{name}/{there}.json", who).status_code == 404
    if name in (
        "cell",
        "site",
        "camera",
        "incident",
        "incident_past",
        "risk_site",
        "coverage_gap",
        "observed_hours",
        "changeset",
        "event_surface",
        "risk_rate",
    ):
        assert ids["town_a"].isdisjoint(ids["town_b"])


def test_a_layer_that_is_for_others_is_not_there(walk: Walk) -> None:
    for path in (
        "/features/changeset.geojson",
        "/legend/changeset.json",
        "/identify/changeset/1.json",
        "/tiles/changeset.json",
    ):
        answer = walk.get(path, "officer_a")
        assert answer.status_code == 404
        assert "changeset" not in answer.json()["error"].partition("Known")[2]


def test_a_changeset_shows_before_and_after_and_what_cannot_be_read(walk: Walk) -> None:
    rows = walk.owner.execute(
        "SELECT part, town_code, geom IS NULL AS nowhere, round(area_m2) AS m2 FROM analysis.changeset_ground ORDER BY part_no"
    ).fetchall()
    told = [(r["part"], r["town_code"][8], r["nowhere"], r["m2"]) for r in rows]
    # 500 x 500 m of two cells in each town; the plan that holds no shape is listed without a place.
    assert told.count(("after", "1", False, 125000)) == told.count(("after", "2", False, 125000)) == 2
    assert told.count(("before", "1", False, 250000)) >= 1
    assert told.count(("after", "1", True, None)) == 1


@pytest.mark.parametrize(
    "name", [n for n, one in LAYERS.items() if one.export and n not in ("base", "unit", "cell", "no_cell")]
)
def test_files_of_every_layer_open(walk: Walk, tmp_path: Path, name: str) -> None:
    layer = LAYERS[name]
    for ending, read in ((".parquet", gpd.read_parquet), (".csv", pd.read_csv)):
        target = tmp_path / f"{name}{ending}"
        count = export_layer(walk.owner, name, target)
        frame = read(target)
        assert len(frame) == count > 0
        assert {one.field for one in layer.classings} <= set(frame.columns)
    if layer.past:
        then = export_layer(walk.owner, name, tmp_path / "then.geojson", as_of=NOW - timedelta(hours=1))
        assert json.loads((tmp_path / "then.geojson").read_text())["features"].__len__() == then


def test_a_past_moment_is_shown_by_layers_that_have_one(walk: Walk) -> None:
    then = (NOW - timedelta(days=1)).isoformat()
    for name, one in LAYERS.items():
        address = "/".join(str(n) for n in tile_of(walk.owner, 14, x=610, y=100))
        answers = {path: walk.get(path, as_of=then) for path in (
            f"/features/{name}.geojson", f"/legend/{name}.json", f"/tiles/{name}/{address}.mvt",
        )}  # fmt: skip
        for path, answer in answers.items():
            if not one.past:
                assert answer.status_code in (404, 422), path
            elif path.startswith("/tiles"):
                assert answer.status_code in (200, 204)
            else:
                assert answer.status_code == 200, answer.text
                assert answer.json()["as_of"].startswith(then[:19])
    # The hazards were found two days ago: before, nothing made these sites red.
    levels = {
        days: {
            f["properties"]["level"]
            for f in walk.features("risk_site", as_of=(NOW - timedelta(days=days)).isoformat())
        }
        for days in (1, 3)
    }
    assert levels[1] == {"red"}
    assert "red" not in levels[3]
    now = walk.get(f"/tiles/risk_site/{address}.mvt")
    past = walk.get(f"/tiles/risk_site/{address}.mvt", as_of=(NOW - timedelta(days=3)).isoformat())
    assert now.headers["etag"] != past.headers["etag"]
    assert now.content != past.content


@pytest.mark.parametrize("path", [
    "/legend/cell.json", "/features/site.geojson", "/tiles/camera/14/1/1.mvt", "/lens/risk.json", "/headline.json",
    "/identify/site/1.json", "/export/site.geojson",
])  # fmt: skip
@pytest.mark.parametrize("moment", [NOW + timedelta(days=2), datetime(2003, 1, 1, tzinfo=UTC)])
def test_what_nobody_can_know_is_refused_and_never_calm(walk: Walk, path: str, moment: datetime) -> None:
    answer = walk.get(path, as_of=moment.isoformat(), reason="测试用途")
    assert answer.status_code == 422, answer.text
    assert ("还没有到" in answer.json()["error"]) == (moment > NOW)
    assert "nothing is known" in answer.json()["error"]


def test_a_window_of_past_incidents(walk: Walk) -> None:
    def states(**window: str) -> list[str]:
        return sorted(f["properties"]["state"] for f in walk.features("incident_past", **window))

    day = {n: (NOW - timedelta(days=n)).isoformat() for n in (1, 15, 25, 400)}
    assert states() == ["closed", "closed", "open", "open"]
    assert states(**{"from": day[15]}) == ["open", "open"]
    assert states(**{"from": day[25], "to": day[1]}) == ["closed", "closed"]
    assert walk.get("/legend/incident_past.json", **{"from": day[15]}).json()["total"] == 2
    for window in ({"from": day[1], "to": day[15]}, {"from": day[400]}, {"from": (NOW + timedelta(days=1)).isoformat()},
                   {"from": "yesterday"}, {"as_of": day[1]}):  # fmt: skip
        answer = walk.get("/features/incident_past.geojson", **window)
        assert answer.status_code == 422, window
    assert walk.get("/features/site.geojson", **{"from": day[1]}).status_code == 422
    feature = walk.tile("incident_past", 9, 600)[0]
    assert feature.properties["review"] == "unreviewed", "a group is as grave as its gravest"


@pytest.mark.parametrize("question", [
    "nonsense=1", "n=1", "hazard_level'=red", "id;--=1", "bbox=1,2,3", "bbox=nan,0,1,1", "bbox=121.2,30.7,121.1,30.8",
    "bbox=0,0,0,0", "bbox=a,b,c,d", "bbox=-1e999,0,1,1", "bbox=0,86,1,89", "limit=0", "limit=99999999", "limit=x", "people=many",
    "after=x", "as_of=yesterday", "people=1e999", "bbox=" + "1," * 200,
])  # fmt: skip
def test_hostile_questions_get_one_clear_sentence(walk: Walk, question: str) -> None:
    answer = walk.web.get(f"/features/site.geojson?{question}", headers={WHO: "district"})
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"error"}
    assert " / " in answer.json()["error"], "in both languages"


def test_a_value_is_a_value(walk: Walk) -> None:
    for text in ("red' OR '1'='1", "red'; DROP TABLE registry.site; --", "%", "\\"):
        assert walk.features("site", hazard_level=text) == []
    assert walk.get("/features/site.geojson", hazard_level="red\0").status_code == 422
    assert {f["properties"]["hazard_level"] for f in walk.features("site", hazard_level=["red", "blue"])} == {
        "red",
        "blue",
    }
    assert {f["properties"]["declared"] for f in walk.features("no_cell", declared="true")} == {True}
    assert len(walk.features("camera", health="picture")) == 2
    assert walk.get("/features/nowhere.geojson").status_code == 404
    assert walk.get("/legend/nowhere.json").status_code == 404


def test_a_box_takes_what_meets_it(walk: Walk) -> None:
    lon, lat = _first_position(walk.features("site", town_code=TOWN_A)[0]["geometry"]["coordinates"])
    near = f"{lon - 0.003},{lat - 0.003},{lon + 0.003},{lat + 0.003}"
    for name in ("site", "risk_site", "coverage_gap", "duty_gap", "cell"):
        found = walk.features(name, bbox=near)
        assert found
        assert {f["properties"]["town_code"] for f in found} == {TOWN_A}, name


def test_pages_join_to_the_whole(walk: Walk) -> None:
    for name in ("site", "unit", "coverage_gap"):
        whole = [f["id"] for f in walk.features(name)]
        joined: list[Any] = []
        after = ""
        for _ in range(len(whole)):
            page = walk.get(
                f"/features/{name}.geojson", limit=2, **({"after": after} if after else {})
            ).json()
            joined += [f["id"] for f in page["features"]]
            assert page["truncated"] == (len(joined) < len(whole))
            if not page["truncated"]:
                break
            after = page["next"]
        assert joined == whole


def test_an_empty_district_is_said_to_be_empty(make_database: Callable[..., str], tmp_path: Path) -> None:
    url = make_database()
    with connect(url, autocommit=True) as owner:
        officer = caller(owner, "district", ["committee", "planner"])
    with web_pool(url, tmp_path, size=1) as pool:
        app = FastAPI()
        app.include_router(http.router(pool))
        with TestClient(AsWhoever(app, officer)) as client:
            for name in LAYERS:
                found = client.get(f"/features/{name}.geojson?limit=10").json()
                assert (found["features"], found["truncated"]) == ([], False)
            for name in ("cell", "unit", "site", "incident_past", "changeset"):
                assert client.get(f"/tiles/{name}/12/3424/1672.mvt").status_code == 204
                assert client.get(f"/tiles/{name}.json").json()["bounds"] == [-180.0, -85.05, 180.0, 85.05]
                said = client.get(f"/legend/{name}.json").json()
                assert (said["total"], {c["count"] for c in said["classes"]}) == (0, {0})
            past = client.get("/legend/site.json", params={"as_of": "2026-01-01T00:00:00Z"})
            assert past.status_code == 422
