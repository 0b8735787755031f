"""Checks of shapes: each fault has its code, what can be mended is, and what is good stays as it is."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from etl import checks
from etl.checks.shapes import warn_partly_outside
from etl.frames import parse_frame
from etl.ground import Ground
from etl.manifest import City
from etl.readers import Table
from etl.reasons import REASONS, Findings

X, Y = 620_000.0, 3_400_000.0
METRES = parse_frame("epsg:4549")


@cache
def district(size=10_000.0):
    """The ground of a made-up district: a square, no database behind it."""
    ground = Ground(None, City(name_zh="甲区", name_en="A", code="310199", metric_srid=4549))
    ground.__dict__["district"] = shapely.box(X, Y, X + size, Y + size)
    return ground


def table_of(shapes):
    return Table(
        path=Path("x.gpkg"),
        held={},
        row_no=np.arange(1, len(shapes) + 1),
        shapes=np.array([*shapes, None], dtype=object)[:-1],
    )


def ring(*points):
    return [(X + x, Y + y) for x, y in points]


def polygon(*points, holes=()):
    return shapely.Polygon(ring(*points), [ring(*hole) for hole in holes])


def checked(shapes, frame=METRES, multi=False, check=checks.polygons, **options):
    findings = Findings(len(shapes))
    if check is checks.polygons:
        options["multi"] = multi
    out = check(table_of(shapes), frame, district(), findings, **options)
    assert all(row in findings.reasons for row in range(len(shapes)) if out[row] is None)
    return out, findings


def codes(found):
    return {row: [one.code for one in ones] for row, ones in found.items()}


SQUARE = ((0, 0), (100, 0), (100, 100), (0, 100))
BOWTIE = ((0, 0), (100, 100), (100, 0), (0, 100))
GOOD = polygon(*SQUARE)


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        (None, "geometry_missing"),
        (shapely.Polygon(), "geometry_empty"),
        (shapely.Point(X, Y), "geometry_wrong_type"),
        (shapely.LineString(ring(*SQUARE)), "geometry_wrong_type"),
        (polygon((0, 0), (100, 0), (np.nan, 100), (0, 100)), "coordinate_not_finite"),
        (polygon((0, 0), (100, 0), (np.inf, 100), (0, 100)), "coordinate_not_finite"),
        (shapely.box(1e30, 1e30, 2e30, 2e30), "outside_zone"),
        (shapely.box(-5e6, 3e6, -4e6, 4e6), "outside_zone"),
        (polygon((0, 0), (50, 0), (100, 0)), "geometry_invalid"),  # no area
        (polygon((0, 0), (0.5, 0), (0.5, 0.5), (0, 0.5)), "area_tiny"),
        (shapely.MultiPolygon([GOOD, polygon((200, 0), (300, 0), (300, 100))]), "geometry_multi_part"),
    ],
)
def test_what_cannot_be_stored_is_set_aside_and_says_why(shape, code):
    out, findings = checked([shape, GOOD])
    assert codes(findings.reasons) == {0: [code]}
    assert out[1].equals(GOOD)


def test_degrees_that_are_none():
    box = shapely.box(121.0, 30.7, 421.0, 30.8)
    _, findings = checked([box, shapely.box(121.3, 30.8, 121.31, 30.81)], frame=parse_frame("gcj02"))
    assert codes(findings.reasons) == {0: ["coordinate_out_of_range"]}
    assert "121.00000, 30.70000" in findings.reasons[0][0].zh


@pytest.mark.parametrize(
    ("shape", "code", "area"),
    [
        (polygon(*BOWTIE), "geometry_made_valid", 5_000),
        (polygon(*SQUARE, holes=[((10, 10), (50, 10), (50, 50), (10, 50)), ((40, 40), (60, 40), (60, 60), (40, 60))]),
         "geometry_made_valid", 10_000 - 1_900),
        (polygon((0, 0), (100, 0), (100, 0), (100, 100), (0, 100)), "vertices_repeated", 10_000),
        (polygon((0, 0), (100, 0), (100, 50), (130, 50.002), (100, 50.004), (100, 100), (0, 100)), "spike_removed", 10_000),
        (polygon((0, 0), (100, 0), (100, 50), (70, 50.002), (100, 50.004), (100, 100), (0, 100)), "spike_removed", 10_000),
        (polygon((50, 30), (50.002, 0), (100, 0), (100, 100), (0, 100), (0, 0), (50, 0)), "spike_removed", 10_000),
        (shapely.MultiPolygon([GOOD, polygon((200, 0), (200.5, 0), (200.5, 0.5))]), "parts_dropped", 10_000),
    ],
)  # fmt: skip
def test_what_can_be_mended_is_kept_before_and_after(shape, code, area):
    out, findings = checked(
        [shape, GOOD], multi=shape.geom_type == "Polygon" and code == "geometry_made_valid"
    )
    assert codes(findings.repairs) == {0: [code]}
    repair = findings.repairs[0][0]
    assert shapely.from_wkt(repair.before).equals_exact(shape, 1e-3)
    assert shapely.is_valid(out[0])
    assert shapely.area(out[0]) == pytest.approx(area, abs=1)
    assert not findings.reasons
    assert out[1].equals(GOOD)


def test_a_thin_triangle_is_no_spike_and_is_stored_with_a_warning():
    sliver = polygon((0, 0), (2_000, 0), (2_000, 0.4))
    out, findings = checked([sliver, GOOD])
    assert codes(findings.warnings) == {0: ["shape_thin"]}
    assert not findings.repairs
    assert out[0].equals(sliver)


def test_heights_are_dropped_and_rings_made_alike_with_a_notice_and_no_reason():
    high = shapely.Polygon([(x, y, 7.0) for x, y in ring(*SQUARE)])
    measured = shapely.from_wkt(
        "POLYGON M ((620000 3400000 1, 620100 3400000 2, 620100 3400100 3, 620000 3400000 1))"
    )
    turned = polygon(*SQUARE[::-1])
    out, findings = checked([high, measured, turned, GOOD])
    assert not findings.reasons
    assert not findings.repairs
    assert len(findings.notices) == 2
    assert "2 个图形" in findings.notices[0]
    assert not shapely.has_z(out).any()
    assert not shapely.has_m(out).any()
    assert shapely.is_ccw(shapely.get_exterior_ring(out)).all()
    # A shapefile has all of them clockwise: no word about it.
    _, findings = checked([turned, turned])
    assert not findings.notices


def test_single_shapes_become_multi_where_the_register_has_them():
    out, findings = checked([GOOD, None, shapely.MultiPolygon([GOOD]), polygon(*BOWTIE)], multi=True)
    assert [g.geom_type for g in out if g is not None] == ["MultiPolygon"] * 3
    assert list(findings.reasons) == [1]
    out, _ = checked([shapely.MultiPolygon([GOOD])])
    assert out[0].geom_type == "Polygon"


def test_shapes_beyond_the_border():
    findings = Findings(4)
    inside, across, away = (
        GOOD,
        polygon((-50, 0), (50, 0), (50, 100), (-50, 100)),
        polygon((-900, 0), (-800, 0), (-800, 9)),
    )
    shapes = np.array([inside, across, away, None], dtype=object)
    warn_partly_outside(shapes, district(), findings)
    assert codes(findings.warnings) == {1: ["partly_outside"]}
    assert "5,000" in findings.warnings[1][0].zh
    assert "50.0%" in findings.warnings[1][0].zh


def test_lines_and_areas_of_water():
    line = shapely.LineString(ring((0, 0), (100, 0), (100, 0), (200, 50)))
    speck, away = shapely.LineString(ring((0, 0), (0.01, 0))), shapely.LineString(ring((-900, 0), (-800, 0)))
    out, findings = checked([line, speck, away, polygon(*BOWTIE), None], check=checks.lines, or_areas=True)
    assert codes(findings.reasons) == {1: ["length_tiny"], 2: ["outside_district"], 4: ["geometry_missing"]}
    assert codes(findings.repairs) == {0: ["vertices_repeated"], 3: ["geometry_made_valid"]}
    assert len(out[0].coords) == 3
    _, findings = checked([GOOD], check=checks.lines)
    assert codes(findings.reasons) == {0: ["geometry_wrong_type"]}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), min_size=3, max_size=9),
    st.booleans(),
)
def test_whatever_is_drawn_is_stored_valid_or_set_aside_with_a_reason(points, multi):
    out, findings = checked([polygon(*points)], multi=multi)
    if out[0] is not None:
        assert shapely.is_valid(out[0])
        assert shapely.area(out[0]) >= 1
        assert out[0].geom_type == ("MultiPolygon" if multi else "Polygon")
    assert all(one.code in REASONS for ones in findings.reasons.values() for one in ones)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 60), st.floats(5, 2_000), st.floats(0, 1))
def test_a_round_good_shape_is_left_as_it_is(corners, radius, turn):
    angle = 2 * np.pi * (np.arange(corners) + turn) / corners
    shape = polygon(*zip(3_000 + radius * np.cos(angle), 3_000 + radius * np.sin(angle), strict=True))
    out, findings = checked([shape])
    assert not findings.reasons
    assert not findings.repairs
    assert out[0].equals_exact(shape, 0)
