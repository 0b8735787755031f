"""Tables of the ledger: which cameras were to be looked through when, and since when that is on record."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import Base, Big

__all__ = ["CameraConnection", "ConnectionRecord"]


class CameraConnection(Base):
    """When a camera was connected, and with what periods (seconds between looks)."""

    __tablename__ = "camera_connection"
    __table_args__ = (
        Index(
            "camera_connection_open_idx",
            "camera_id",
            unique=True,
            postgresql_where=text("(until IS NULL)"),
        ),
        {
            "schema": "watch",
            "comment": "When a camera was connected (an address, switched on, not retired), and with what periods; until NULL = still. Kept by a trigger on registry.camera and by the watch.",
        },
    )

    camera_id: Mapped[Big] = mapped_column(
        ForeignKey("registry.camera.id", ondelete="CASCADE"), primary_key=True
    )
    since: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]
    period_s: Mapped[int] = mapped_column(
        comment="Seconds between looks as planned; night_period_s: at night, NULL = as by day."
    )
    night_period_s: Mapped[int | None]


class ConnectionRecord(Base):
    """Since when the record of connections is complete: one row."""

    __tablename__ = "connection_record"
    __table_args__ = (
        {
            "schema": "watch",
            "comment": "One row: since when watch.camera_connection is complete. What was connected before is not known.",
        },
    )

    began_at: Mapped[datetime] = mapped_column(primary_key=True)
