"""Water: areas of the base map, and rivers that are given as lines."""

from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Water
from etl.sections.base_features import TARGET, base_features
from etl.sections.values import Values

__all__ = ["TARGET", "prepare"]


def prepare(table: Table, section: Water, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    """Values of territory.base_feature; areas or lines in metres of the zone."""
    assert frame is not None
    return base_features(table, section, frame, ground, findings, or_areas=True)
