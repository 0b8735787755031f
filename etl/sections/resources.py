"""Resources: what helps in an emergency, as points."""

import numpy as np

from etl import checks, words
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Resources
from etl.sections.named_town import within_named_town
from etl.sections.own_keys import file_keys
from etl.sections.values import Values, constant
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "registry.resource",
    "local_id",
    said_of_place=("source_frame",),
    types={
        "local_id": "text",
        "kind": "text",
        "name_zh": "text",
        "phone": "text",
        "capacity": "float8",
        "geom": "geometry",
        "town_code": "text",
        "cell_code": "text",
        "source_frame": "text",
    },
)


def prepare(
    table: Table, section: Resources, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of registry.resource; points in metres of the zone."""
    columns = section.columns
    assert frame is not None
    places, x, y = checks.points(table, columns.lon, columns.lat, frame, ground, findings)
    kind = checks.required(
        checks.texts(table, columns.kind, default=section.kind), findings, columns.kind or "kind"
    )
    name = checks.texts(table, columns.name, default="")
    where = [np.round(np.nan_to_num(v), 7) for v in (x, y)]
    values: Values = {
        "local_id": file_keys(table, columns.id, "resource", [kind, name, *where], ground, findings),
        "kind": checks.allowed(kind, findings, columns.kind or "kind", words.RESOURCE_KINDS),
        "geom": places,
        "town_code": within_named_town(
            table, columns.town_code, columns.town, places, ground, findings, section
        ),
        "cell_code": ground.cells_at(places),
        "source_frame": constant(table, frame.name),
    }
    if columns.name:
        values["name_zh"] = name
    if columns.phone:
        values["phone"] = checks.texts(table, columns.phone)
    if columns.capacity:
        text = checks.texts(table, columns.capacity)
        values["capacity"] = checks.numbers(text, findings, columns.capacity, low=0, high=10_000_000)
    return values
