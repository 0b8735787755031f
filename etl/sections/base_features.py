"""Roads and water of the base map: what both sections have in common."""

from etl import checks
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Roads, Water
from etl.sections.own_keys import file_keys
from etl.sections.shape_text import shape_text
from etl.sections.values import Values
from etl.store import Target

__all__ = ["TARGET", "base_features"]

TARGET = Target(
    "territory.base_feature",
    "local_id",
    types={
        "local_id": "text",
        "kind": "text",
        "name_zh": "text",
        "name_en": "text",
        "width_m": "float8",
        "geom": "geometry",
    },
)


def base_features(
    table: Table, section: Roads | Water, frame: Frame, ground: Ground, findings: Findings, *, or_areas: bool
) -> Values:
    """Values of territory.base_feature; shapes in metres of the zone."""
    columns = section.columns
    kind = checks.required(
        checks.texts(table, columns.kind, default=section.kind), findings, columns.kind or "kind"
    )
    name = checks.texts(table, columns.name, default="")
    keys = file_keys(table, columns.id, section.name, [kind, name, shape_text(table)], ground, findings)
    values: Values = {
        "local_id": keys,
        "kind": checks.allowed(kind, findings, columns.kind or "kind", section.kinds),
        "geom": checks.lines(table, frame, ground, findings, or_areas=or_areas),
    }
    if columns.name:
        values["name_zh"] = name
    if columns.name_en:
        values["name_en"] = checks.texts(table, columns.name_en, default="")
    if columns.width_m:
        text = checks.texts(table, columns.width_m)
        values["width_m"] = checks.numbers(text, findings, columns.width_m, low=0.1, high=10_000)
    return values
