"""Counts of events by place and day, which maps and charts of millions of them are drawn from."""

from datetime import date, datetime

from sqlalchemy import ARRAY, Identity, Index, Integer, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import NOW, TRUE, ZERO, Base, Big

__all__ = ["EventBin", "EventChange", "EventDay", "EventFold"]


class EventChange(Base):
    """Events that came or went since the last fold."""

    __tablename__ = "event_change"
    __table_args__ = (
        {
            "schema": "watch",
            "comment": "Events that came (n > 0) or went (n < 0) since the last fold into watch.event_bin and watch.event_day. bin_x, bin_y: tile of level 20. The other columns as in those tables.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    n: Mapped[int]
    day: Mapped[date]
    class_: Mapped[str] = mapped_column("class")
    bin_x: Mapped[int]
    bin_y: Mapped[int]
    cell_code: Mapped[str]
    town_code: Mapped[str]
    site_town_code: Mapped[str]
    community_code: Mapped[str]
    site_community_code: Mapped[str]
    written_at: Mapped[datetime] = mapped_column(server_default=NOW)


class EventBin(Base):
    """What one area has in the bins of one tile in one day, month or year."""

    __tablename__ = "event_bin"
    __table_args__ = (
        Index(
            "event_bin_community_idx",
            "community_code",
            "starts_on",
            postgresql_where=text("(community_code <> ''::text)"),
        ),
        Index(
            "event_bin_site_community_idx",
            "site_community_code",
            "starts_on",
            postgresql_where=text("(site_community_code <> ''::text)"),
        ),
        {
            "schema": "watch",
            "comment": "Events by bin, folded: numbers of bins with events (column + 64 × row in the tile), how many in each, of all classes (n) and of each. Days are the city's, of first_seen_at. Read it through analysis.event_bins: what is not folded yet is in watch.event_change.",
        },
    )

    period: Mapped[str] = mapped_column(primary_key=True)
    starts_on: Mapped[date] = mapped_column(primary_key=True)
    zoom: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    tile_x: Mapped[int] = mapped_column(primary_key=True)
    tile_y: Mapped[int] = mapped_column(primary_key=True)
    town_code: Mapped[str] = mapped_column(primary_key=True)
    site_town_code: Mapped[str] = mapped_column(
        primary_key=True,
        comment="As watch.incident.site_town_code; an empty text where there is none, as in the other codes.",
    )
    community_code: Mapped[str] = mapped_column(primary_key=True)
    site_community_code: Mapped[str] = mapped_column(primary_key=True)
    bin: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    n: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    fire: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    smoke: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    welding_arc: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    sparks: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class EventDay(Base):
    """Events of a community by day and class, and in which of its cells."""

    __tablename__ = "event_day"
    __table_args__ = (
        Index("event_day_town_idx", "town_code", "day"),
        Index("event_day_community_idx", "community_code", "day"),
        {
            "schema": "watch",
            "comment": "Events by day and class of a community, folded, and how many in each of its cells. Read it through analysis.event_day and analysis.event_cell_day.",
        },
    )

    day: Mapped[date] = mapped_column(primary_key=True)
    class_: Mapped[str] = mapped_column("class", primary_key=True)
    town_code: Mapped[str] = mapped_column(primary_key=True)
    site_town_code: Mapped[str] = mapped_column(primary_key=True)
    community_code: Mapped[str] = mapped_column(primary_key=True)
    site_community_code: Mapped[str] = mapped_column(primary_key=True)
    n: Mapped[int]
    cell_code: Mapped[list[str]]
    cell_n: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class EventFold(Base):
    """How often the counts were folded: with what waits, their version."""

    __tablename__ = "event_fold"
    __table_args__ = (
        {
            "schema": "watch",
            "comment": "How often the counts of events were folded. With the number of changes that wait it is their version: between two folds changes are only added.",
        },
    )

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=TRUE)
    folded: Mapped[Big] = mapped_column(server_default=ZERO)
    folded_at: Mapped[datetime | None]
    salt: Mapped[str] = mapped_column(
        server_default=text("(gen_random_uuid())::text"),
        comment="Nobody reads it but territory.versions_of, whose text would tell counts without it.",
    )
