"""The two surfaces of risk against the formula computed directly with numpy, and the hexagons that they lie on."""

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
import shapely
from clones import AS_OF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_town import X0, Y0, add_site, small_town

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
WIDTH = 250.0


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        draw = random.Random(6)
        for _ in range(60):
            add_site(
                connection,
                draw.uniform(1, 2999),
                draw.uniform(1, 999),
                hazard=draw.choice(["blue", "yellow", "red", None]),
            )
        yield connection


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    x=st.floats(500_000, 700_000),
    y=st.floats(3_000_000, 5_000_000),
    width=st.sampled_from([100.0, 250.0, 777.7]),
)
def test_a_point_lies_in_its_hexagon(town: Connection, x: float, y: float, width: float) -> None:
    row = town.execute(
        "SELECT h.q, h.r, m.x, m.y, ST_AsBinary(analysis.hex_shape(h.q, h.r, %(w)s)) AS shape"
        " FROM analysis.hex_of(%(x)s, %(y)s, %(w)s) AS h, analysis.hex_middle(h.q, h.r, %(w)s) AS m",
        {"x": x, "y": y, "w": width},
    ).fetchone()
    assert row is not None
    shape = shapely.from_wkb(bytes(row["shape"]))
    assert shape.buffer(1e-6 * width).contains(shapely.Point(x, y))
    assert math.hypot(row["x"] - x, row["y"] - y) <= width / math.sqrt(3) + 1e-6
    assert shape.area == pytest.approx(width**2 * math.sqrt(0.75), rel=1e-6)
    assert shape.bounds[2] - shape.bounds[0] == pytest.approx(width, rel=1e-6)


@pytest.mark.parametrize("bandwidth", [300.0, 800.0])
def test_surfaces_are_the_formula(town: Connection, bandwidth: float) -> None:
    sites = town.execute(
        "SELECT r.score, ST_X(s.geom) AS x, ST_Y(s.geom) AS y FROM analysis.risk_site_at(%s) AS r JOIN registry.site AS s ON s.id = r.site_id",
        (AS_OF,),
    ).fetchall()
    x, y, score = (np.array([s[name] for s in sites]) for name in ("x", "y", "score"))
    found = town.execute(
        "SELECT s.*, ST_X(ST_Centroid(s.geom)) AS x, ST_Y(ST_Centroid(s.geom)) AS y FROM analysis.risk_surface_at(%s, %s) AS s",
        (AS_OF, bandwidth),
    ).fetchall()
    # Every hexagon whose middle lies in the county, no other, none twice: 3 km² of 54,127 m² each.
    assert len({(h["q"], h["r"]) for h in found}) == len(found)
    assert len(found) == pytest.approx(3e6 / (WIDTH**2 * math.sqrt(0.75)), abs=12)
    ground = shapely.box(X0, Y0, X0 + 3000, Y0 + 1000)
    # The kernel's mass by small squares; the function takes 384 points.
    step = np.linspace(-bandwidth, bandwidth, 201)
    gx, gy = np.meshgrid(step, step)
    mass = np.where(gx**2 + gy**2 < bandwidth**2, (1 - (gx**2 + gy**2) / bandwidth**2) ** 2, 0)
    for row in found:
        assert ground.buffer(1e-6).contains(shapely.Point(row["x"], row["y"]))
        u2 = ((x - row["x"]) ** 2 + (y - row["y"]) ** 2) / bandwidth**2
        w = np.where(u2 < 1, (1 - u2) ** 2, 0)
        assert row["weight"] == pytest.approx(w.sum(), rel=1e-9, abs=1e-12)
        assert (row["rate"] is None) == (w.sum() < 0.2)
        if row["rate"] is not None:
            assert row["rate"] == pytest.approx((w * score).sum() / w.sum(), rel=1e-9)
        share = mass[shapely.contains_xy(ground, gx + row["x"], gy + row["y"])].sum() / mass.sum()
        assert row["inside_share"] == pytest.approx(share, abs=0.025)
        density = 1e6 * (w * score / 100).sum() * 3 / (math.pi * bandwidth**2) / row["inside_share"]
        assert row["density"] == pytest.approx(density, rel=1e-9, abs=1e-12)
    assert any(h["inside_share"] == 1 for h in found) == (bandwidth == 300)
    assert w[u2 >= 1].sum() == 0


def test_no_ground_no_surface_and_a_kernel_that_cannot_be(town: Connection) -> None:
    for wrong in (0.0, 10.0, 1e6):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="kernel"):
            town.execute("SELECT * FROM analysis.risk_surface_at(%s, %s)", (AS_OF, wrong))
    with town.transaction(force_rollback=True):
        town.execute("UPDATE territory.unit SET geom = NULL")
        assert town.execute("SELECT * FROM analysis.risk_surface_at(%s)", (AS_OF,)).fetchall() == []
