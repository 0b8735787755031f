"""Tables of the review desk: who looks at a lead, to whom it was given, what a shift hands over."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import EMPTY, NOW, Base, Big

__all__ = ["Handover", "HandoverReceipt", "IncidentAssignment", "IncidentHold"]

NO_CODES = text("'{}'::text[]")


class IncidentHold(Base):
    """Who looks at a lead now."""

    __tablename__ = "incident_hold"
    __table_args__ = (
        {"schema": "watch", "comment": "正在核实: who looks at a lead now; past held_until nobody does."},
    )

    incident_id: Mapped[UUID] = mapped_column(
        ForeignKey("watch.incident.id", ondelete="CASCADE"), primary_key=True
    )
    db_role: Mapped[str] = mapped_column(String)
    login: Mapped[str] = mapped_column(server_default=EMPTY)
    name_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    name_en: Mapped[str] = mapped_column(server_default=EMPTY)
    since: Mapped[datetime]
    held_until: Mapped[datetime]


class IncidentAssignment(Base):
    """To whom an incident was given."""

    __tablename__ = "incident_assignment"
    __table_args__ = (
        Index("incident_assignment_incident_idx", "incident_id", text("id DESC")),
        {
            "schema": "watch",
            "comment": "线索指派: to whom an incident was given, never changed; the newest row of an incident counts.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    incident_id: Mapped[UUID] = mapped_column(ForeignKey("watch.incident.id", ondelete="CASCADE"))
    department_code: Mapped[str | None] = mapped_column(ForeignKey("duty.department.code"))
    person_id: Mapped[Big | None] = mapped_column(ForeignKey("duty.person.id"))
    note: Mapped[str] = mapped_column(server_default=EMPTY)
    town_code: Mapped[str | None]
    assigned_at: Mapped[datetime] = mapped_column(server_default=NOW)
    assigned_by: Mapped[str] = mapped_column(server_default=EMPTY)


class Handover(Base):
    """What an officer wrote at the end of a shift."""

    __tablename__ = "handover"
    __table_args__ = (
        Index("handover_written_idx", text("written_at DESC")),
        {
            "schema": "watch",
            "comment": "交班记录: what an officer wrote at the end of a shift, with the figures of that shift as they were then.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    note: Mapped[str]
    shift_from: Mapped[datetime]
    written_at: Mapped[datetime] = mapped_column(server_default=NOW)
    written_by: Mapped[str] = mapped_column(server_default=EMPTY)
    writer_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    writer_en: Mapped[str] = mapped_column(server_default=EMPTY)
    area_codes: Mapped[list[str]] = mapped_column(
        server_default=NO_CODES, comment="Towns or communities of the writer; empty = the whole district."
    )
    figures: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))


class HandoverReceipt(Base):
    """Who has read a handover, and when."""

    __tablename__ = "handover_receipt"
    __table_args__ = (
        Index("handover_receipt_account_idx", "received_by", text("received_at DESC")),
        {"schema": "watch", "comment": "接班确认: who has read a handover, and when."},
    )

    handover_id: Mapped[Big] = mapped_column(
        ForeignKey("watch.handover.id", ondelete="CASCADE"), primary_key=True
    )
    received_by: Mapped[str] = mapped_column(server_default=EMPTY, primary_key=True)
    receiver_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    receiver_en: Mapped[str] = mapped_column(server_default=EMPTY)
    received_at: Mapped[datetime] = mapped_column(server_default=NOW)
