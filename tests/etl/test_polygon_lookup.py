"""The fast way finds the polygon that the plain way finds."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.polygon_lookup import first_containing, make_lookup


@settings(max_examples=40, deadline=None)
@given(
    boxes=st.lists(
        st.tuples(*[st.floats(-500, 500)] * 2, *[st.floats(0.5, 400)] * 2), min_size=1, max_size=20
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_as_a_plain_search_would(boxes, seed):
    rng = np.random.default_rng(seed)
    polygons = np.array([shapely.box(x, y, x + w, y + h) for x, y, w, h in boxes], dtype=object)
    corners = shapely.get_coordinates(polygons)
    points = np.concatenate([rng.uniform(-600, 1000, (200, 2)), corners, [[np.nan, 0.0]]])
    shapes = shapely.points(points[:-1])
    plain = [next((i for i, p in enumerate(polygons) if p.intersects(s)), -1) for s in shapes]
    found = first_containing(make_lookup(polygons), points[:, 0], points[:, 1])
    assert found.tolist() == [*plain, -1]


def test_no_polygon():
    assert first_containing(
        make_lookup(np.array([], dtype=object)), np.array([1.0]), np.array([2.0])
    ).tolist() == [-1]
