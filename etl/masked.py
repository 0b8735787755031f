"""Values that GeoApp hid when it gave rows out for correction: nobody may store a mask."""

import numpy as np
import pandas as pd

from etl.manifest import Section
from etl.readers import Table
from etl.reasons import Findings
from geoapp.access.redaction import MASK

__all__ = ["refuse_masks"]


def refuse_masks(table: Table, section: Section, findings: Findings) -> None:
    """Sets rows aside that hold a mask in a column that the manifest uses."""
    for column in section.named_columns().values():
        if column in table.columns:
            values = pd.Series(table.columns[column], dtype=object)
            mask = values.str.contains(MASK, regex=False).fillna(False).to_numpy(dtype=bool)
            if mask.any():
                findings.reject(mask, "masked_value", column, value=np.where(mask, MASK, ""))
