"""What all models share: the metadata, the types that annotations stand for, and the table of constants.

The schema is made by sql/migrations; the models describe it for Python. tests/database/test_models.py compares the two.
Geometry is in the city's metric zone (EPSG code from the settings, metres), columns named *_3857 in EPSG:3857.
"""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from geoalchemy2 import Geometry
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Computed,
    Date,
    DateTime,
    Double,
    Index,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from geoapp.settings import settings

Big = Annotated[int, 64]  # bits: bigint

FALSE = text("false")
TRUE = text("true")
NOW = text("now()")
ZERO = text("0")
ONE = text("1")
EMPTY = text("''::text")


class Base(DeclarativeBase):
    """Base of every model of the house."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as it is
        str: Text,
        float: Double,
        date: Date,
        datetime: DateTime(timezone=True),
        UUID: Uuid,
        Big: BigInteger,
        list[str]: ARRAY(Text),
        list[float]: ARRAY(Double),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
    }


def metric(kind: str) -> Geometry:
    """A geometry type in the city's metric zone, metres; its index is declared by name where there is one."""
    return Geometry(kind, srid=settings().metric_srid, spatial_index=False)


def mercator(kind: str) -> Geometry:
    """A geometry type in EPSG:3857, for tiles."""
    return Geometry(kind, srid=3857, spatial_index=False)


def projected(column: str) -> Computed:
    """The generated copy of a metric column in EPSG:3857."""
    return Computed(f"ST_Transform({column}, 3857)", persisted=True)


def gist(name: str, *columns: str) -> Index:
    """A spatial index."""
    return Index(name, *columns, postgresql_using="gist")


class Parameter(Base):
    """Every constant of the risk, coverage and duty formulas; change a row, not a view."""

    __tablename__ = "parameter"
    __table_args__ = (
        {
            "schema": "analysis",
            "comment": "Every constant of the risk, coverage and duty formulas; change a row, not a view.",
        },
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
    unit: Mapped[str] = mapped_column(server_default=EMPTY)
    note_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    note_en: Mapped[str] = mapped_column(server_default=EMPTY)
