"""Checks of columns and geometries: each gives the values to store and notes why a row cannot be."""

from etl.checks.codes import camera_ids, divisions, usccs
from etl.checks.dates import dates, ordered
from etl.checks.lines import lines
from etl.checks.points import points, within_district
from etl.checks.polygons import polygons
from etl.checks.shapes import warn_partly_outside
from etl.checks.times import times
from etl.checks.values import (
    allowed,
    blank,
    flags,
    numbers,
    required,
    texts,
    words,
)

__all__ = [
    "allowed",
    "blank",
    "camera_ids",
    "dates",
    "divisions",
    "flags",
    "lines",
    "numbers",
    "ordered",
    "points",
    "polygons",
    "required",
    "texts",
    "times",
    "usccs",
    "warn_partly_outside",
    "within_district",
    "words",
]
