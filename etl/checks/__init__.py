"""Checks of columns and geometries: each gives the values to store and notes why a row cannot be."""

from etl.checks.points import points, within_district
from etl.checks.polygons import polygons
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
    "numbers",
    "points",
    "polygons",
    "required",
    "texts",
    "usccs",
    "within_district",
]
