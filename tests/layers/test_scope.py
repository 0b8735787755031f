"""Town A's officer and town B's, over HTTP: neither gets a feature, figure, file or 304 of the other."""

import gzip
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import psycopg
import pytest
from access.asking import WHO, AsWhoever, web_pool
from access.signed_in import caller
from clones import AS_OF
from fastapi import FastAPI
from fastapi.testclient import TestClient
from small_town import (
    COMMUNITY_A,
    TOWN_A,
    TOWN_B,
    add_area,
    add_camera,
    add_incident,
    add_site,
    box,
    small_town,
)
from test_tiles import tile_of
from vector_tile import read_tile

from geoapp.access.caller import ROLES, Caller, acting
from geoapp.database.cluster import PrivateCluster
from layers import export_route, honest_route, http, recent_answers
from layers.answers import headline, lens_classes
from layers.registry import LAYERS, LENSES

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)


@dataclass
class Towns:
    """Two towns with the same things in each, those who ask, and what is whose."""

    owner: Connection
    web: TestClient
    pool: Any
    callers: dict[str, Caller]
    # By town: the tile keys of its features, and words that only it may read.
    features: dict[str, dict[str, set[Any]]]

    def get(self, who: str, path: str, **options: Any) -> Any:
        headers = {WHO: who} | options.pop("headers", {})
        return self.web.get(path, headers=headers, **options)


@pytest.fixture(scope="module")
def towns(cluster: PrivateCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Towns]:
    with small_town(cluster, AS_OF) as owner:
        features: dict[str, dict[str, set[Any]]] = {}
        sites: dict[str, int] = {}
        for town, x in ((TOWN_A, 600), (TOWN_B, 2600)):
            site = sites[town] = add_site(owner, x, 100)
            area = add_area(owner, site, x, 100, 100, 100)
            camera = add_camera(owner, x - 10, 100, box(x, 100, 90, 100), seen=NOW)
            incident = add_incident(owner, camera, site, NOW - timedelta(minutes=5), x=x, y=100)
            features[town] = {
                "site": {site}, "key_risk_area": {area}, "camera": {camera}, "camera_sector": {camera}, "incident": {str(incident)},
                "cell": {r["cell_no"] for r in owner.execute("SELECT cell_no FROM territory.grid_cell WHERE town_code = %s", (town,))},
            }  # fmt: skip
        owner.execute(
            "INSERT INTO territory.base_feature (kind, geom) SELECT 'sea', geom FROM territory.grid_cell LIMIT 1"
        )
        callers = {
            "district": caller(owner, "district", "committee"),
            "town_a": caller(owner, "town_a", "duty_officer", areas=[TOWN_A]),
            "town_b": caller(owner, "town_b", "duty_officer", areas=[TOWN_B]),
            "planner_a": caller(owner, "planner_a", "planner", areas=[TOWN_A]),
            "community_a": caller(owner, "community_a", "inspector", areas=[COMMUNITY_A]),
            "firm_a": caller(owner, "firm_a", "enterprise", sites=[sites[TOWN_A]]),
        }
        info = owner.info
        url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
        with web_pool(url, tmp_path_factory.mktemp("home")) as pool:
            app = FastAPI()
            app.include_router(http.router(pool))
            with TestClient(AsWhoever(app, *callers.values())) as client:
                yield Towns(owner, client, pool, callers, features)


def tile_path(owner: Connection, name: str, x: float, z: int = 15) -> str:
    return f"/tiles/{name}/{'/'.join(str(n) for n in tile_of(owner, z, x=x, y=100))}.mvt"


def ids(answer: Any, name: str) -> set[Any]:
    return {f.id for f in read_tile(answer.content)[name].features} if answer.status_code == 200 else set()


@pytest.mark.parametrize("name", ["cell", "site", "camera", "camera_sector", "key_risk_area"])
def test_no_tile_holds_a_feature_of_another_town(towns: Towns, name: str) -> None:
    own, other = towns.features[TOWN_A][name], towns.features[TOWN_B][name]
    seen: dict[str, set[Any]] = {}
    for who in ("town_a", "town_b", "district"):
        # One tile over both towns, and one over each.
        paths = [
            tile_path(towns.owner, name, 2000, 11),
            *(tile_path(towns.owner, name, x) for x in (610, 2610)),
        ]
        seen[who] = set().union(*(ids(towns.get(who, path), name) for path in paths))
    assert seen["town_a"] & own
    assert seen["town_b"] & other
    if name != "site":  # a site far out is drawn as one of many, without its id
        assert not seen["town_a"] & other
        assert not seen["town_b"] & own
        assert seen["district"] >= seen["town_a"] | seen["town_b"]
    # Where only the other town lies, there is nothing at all.
    assert towns.get("town_a", tile_path(towns.owner, name, 2610)).status_code in (204, 200)
    assert not ids(towns.get("town_a", tile_path(towns.owner, name, 2610)), name) & other
    assert not ids(towns.get("town_b", tile_path(towns.owner, name, 610)), name) & own


def test_an_etag_of_one_town_is_worth_nothing_in_another(towns: Towns) -> None:
    for name in LAYERS:
        # Who may not see a layer at all gets no version of it either.
        if LAYERS[name].kind != "tiles" or LAYERS[name].roles != ROLES:
            continue
        path = tile_path(towns.owner, name, 2000, 11)
        first = towns.get("town_a", path)
        assert first.status_code in (200, 204)
        etag = {"If-None-Match": first.headers["etag"]}
        assert towns.get("town_a", path, headers=etag).status_code == 304
        for other in ("town_b", "district", "firm_a"):
            answer = towns.get(other, path, headers=etag)
            if LAYERS[name].scoped:
                assert answer.status_code in (200, 204), name
                assert answer.headers["etag"] != first.headers["etag"]
            else:
                assert answer.status_code == 304, "the base map is the same for all"
            assert answer.headers["vary"] == honest_route.VARY
            assert answer.headers["cache-control"].startswith("private")
    for path in ("/lens/risk.json", "/headline.json", "/towns.json"):
        first = towns.get("town_a", path)
        etag = {"If-None-Match": first.headers["etag"]}
        assert towns.get("town_a", path, headers=etag).status_code == 304
        answer = towns.get("town_b", path, headers=etag)
        assert answer.status_code == 200, path
        assert answer.content != first.content


def test_an_any_etag_gives_no_content_of_another(towns: Towns) -> None:
    answer = towns.get("town_b", tile_path(towns.owner, "cell", 610), headers={"If-None-Match": "*"})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("name", [one.id for one in LENSES])
def test_a_lens_colours_own_cells_only_and_as_the_role_reads_them(towns: Towns, name: str) -> None:
    lens = next(one for one in LENSES if one.id == name)
    for who, town in (("town_a", TOWN_A), ("town_b", TOWN_B)):
        said = towns.get(who, f"/lens/{name}.json", params={"as_of": NOW.isoformat()}).json()
        assert {int(n) for n in said["classes"]} == towns.features[town]["cell"]
        with acting(towns.pool, towns.callers[who]) as connection:
            own = lens_classes(connection, lens, NOW)
        assert said["classes"] == {str(k): v for k, v in own["classes"].items()}
        assert said["counts"] == own["counts"]


def test_figures_are_those_of_the_own_town(towns: Towns) -> None:
    for who in ("town_a", "town_b", "district", "community_a"):
        said = towns.get(who, "/headline.json", params={"as_of": NOW.isoformat()}).json()["figures"]
        with acting(towns.pool, towns.callers[who]) as connection:
            own = headline(connection, NOW)["figures"]
        assert {k: v["value"] for k, v in said.items()} == {k: v["value"] for k, v in own.items()}
        assert said["incidents_open"]["value"] == (2 if who == "district" else 1)
        assert said["cameras_total"]["value"] == (2 if who == "district" else 1)
    assert [t["town_code"] for t in towns.get("town_a", "/towns.json").json()["towns"]] == [TOWN_A]


def test_answers_kept_for_one_scope_are_not_given_to_another(towns: Towns) -> None:
    """Without as_of, answers are shared for some seconds: by those who may see the same."""
    counts = {
        who: sum(towns.get(who, "/lens/risk.json").json()["counts"].values())
        for who in ("district", "town_a", "town_b")
    }
    assert counts == {"district": 10, "town_a": 6, "town_b": 4}


def test_incidents_and_places_of_the_other_town_are_not_there(towns: Towns) -> None:
    for who, town in (("town_a", TOWN_A), ("town_b", TOWN_B)):
        found = towns.get(who, "/features/incident.geojson").json()["features"]
        assert {f["properties"]["id"] for f in found} == towns.features[town]["incident"]
        assert {f["properties"]["town_code"] for f in found} == {town}
    both = towns.get("district", "/features/incident.geojson").json()["features"]
    assert len(both) == 2
    row = towns.owner.execute(
        "SELECT ST_X(p) AS lon, ST_Y(p) AS lat FROM ST_Transform(ST_SetSRID(ST_MakePoint(622620, 3400120), 4549), 4326) AS p"
    ).fetchone()
    assert row is not None
    there = towns.get("town_b", "/identify", params=row).json()
    assert all(there[name] for name in ("cell", "sites", "cameras", "key_risk_areas"))
    here = towns.get("town_a", "/identify", params=row).json()
    assert (here["cell"], here["sites"], here["cameras"], here["key_risk_areas"]) == (None, [], [], [])
    assert TOWN_B not in json.dumps(here)


def test_a_cell_of_another_town_looks_like_none(towns: Towns) -> None:
    code = {
        town: towns.owner.execute(
            "SELECT min(code) AS code FROM territory.grid_cell WHERE town_code = %s", (town,)
        ).fetchone()["code"]  # type: ignore[index]
        for town in (TOWN_A, TOWN_B)
    }
    assert towns.get("town_a", f"/cell/{code[TOWN_A]}.json").status_code == 200
    other = towns.get("town_a", f"/cell/{code[TOWN_B]}.json")
    nothing = towns.get("town_a", "/cell/310116102001199900.json")
    assert other.status_code == nothing.status_code == 404
    assert other.json()["error"].replace(code[TOWN_B], "") == nothing.json()["error"].replace(
        "310116102001199900", ""
    )


def test_a_firm_sees_itself(towns: Towns) -> None:
    found = ids(towns.get("firm_a", tile_path(towns.owner, "site", 610, 16)), "site")
    assert found == towns.features[TOWN_A]["site"]
    assert ids(towns.get("firm_a", tile_path(towns.owner, "site", 2610, 16)), "site") == set()
    own = ids(towns.get("firm_a", tile_path(towns.owner, "cell", 610)), "cell")
    assert len(own) == 1
    for lens in LENSES:
        said = towns.get("firm_a", f"/lens/{lens.id}.json").json()
        assert {int(n) for n in said["classes"]} <= own
    [incident] = towns.get("firm_a", "/features/incident.geojson").json()["features"]
    assert incident["properties"]["id"] in towns.features[TOWN_A]["incident"]


def test_nobody_gets_nothing(towns: Towns) -> None:
    for path in (
        tile_path(towns.owner, "cell", 610), tile_path(towns.owner, "base", 610), "/tiles/cell.json", "/layers.json", "/layers/cell.json",
        "/lens/risk.json", "/headline.json", "/towns.json", "/features/incident.geojson", "/identify?lon=121&lat=30",
        "/cell/310116101001100100.json", "/export/cell.gpkg",
    ):  # fmt: skip
        answer = towns.get("nobody", path, headers={"If-None-Match": "*"})
        assert answer.status_code == 401, path
        assert set(answer.json()) == {"error"}


def test_a_layer_that_is_not_for_a_role_is_not_known_to_it(
    towns: Towns, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setitem(LAYERS, "site", replace(LAYERS["site"], roles=("duty_officer",)))
    for path in (
        tile_path(towns.owner, "site", 610),
        "/layers/site.json",
        "/tiles/site.json",
        "/export/site.gpkg?reason=test",
    ):
        assert towns.get("planner_a", path).status_code == 404, path
    assert "site" not in [one["id"] for one in towns.get("planner_a", "/layers.json").json()["layers"]]
    assert towns.get("town_a", "/layers/site.json").status_code == 200


# --- files ---------------------------------------------------------------------------------------------------


def exports(towns: Towns) -> list[dict[str, Any]]:
    return towns.owner.execute(
        "SELECT login, subject_id, reason, detail, ok FROM access.audit WHERE action = 'export' ORDER BY id"
    ).fetchall()


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb"])
def test_a_file_holds_the_own_rows_and_is_on_record(towns: Towns, tmp_path: Path, ending: str) -> None:
    before = len(exports(towns))
    answer = towns.get("planner_a", f"/export/cell.{ending}", params={"reason": "年度网格评估"})
    assert answer.status_code == 200, answer.text
    target = tmp_path / f"cell.{ending}"
    target.write_bytes(answer.content)
    frame = gpd.read_file(target)
    assert set(frame["cell_no"]) == towns.features[TOWN_A]["cell"]
    assert set(frame["town_code"]) == {TOWN_A}
    [record] = exports(towns)[before:]
    assert (record["login"], record["subject_id"], record["reason"]) == ("planner_a", "cell", "年度网格评估")
    assert record["detail"]["rows"] == 6
    assert record["detail"]["format"] == ending
    assert record["detail"]["areas"] == [TOWN_A]
    assert answer.headers["cache-control"] == "private, no-store"
    name = answer.headers["content-disposition"]
    again = towns.get("planner_a", f"/export/cell.{ending}", params={"reason": "年度网格评估"})
    assert again.headers["content-disposition"] != name, "names cannot be guessed"
    assert name.endswith(f'.{ending}"')


@pytest.mark.parametrize("name", [n for n, one in LAYERS.items() if one.export and one.roles == ROLES])
def test_every_layer_comes_as_a_file_in_scope(towns: Towns, tmp_path: Path, name: str) -> None:
    counts = {}
    for who in ("district", "planner_a", "firm_a"):
        answer = towns.get(who, f"/export/{name}.gpkg", params={"reason": "测试导出"})
        assert answer.status_code == 200, (who, answer.text)
        (tmp_path / f"{who}.gpkg").write_bytes(answer.content)
        counts[who] = len(gpd.read_file(tmp_path / f"{who}.gpkg"))
        assert exports(towns)[-1]["detail"]["rows"] == counts[who]
    assert counts["firm_a"] <= counts["planner_a"] <= counts["district"]
    if name in ("cell", "site", "camera", "incident", "key_risk_area"):
        assert counts["planner_a"] < counts["district"]


def test_a_register_leaves_in_the_frame_asked_for_and_as_the_role_reads_it(
    towns: Towns, tmp_path: Path
) -> None:
    columns = {}
    for who in ("district", "planner_a", "firm_a"):
        options = {"reason": "测试导出", "frame": "gcj02"}
        answer = towns.get(who, "/export/sites.gpkg", params=options)
        assert answer.status_code == 200, (who, answer.text)
        assert "geoapp-sites-gcj02-" in answer.headers["content-disposition"]
        (tmp_path / "s.gpkg").write_bytes(answer.content)
        frame = gpd.read_file(tmp_path / "s.gpkg")
        assert frame.crs is None
        columns[who] = "contact_phone" in frame
        assert len(frame) == (2 if who == "district" else 1)
        record = exports(towns)[-1]
        assert (record["subject_id"], record["detail"]["frame"]) == ("sites", "gcj02")
        assert record["detail"]["personal"] == (["contact_name", "contact_phone"] if columns[who] else [])
    assert columns == {"district": True, "planner_a": False, "firm_a": True}
    assert towns.get("district", "/export/sites.gpkg").status_code == 422, "contacts leave with a reason only"
    for options in ({"frame": "mars"}, {"encoding": "gbk"}, {"frame": "x" * 30}):
        answer = towns.get("district", "/export/cell.gpkg", params={"reason": "测试导出"} | options)
        assert answer.status_code == 422
        assert "/" in answer.json()["error"]
    answer = towns.get("district", "/export/cell.geojson", params={"reason": "测试导出", "frame": "metric"})
    assert answer.status_code == 422


def test_a_role_that_may_not_export_gets_nothing_and_is_on_record(towns: Towns) -> None:
    before = len(exports(towns))
    for who in ("town_a", "community_a"):
        answer = towns.get(who, "/export/site.gpkg", params={"reason": "想看看"})
        assert answer.status_code == 403
        assert b"SQLite" not in answer.content
    assert len(exports(towns)) == before
    refused = towns.owner.execute(
        "SELECT login, ok, subject_id FROM access.audit WHERE action = 'refused' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    assert refused == {"login": "community_a", "ok": False, "subject_id": "/export/site.gpkg"}


def test_personal_columns_and_many_rows_leave_with_a_reason_only(
    towns: Towns, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(exports(towns))
    assert LAYERS["cell"].personal == ("chief_name",)
    for reason in ("", "   ", "abc"):
        assert towns.get("planner_a", "/export/cell.gpkg", params={"reason": reason}).status_code == 422
    assert towns.get("planner_a", "/export/site.gpkg").status_code == 200, "no person and few rows"
    monkeypatch.setattr(export_route, "ROWS_WITHOUT_REASON", 0)
    assert towns.get("planner_a", "/export/site.gpkg").status_code == 422
    assert towns.get("planner_a", "/export/site.gpkg", params={"reason": "x" * 501}).status_code == 422
    assert len(exports(towns)) == before + 1


def test_one_file_at_a_time(towns: Towns, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is being made, a second of the same account waits its turn; another account does not."""
    said = []
    real = export_route.write_file

    def meanwhile(made: Any, target: Path) -> None:
        if not said:
            said.append("busy")
            said.append(towns.get("planner_a", "/export/site.gpkg").status_code)
            said.append(towns.get("district", "/export/site.gpkg").status_code)
        real(made, target)

    monkeypatch.setattr(export_route, "write_file", meanwhile)
    assert towns.get("planner_a", "/export/site.gpkg").status_code == 200
    assert said == ["busy", 429, 200]
    assert towns.get("planner_a", "/export/site.gpkg").status_code == 200


def test_nothing_stays_on_the_disk(towns: Towns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert towns.get("planner_a", "/export/site.gpkg").status_code == 200
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "file",
    [
        "site.doc",
        "site",
        ".gpkg",
        "nope.gpkg",
        "unit_label.gpkg",
        "..%2Fsite.gpkg",
        "site.gpkg%00",
        "territory.unit.gpkg",
    ],
)
def test_what_is_no_file_is_not_found(towns: Towns, file: str) -> None:
    assert towns.get("planner_a", f"/export/{file}", params={"reason": "test"}).status_code == 404


# --- memory ----------------------------------------------------------------------------------------------------


def test_answers_of_thousands_of_scopes_do_not_fill_the_memory() -> None:
    kept = recent_answers.RecentAnswers(limit_bytes=100_000)
    for n in range(3000):
        kept.get(f"scope {n}", "headline", lambda: {"text": secrets.token_hex(1000)})
    assert len(kept) <= 100
    etags = {kept.get(f"scope {n}", "headline", lambda: {"text": "same"})[0] for n in range(5)}
    assert len(etags) == 5, "the same content of two scopes has two ETags"


def test_an_answer_is_written_as_json_with_its_moment_outside_of_its_etag() -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    answer = {"as_of": moment, "classes": {1: "红", 2: None}, "when": moment, "share": 0.5}
    etag, body = recent_answers.serialised(answer, "scope")
    assert json.loads(gzip.decompress(body)) == {
        "as_of": moment.isoformat(), "classes": {"1": "红", "2": None}, "when": moment.isoformat(), "share": 0.5,
    }  # fmt: skip
    later = recent_answers.serialised(answer | {"as_of": moment + timedelta(seconds=5)}, "scope")
    assert (later[0], later[1] != body) == (etag, True)
    assert recent_answers.serialised(answer | {"share": 0.6}, "scope")[0] != etag
    assert recent_answers.serialised(answer, "another")[0] != etag
    assert json.loads(gzip.decompress(recent_answers.serialised({"as_of": moment}, "scope")[1])) == {
        "as_of": moment.isoformat()
    }


def test_old_answers_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("layers.recent_answers.time.monotonic", lambda: now[0])
    kept = recent_answers.RecentAnswers()
    for n in range(50):
        kept.get(f"scope {n}", "headline", dict)
    now[0] = recent_answers.ANSWER_AGE_S + 1
    kept.get("one more", "headline", dict)
    assert len(kept) == 1
