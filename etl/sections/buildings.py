"""Buildings: outlines with height, floors and use."""

import numpy as np
import shapely

from etl import checks
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Buildings
from etl.sections.own_keys import file_keys
from etl.sections.shape_text import shape_text
from etl.sections.values import Values, constant
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "territory.building",
    "local_id",
    fills=True,
    types={
        "local_id": "text",
        "name_zh": "text",
        "use": "text",
        "height_m": "float8",
        "floors": "int4",
        "geom": "geometry",
        "town_code": "text",
        "cell_code": "text",
    },
)


def prepare(
    table: Table, section: Buildings, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of territory.building; outlines in metres of the zone, town and cell of a point inside."""
    columns = section.columns
    assert frame is not None
    name = checks.texts(table, columns.name, default="")
    keys = file_keys(table, columns.id, "building", [name, shape_text(table)], ground, findings)
    geom = checks.polygons(table, frame, ground, findings, multi=True)
    checks.warn_partly_outside(geom, ground, findings)
    inside = constant(table, None)
    placed = ~checks.blank(geom)
    inside[placed] = shapely.point_on_surface(geom[placed])
    values: Values = {
        "local_id": keys,
        "geom": geom,
        "town_code": checks.within_district(
            inside, constant(table, None), ground, findings, section.border_tolerance_m
        ),
        "cell_code": np.full(len(table), None, dtype=object),
    }
    values["cell_code"][placed] = ground.cells_at(inside[placed])
    if columns.name:
        values["name_zh"] = name
    if columns.use:
        values["use"] = checks.texts(table, columns.use, default="")
    for field, column, low, high, whole in (
        ("height_m", columns.height_m, 0.1, 1000, False),
        ("floors", columns.floors, 1, 200, True),
    ):
        if column:
            text = checks.texts(table, column)
            values[field] = checks.numbers(text, findings, column, low=low, high=high, whole=whole)
    return values
