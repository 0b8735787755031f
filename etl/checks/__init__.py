"""Checks of columns and geometries: each gives the values to store and notes why a row cannot be."""

from etl.checks.lines import lines
from etl.checks.points import points, within_district
from etl.checks.polygons import polygons
from etl.checks.times import times
from etl.checks.values import (
    allowed,
    blank,
    dates,
    divisions,
    flags,
    numbers,
    required,
    texts,
    usccs,
)

__all__ = [
    "allowed",
    "blank",
    "dates",
    "divisions",
    "flags",
    "lines",
    "numbers",
    "points",
    "polygons",
    "required",
    "texts",
    "times",
    "usccs",
    "within_district",
]
