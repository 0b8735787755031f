"""Counts of sites by place, which the map of a whole city is drawn from."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Numeric, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import TRUE, Base

__all__ = ["SiteBin", "SiteBinMade"]


class SiteBin(Base):
    """Sites of one grade of an area in one bin."""

    __tablename__ = "site_bin"
    __table_args__ = (
        {
            "schema": "registry",
            "comment": "Sites by tile of level 16 (32 to a side of a tile of zoom 11) and 19 (64, zoom 13) and grade; an empty text = not graded, no code. Of the rows of one bin only the sum means something: a site that was counted before its first day is taken out under another one.",
        },
    )

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    bin_x: Mapped[int] = mapped_column(primary_key=True)
    bin_y: Mapped[int] = mapped_column(primary_key=True)
    town_code: Mapped[str] = mapped_column(primary_key=True)
    cell_town_code: Mapped[str] = mapped_column(
        primary_key=True, comment="Town of the cell that they stand in, where it is not town_code."
    )
    community_code: Mapped[str] = mapped_column(primary_key=True)
    hazard_level: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[date] = mapped_column(
        primary_key=True,
        comment="-infinity where the sites were there on the day of writing; else their first day. until: first day without them.",
    )
    until: Mapped[date] = mapped_column(primary_key=True)
    n: Mapped[int]
    sum_x: Mapped[float] = mapped_column(
        comment="Of their places in EPSG:3857, metres: over n it is where the point is drawn. sum_id: of their ids; of a single site its id."
    )
    sum_y: Mapped[float]
    sum_id: Mapped[Decimal] = mapped_column(Numeric)


class SiteBinMade(Base):
    """Whether the counts hold every site."""

    __tablename__ = "site_bin_made"
    __table_args__ = (
        {
            "schema": "registry",
            "comment": "Whether registry.site_bin holds every site; false after a statement that changed thousands, until the next rebuild.",
        },
    )

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=TRUE)
    is_whole: Mapped[bool] = mapped_column(server_default=TRUE)
    made_at: Mapped[datetime | None]
