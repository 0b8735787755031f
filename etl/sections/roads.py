"""Roads and railways: lines of the base map, along which cells are cut."""

from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Roads
from etl.sections.base_features import TARGET, base_features
from etl.sections.values import Values

__all__ = ["TARGET", "prepare"]


def prepare(table: Table, section: Roads, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    """Values of territory.base_feature; lines in metres of the zone."""
    assert frame is not None
    return base_features(table, section, frame, ground, findings, or_areas=False)
