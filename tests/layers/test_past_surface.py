"""The surfaces of risk on a past day: as the scores were then, tile by tile the same as the whole, not known before the first record."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from access.asking import WHO, AsWhoever, web_pool
from access.signed_in import caller
from clones import AS_OF
from fastapi import FastAPI
from fastapi.testclient import TestClient
from small_town import TOWN_A, TOWN_B, add_hazard, add_site, small_town
from test_http import url_of
from test_tiles import tile_of
from vector_tile import read_tile

from geoapp.database.cluster import PrivateCluster
from layers import http

Connection = psycopg.Connection[dict[str, Any]]
FOUND = AS_OF - timedelta(days=10)
BEFORE, AFTER = FOUND - timedelta(days=1), FOUND + timedelta(days=1)


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    """Four sites in each town; ten days ago a major hazard was found in town A, thirty days ago a small one in town B."""
    with small_town(cluster, AS_OF) as connection:
        for x in (500, 2500):
            sites = [add_site(connection, x + 60 * n, 300 + 40 * n, hazard="yellow") for n in range(4)]
            if x == 500:
                add_hazard(connection, sites[0], "major", FOUND)
            else:
                add_hazard(connection, sites[0], "general", AS_OF - timedelta(days=30))
        connection.execute("SELECT analysis.keep_risk_surface()")
        yield connection


@pytest.fixture(scope="module")
def client(town: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    people = (
        caller(town, "dist", "analyst"),
        caller(town, "town.a", "analyst", areas=[TOWN_A]),
        caller(town, "town.b", "analyst", areas=[TOWN_B]),
    )
    with web_pool(url_of(town), tmp_path_factory.mktemp("home")) as pool:
        app = FastAPI()
        app.include_router(http.router(pool))
        with TestClient(AsWhoever(app, *people)) as made:
            yield made


def rows(client: TestClient, who: str, **asked: str) -> dict[int, dict[str, Any]]:
    answer = client.get("/features/risk_rate.geojson", headers={WHO: who}, params={"limit": "5000"} | asked)
    assert answer.status_code == 200, answer.text
    return {f["id"]: f["properties"] for f in answer.json()["features"]}


def test_a_past_day_is_shown_as_it_was(client: TestClient, town: Connection) -> None:
    then, later = (rows(client, "dist", as_of=at.isoformat()) for at in (BEFORE, AFTER))
    assert set(then) == set(later) == set(rows(client, "dist"))
    rates = [max(one["rate"] or 0 for one in found.values()) for found in (then, later)]
    assert rates[0] < rates[1], "the hazard was found in between"
    said = client.get(
        "/legend/risk_rate.json", headers={WHO: "dist"}, params={"as_of": BEFORE.isoformat()}
    ).json()
    assert said["total"] == len(then)
    assert "as of" in said["note_en"]
    one = next(key for key, row in then.items() if row["rate"])
    known = client.get(
        f"/identify/risk_rate/{one}.json", headers={WHO: "dist"}, params={"as_of": BEFORE.isoformat()}
    ).json()
    assert {f["name"]: f["value"] for f in known["fields"]} == then[one]


@pytest.mark.parametrize("z", [8, 13, 15])
def test_a_tile_is_the_whole_cut_out(client: TestClient, town: Connection, z: int) -> None:
    """A tile works out only what lies near it: with all the sites that count there."""
    whole = rows(client, "dist", as_of=AFTER.isoformat())
    drawn = {}
    for x in (500, 2500):
        address = "/".join(str(n) for n in tile_of(town, z, x=x, y=300))
        answer = client.get(
            f"/tiles/risk_rate/{address}.mvt", headers={WHO: "dist"}, params={"as_of": AFTER.isoformat()}
        )
        assert answer.status_code == 200, answer.text
        drawn |= {f.id: f.properties for f in read_tile(answer.content)["risk_rate"].features}
    assert drawn
    for key, told in drawn.items():
        assert told["rate_class"] == whole[key]["rate_class"]
        assert told["weight"] == pytest.approx(whole[key]["weight"], rel=1e-9)
        assert told.get("rate") == (None if whole[key]["rate"] is None else pytest.approx(whole[key]["rate"]))
    if z == 8:
        assert set(drawn) == set(whole)


def test_a_town_sees_no_hexagon_that_tells_of_another(client: TestClient, town: Connection) -> None:
    seen = {who: rows(client, who, as_of=AFTER.isoformat()) for who in ("dist", "town.a", "town.b")}
    assert seen["town.a"]
    assert seen["town.b"]
    assert set(seen["town.a"]).isdisjoint(seen["town.b"])
    for who in ("town.a", "town.b"):
        for key, row in seen[who].items():
            assert row["rate"] == (None if row["rate"] is None else pytest.approx(seen["dist"][key]["rate"]))


def test_before_the_first_record_it_is_not_known(client: TestClient, town: Connection) -> None:
    # Town A knows of nothing before its own hazard.
    for who, moment, is_known in (
        ("dist", BEFORE, True), ("town.a", BEFORE, False), ("town.b", BEFORE, True), ("dist", AS_OF - timedelta(days=31), False),
    ):  # fmt: skip
        for path in (
            "/features/risk_density.geojson",
            "/legend/risk_density.json",
            f"/tiles/risk_density/{'/'.join(str(n) for n in tile_of(town, 13, x=500, y=300))}.mvt",
        ):
            answer = client.get(path, headers={WHO: who}, params={"as_of": moment.isoformat()})
            assert answer.status_code == (200 if is_known else 422) or (
                is_known and answer.status_code == 204
            ), (who, path)
            if not is_known:
                assert "nothing is known" in answer.json()["error"]
