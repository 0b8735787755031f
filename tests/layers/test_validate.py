"""`geoapp layers validate`: hand-worked scores, honest intervals, files as people have them, and the city's own score."""

import csv
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from clones import AS_OF
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from small_town import X0, Y0, add_hazard, add_site, small_town
from typer.testing import CliRunner, Result

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.territory.frames import parse_frame, points_from_metric, points_to_metric, wgs84_to_bd09
from layers import commands
from layers.event_surface import CellGrid
from layers.validation.city import full_score
from layers.validation.cuts import (
    SHARES,
    cut_days,
    ground_interval,
    hit_rates,
    interval,
    kernel_density,
    scored_cuts,
)
from layers.validation.dated_points import DatedPoints, read_dated_points

Connection = psycopg.Connection[dict[str, Any]]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands.app, ["validate", *arguments])


def points(x: Any, y: Any, day: Any) -> DatedPoints:
    order = np.argsort(day, kind="stable")
    return DatedPoints(x[order], y[order], day[order], 32651, "metric", {}, len(x), {})


def uneven(count: int = 4000, days: int = 180, seed: int = 2) -> DatedPoints:
    """Half of the events lie in a twentieth of the ground, the others anywhere in 5 km by 5 km."""
    rng = np.random.default_rng(seed)
    x, y, day = rng.uniform(0, 5000, count), rng.uniform(0, 5000, count), rng.uniform(0, days, count)
    x[::2], y[::2] = 1000 + x[::2] * 0.3, 2000 + y[::2] * 0.17
    return points(x, y, day)


def by_method(cuts: list[Any], area: str) -> dict[str, Any]:
    own = [cut for cut in cuts if cut.area == area]
    return {
        score.method: np.array([cut.scores[m].hit_rate for cut in own])
        for m, score in enumerate(own[0].scores)
    }


def test_hit_rates_by_hand() -> None:
    hits = np.array([4.0, 3.0, 2.0, 1.0, 0.0])
    assert hit_rates(np.array([9.0, 8, 7, 6, 5]), hits, 10, (0.2, 0.4, 0.5, 1.0)).tolist() == [
        0.4,
        0.7,
        0.8,
        1.0,
    ]
    # Two cells of one score of which one fits: half of what both hold.
    assert hit_rates(np.array([9.0, 7, 7, 1, 1]), hits, 10, (0.4,))[0] == pytest.approx((4 + 2.5) / 10)
    # Events that fell outside count as missed.
    assert hit_rates(np.array([9.0, 8, 7, 6, 5]), hits, 20, (0.2,))[0] == pytest.approx(0.2)
    # Ground of unlike size: the first cell alone is half of it.
    ground = np.array([4.0, 1, 1, 1, 1])
    assert hit_rates(np.array([9.0, 8, 7, 6, 5]), hits, 10, (0.25, 0.5), ground).tolist() == [0.2, 0.4]
    assert np.isnan(hit_rates(hits, hits * 0, 0, (0.1,))).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 20)), min_size=2, max_size=60), st.randoms())
def test_the_order_of_equal_cells_does_not_matter(cells: list[tuple[int, int]], chance: Any) -> None:
    shuffled = list(cells)
    chance.shuffle(shuffled)
    rates = [
        hit_rates(
            np.array([float(s) for s, _ in some]),
            np.array([float(h) for _, h in some]),
            sum(h for _, h in cells) + 1,
            SHARES,
        )
        for some in (cells, shuffled)
    ]
    assert rates[0] == pytest.approx(rates[1])
    assert (np.diff(rates[0]) >= -1e-12).all()
    total = sum(h for _, h in cells)
    if total:
        even = hit_rates(np.zeros(len(cells)), np.array([float(h) for _, h in cells]), total, SHARES)
        assert even == pytest.approx(SHARES)


def test_kernel_density_is_the_normal_law_over_each_cell() -> None:
    grid = CellGrid(0.0, 0.0, 250.0, 21, 21)
    found = kernel_density(grid, np.array([2625.0]), np.array([2625.0]), 300.0).reshape(21, 21)
    side = np.diff(norm.cdf((np.arange(22) * 250.0 - 2625.0) / 300.0))
    assert found == pytest.approx(np.outer(side, side), abs=2e-3)
    assert found.sum() == pytest.approx(1, abs=1e-3)


def test_even_ground_gives_a_pai_of_one() -> None:
    rng = np.random.default_rng(4)
    even = points(rng.uniform(0, 6000, 9000), rng.uniform(0, 6000, 9000), rng.uniform(0, 200, 9000))
    days, step = cut_days(0.0, 199.9)
    rates = by_method(scored_cuts(even, days, bandwidths_m=(250.0,)), "hull")
    for method in ("surface", "count", "kde_250"):
        assert rates[method][:, 2].mean() / 0.1 == pytest.approx(1, abs=0.12), method
    gain = interval(rates["surface"][:, 2] - rates["count"][:, 2], round(28 / step), 1)
    assert gain is None or gain[0] < 0 < gain[1] + 0.01
    assert rates["random"][:, 2].mean() == pytest.approx(0.1, abs=0.003)


def test_a_hot_spot_is_found_and_counts_agree_with_a_loop() -> None:
    days, _ = cut_days(0.0, 179.9, 28.0)
    sample = uneven()
    cuts = scored_cuts(sample, days, bandwidths_m=(250.0,))
    rates = by_method(cuts, "hull")
    assert rates["surface"][:, 2].mean() > 0.45
    assert (rates["best_possible"] >= rates["surface"] - 1e-12).all()
    for cut in cuts:
        ahead = (sample.day >= cut.at) & (sample.day < cut.at + 28)
        assert cut.events == ahead.sum()
        assert cut.events_before + cut.outside <= len(sample.day)


def test_a_cut_knows_nothing_of_what_comes_after_its_horizon() -> None:
    sample = uneven()
    days = np.array([70.0, 98.0, 126.0])
    whole = scored_cuts(sample, days, bandwidths_m=(250.0,))
    kept = sample.day < 126.0
    short = DatedPoints(sample.x[kept], sample.y[kept], sample.day[kept], 32651, "metric", {}, 0, {})
    for one, other in zip(
        scored_cuts(short, days[:2], bandwidths_m=(250.0,)), [c for c in whole if c.at < 126.0], strict=True
    ):
        assert one.cells == other.cells
        assert one.scores == other.scores
        assert np.array_equal(one.weights, other.weights)


def test_the_area_is_known_before_the_first_cut() -> None:
    """New ground far away, after the first cut: the area stays, and its events are missed by every method."""
    sample = uneven()
    late = points(
        np.append(sample.x, np.full(300, 9000.0)),
        np.append(sample.y, np.full(300, 9000.0)),
        np.append(sample.day, np.linspace(120, 150, 300)),
    )
    days = np.array([70.0, 126.0])
    before, after = (scored_cuts(some, days, bandwidths_m=(250.0,)) for some in (sample, late))
    assert [c.cells for c in before] == [c.cells for c in after]
    last = next(c for c in after if c.at == 126.0)
    assert last.outside > 200
    assert max(rate for score in last.scores for rate in score.hit_rate) < 1 - 200 / last.events


def test_cut_days() -> None:
    days, step = cut_days(0.2, 236.9)
    assert step == 7
    assert days[-1] == 237 - 28
    assert days[0] >= 60
    days, step = cut_days(0.0, 730.0)
    assert step == 28
    assert np.diff(days).tolist() == [28.0] * (len(days) - 1)
    assert cut_days(0.0, 236.9, from_day=140.0)[0][0] >= 140
    with pytest.raises(Refused, match="60 days"):
        cut_days(0.0, 59.5)
    with pytest.raises(Refused, match="--since"):
        cut_days(0.0, 365.0 * 100)


def test_interval_draws_overlapping_cuts_together() -> None:
    rng = np.random.default_rng(6)
    each = rng.normal(0, 1, 200)
    shared = np.convolve(each, np.ones(4) / 4, mode="valid")
    alone, together = interval(shared, 1, 9), interval(shared, 4, 9)
    assert alone is not None
    assert together is not None
    assert together[1] - together[0] > 1.5 * (alone[1] - alone[0])
    assert together[0] < 0 < together[1]
    assert interval(shared, 4, 9) == together
    assert interval(np.ones(19), 4, 9) is None
    assert interval(np.array([0.2, np.nan, 0.2, 0.2, 0.2, 0.2]), 1, 9) == (
        pytest.approx(0.2),
        pytest.approx(0.2),
    )


def test_ground_drawn_anew() -> None:
    """Trouble that wanders over 10 km by 10 km: the gain holds on any ground. On even ground there is none to hold."""
    rng = np.random.default_rng(11)
    fresh, old = rng.uniform(0, 10_000, (2, 150, 2))
    day = rng.uniform(0, 168, 12_000)
    place = np.where(
        (day < 90)[:, None], old[rng.integers(0, 150, 12_000)], fresh[rng.integers(0, 150, 12_000)]
    )
    x, y = (place + rng.normal(0, 60, (12_000, 2))).T
    even = rng.uniform(0, 10_000, (2, 12_000))
    days = np.array([140.0])
    moved, same = (scored_cuts(points(*p, day), days, bandwidths_m=()) for p in ((x, y), even))
    gain = moved[0].scores[0].hit_rate[2] - moved[0].scores[1].hit_rate[2]
    low, high = ground_interval(moved[:1]) or (np.nan, np.nan)
    assert 0 < low < gain < high
    low, high = ground_interval(same[:1]) or (np.nan, np.nan)
    assert low < 0 < high
    assert ground_interval(moved[1:]) is None
    assert ground_interval(scored_cuts(points(x / 5, y / 5, day), days, bandwidths_m=())[:1]) is None


def degrees(sample: DatedPoints) -> pd.DataFrame:
    """The sample near Jinshan, in WGS84."""
    lon, lat = points_from_metric(sample.x + X0, sample.y + Y0, parse_frame("wgs84"), 4549)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(sample.day, unit="D")
    return pd.DataFrame({"lon": lon, "lat": lat, "when": when.floor("s")})


@pytest.fixture(scope="module")
def sample_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("validate") / "events.parquet"
    pq.write_table(
        pa.Table.from_pandas(degrees(uneven()).rename(columns={"when": "Date"}), preserve_index=False), path
    )
    return path


def test_one_set_of_events_in_six_files_is_one(sample_file: Path, tmp_path: Path) -> None:
    wanted = read_dated_points(sample_file)
    assert wanted.srid == 32651
    table = degrees(uneven())
    shown = table.assign(when=table["when"].dt.strftime("%Y/%m/%d %H:%M:%S"))
    shown.rename(columns={"lon": "经度", "lat": "纬度", "when": "发生时间"}).to_csv(
        tmp_path / "gbk.csv", index=False, encoding="gb18030"
    )
    bd_lon, bd_lat = wgs84_to_bd09(table["lon"].to_numpy(), table["lat"].to_numpy())
    table.assign(lon=bd_lon, lat=bd_lat).rename(columns={"when": "date"}).to_csv(
        tmp_path / "bd09.csv", index=False, sep=";"
    )
    x, y = points_to_metric(table["lon"].to_numpy(), table["lat"].to_numpy(), parse_frame("wgs84"), 4549)
    pd.DataFrame({"e": x, "n": y, "t": table["when"].dt.strftime("%d.%m.%Y %H:%M:%S")}).to_csv(
        tmp_path / "metres.csv", index=False
    )
    frame = gpd.GeoDataFrame({"time": table["when"]}, geometry=gpd.points_from_xy(x, y), crs=4549)
    frame.to_file(tmp_path / "events.gpkg")
    frame.to_parquet(tmp_path / "geo.parquet")
    for name, options in {
        "gbk.csv": {},
        "bd09.csv": {"frame": "bd09"},
        "metres.csv": {
            "x": "e",
            "y": "n",
            "date": "t",
            "frame": "epsg:4549",
            "date_format": "%d.%m.%Y %H:%M:%S",
        },
        "events.gpkg": {},
        "geo.parquet": {},
    }.items():
        found = read_dated_points(tmp_path / name, **options)
        assert found.srid == wanted.srid, name
        assert found.day == pytest.approx(wanted.day, abs=1e-9), name
        assert np.hypot(found.x - wanted.x, found.y - wanted.y).max() < 0.01, name
        assert not any(found.left_out.values()), name


def test_rows_that_are_no_events_are_counted_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "dirty.csv"
    path.write_text(
        "date,lon,lat\n2024-01-05,121.3,30.8\n2024-02-30,121.3,30.8\n,121.3,30.8\n2024-03-01,0,0\n2024-03-01,,\n"
        "2024-03-02,181,30.8\n2023-01-01,121.3,30.8\n2024-04-01T08:00:00+08:00,121.31,30.81\n",
        encoding="utf-8",
    )
    found = read_dated_points(path, since="2024-01-01", until="2024-04-01")
    assert found.left_out == {"no_position": 3, "no_date": 2, "outside_since_until": 1}
    assert len(found.day) == 2
    assert (found.day[1] - found.day[0]) == 87


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("a,b\n1,2\n", {}, "--x"),
        ("lon,lat\n121,31\n", {}, "--date"),
        ("lon,lat,date\n121,31,03/04/2017\n121,31,13/04/2017\n", {}, "--date-format"),
        ("lon,lat,date\n121,31,1483228800\n", {}, "--date-format"),
        ("lon,lat,date\n620000,3400000,2024-01-01\n", {}, "--frame"),
        ("lon,lat,date\n121,31,2024-01-01\n", {"since": "May"}, "--since"),
        ("lon,lat,date\n121,31,2024-01-01\n", {"since": "2025-01-01"}, "no usable event"),
        ("lon,lat,date\n121,31,2024-01-01\n", {"frame": "gcj"}, "gcj02"),
        ("lon,lat,date\n", {}, "holds no value"),
    ],
)
def test_a_file_that_cannot_be_read_as_events_says_what_to_name(
    tmp_path: Path, text: str, options: dict[str, str], said: str
) -> None:
    path = tmp_path / "events.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match=said):
        read_dated_points(path, **options)


def test_files_that_are_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 not at all")
    for path in (tmp_path / "none.csv", broken, tmp_path):
        with pytest.raises(Refused):
            read_dated_points(path)


def test_the_command_publishes_every_cut_and_repeats_itself(sample_file: Path, tmp_path: Path) -> None:
    said = [run(str(sample_file), "--json", "--kde", "300", "-o", str(tmp_path)) for _ in range(2)]
    assert [s.exit_code for s in said] == [0, 0], said[0].output
    found, again = (json.loads(s.stdout) for s in said)
    assert {k: v for k, v in found.items() if k != "seconds"} == {
        k: v for k, v in again.items() if k != "seconds"
    }
    for key in ("hit_rate", "hit_rate_count", "hit_rate_random", "pai", "hit_rate_kde_300"):
        assert 0 < found[key] < 10, key
    assert found["pai"] == pytest.approx(found["hit_rate"] / 0.1, abs=1e-4)
    assert found["hit_rate_random"] == pytest.approx(0.1, abs=0.002)
    near = found["areas"]["near"]
    assert found["cuts"] == len(near["cuts"]) == 14
    assert found["hit_rate"] == pytest.approx(
        np.mean([c["hit_rates"]["surface"][2] for c in near["cuts"]]), abs=1e-5
    )
    assert found["difference_from_count"] == pytest.approx(
        found["hit_rate"] - found["hit_rate_count"], abs=2e-6
    )
    assert found["full_score"]["known"] is False
    with (tmp_path / "cuts.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 14 * 5 * 4
    assert (
        json.loads((tmp_path / "validation.json").read_text(encoding="utf-8"))["hit_rate"]
        == found["hit_rate"]
    )
    shown = run(str(sample_file), "--step", "28")
    assert shown.exit_code == 0
    assert "累计次数 plain count" in shown.stdout
    assert "2024-06-01" in shown.stdout


def test_a_month_without_events_is_not_scored_as_zero(tmp_path: Path) -> None:
    """Two months of events, two of silence, one more event: the silent cuts have no rate, and the mean is of the others."""
    table = degrees(uneven(400, 70))
    late = table.iloc[[0]].assign(when=pd.Timestamp("2024-05-20"))
    pd.concat([table, late]).rename(columns={"when": "date"}).to_csv(tmp_path / "gap.csv", index=False)
    said = run(str(tmp_path / "gap.csv"), "--json")
    assert said.exit_code == 0
    assert "NaN" not in said.stdout
    cuts = json.loads(said.stdout)["areas"]["near"]["cuts"]
    silent = [cut for cut in cuts if cut["events"] == 0]
    assert len(silent) > 2
    assert all(rate is None for cut in silent for rates in cut["hit_rates"].values() for rate in rates)
    held = [cut["hit_rates"]["count"][2] for cut in cuts if cut["events"]]
    assert json.loads(said.stdout)["hit_rate_count"] == pytest.approx(np.mean(held), abs=1e-5)
    assert run(str(tmp_path / "gap.csv")).exit_code == 0


def test_a_boundary_is_the_study_area(sample_file: Path, tmp_path: Path) -> None:
    outline = gpd.GeoDataFrame(geometry=[shapely.box(X0, Y0, X0 + 3000, Y0 + 5000)], crs=4549)
    outline.to_file(tmp_path / "area.gpkg")
    found = json.loads(run(str(sample_file), "--boundary", str(tmp_path / "area.gpkg"), "--json").stdout)
    assert list(found["areas"]) == ["boundary"]
    assert found["areas"]["boundary"]["area_km2"] == pytest.approx(15, rel=0.05)
    assert sum(c["outside"] for c in found["areas"]["boundary"]["cuts"]) == 0
    outline.set_crs(None, allow_override=True).to_file(tmp_path / "bare.gpkg")
    refused = run(str(sample_file), "--boundary", str(tmp_path / "bare.gpkg"))
    assert isinstance(refused.exception, Refused)


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    """Eight cells of town A; the site in one of them is bad, and that is where fires come; the other site is calm."""
    with small_town(cluster, AS_OF) as connection:
        bad = add_site(connection, 600, 100, hazard="red", people=500)
        add_site(connection, 1600, 100, hazard="blue", people=5)
        add_hazard(connection, bad, "major", AS_OF - timedelta(days=80))
        connection.execute(
            "UPDATE registry.site SET active_from = %s", ((AS_OF - timedelta(days=70)).date(),)
        )
        for number in range(40):
            # Before the register began, fires came elsewhere: a count of them looks to the wrong cell.
            x = 620 if number >= 16 else 1620
            connection.execute(
                "INSERT INTO watch.reported_event (local_id, kind, happened_at, geom, cell_code)"
                " SELECT %s, 'fire', %s, p.geom, g.code"
                " FROM (SELECT ST_SetSRID(ST_MakePoint(%s, %s), 4549) AS geom) AS p"
                " JOIN territory.grid_cell AS g ON ST_Contains(g.geom, p.geom)",
                (f"E{number}", AS_OF - timedelta(days=100 - 2.5 * number), X0 + x, Y0 + 120),
            )
        yield connection


def test_the_full_score_of_past_days(town: Connection) -> None:
    found = full_score(town)
    assert found.events == 40
    assert found.generated == 0
    # 98 days from the first event to the last: cuts 28, 56 and 84 days before the end, the first before the register.
    assert len(found.cuts) == 3
    early, *later = found.cuts
    assert early.scores == ()
    assert "no cell with a score" in early.not_known
    for cut in later:
        rates = {score.method: score.hit_rate for score in cut.scores}
        assert (cut.cells, cut.cells_without_site, cut.sites, cut.hazards) == (10, 8, 2, 1)
        # A tenth of ten equal cells is one cell: all of the fires for the score.
        assert rates["full_score"][2] == pytest.approx(1)
        assert rates["random"][2] == pytest.approx(0.1, abs=0.001)
    assert {s.method: s.hit_rate for s in later[0].scores}["event_count"][2] < 1


def test_the_city_without_a_file(
    cluster: PrivateCluster, town: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "connect", lambda: connect(cluster.url(town.info.dbname)))
    found = json.loads(run("--json").stdout)
    assert found["full_score"]["known"] is True
    assert found["full_score"]["methods"]["full_score"]["0.1"]["hit_rate"] == pytest.approx(1)
    assert list(found["areas"]) == ["boundary"]
    assert found["areas"]["boundary"]["area_km2"] == pytest.approx(3, rel=0.01)
    said = run().stdout
    assert "no cell with a score" in said
    assert "综合评分 / full score" in said


def test_a_city_without_events_is_not_known(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "connect", lambda: connect(empty_url))
    found = json.loads(run("--json").stdout)
    assert found["full_score"]["known"] is False
    assert "no events" in found["full_score"]["why"]
    assert "geoapp load" in found["event_surface_not_known"]
    assert "hit_rate" not in found


@pytest.mark.long
def test_on_the_real_city_the_surface_beats_the_count() -> None:
    folder = os.environ.get("GEOAPP_REAL_DATA")
    path = Path(folder or "nowhere") / "events_city_2017.parquet"
    if not path.exists():
        pytest.skip("GEOAPP_REAL_DATA has no events_city_2017.parquet")
    found = json.loads(run(str(path), "--json").stdout)
    assert found["events"] == 145567
    assert found["beats_count"] is True
    assert found["hit_rate"] > found["hit_rate_kde_250"] > found["hit_rate_random"]
    assert found["seconds"] < 120
