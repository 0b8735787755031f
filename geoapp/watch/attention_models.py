"""From looks to incidents: what each camera sees of one, modes of cameras, masks, boxes that were set aside."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, DateTime, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import ZERO, Base, Big


class IncidentCamera(Base):
    """What a camera sees of an incident."""

    __tablename__ = "incident_camera"
    __table_args__ = (
        Index("incident_camera_live_idx", "camera_id", postgresql_where=text("(ended_at IS NULL)")),
        Index("incident_camera_seen_idx", "camera_id", text("last_seen_at DESC")),
        {
            "schema": "watch",
            "comment": "What a camera sees of an incident. One that several cameras see goes quiet only when each of them that can be looked through shows it empty.",
        },
    )

    incident_id: Mapped[UUID] = mapped_column(
        ForeignKey("watch.incident.id", ondelete="CASCADE"), primary_key=True
    )
    camera_id: Mapped[Big] = mapped_column(ForeignKey("registry.camera.id"), primary_key=True)
    box: Mapped[list[float]] = mapped_column(
        comment="x1, y1, x2, y2 in pixels: its extent over this camera's latest looks."
    )
    looks: Mapped[list[bool]] = mapped_column(
        ARRAY(Boolean),
        comment="Whether each usable look of this camera since its first showed it, newest first; as many as a decision can depend on. Looks that could not be done are not among them.",
    )
    looked_at: Mapped[list[datetime]] = mapped_column(
        ARRAY(DateTime(timezone=True)), comment="When each of looks was taken."
    )
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    peak_score: Mapped[float]
    ended_at: Mapped[datetime | None] = mapped_column(comment="When the incident closed; NULL = it is live.")


class CameraMode(Base):
    """How a camera's boxes of a class count, from when on, and who said so."""

    __tablename__ = "camera_mode"
    __table_args__ = (
        Index("camera_mode_camera_idx", "camera_id", text("id DESC")),
        {
            "schema": "watch",
            "comment": "How a camera's boxes of a class count: measure, shadow, alert, or default (as the watch's settings say). Never changed: the newest row of a camera and class holds.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    camera_id: Mapped[Big] = mapped_column(ForeignKey("registry.camera.id", ondelete="CASCADE"))
    class_: Mapped[str | None] = mapped_column(
        "class", comment="NULL = every class; the newer of the two rows holds."
    )
    mode: Mapped[str]
    reason: Mapped[str]
    set_at: Mapped[datetime]
    set_by: Mapped[str]


class Mask(Base):
    """A place in a camera's picture that gave false alarms."""

    __tablename__ = "mask"
    __table_args__ = (
        UniqueConstraint("incident_id", "camera_id", "class", name="mask_incident_id_camera_id_class_key"),
        Index("mask_active_idx", "camera_id", postgresql_where=text("(state = 'active'::text)")),
        {
            "schema": "watch",
            "comment": "Places in a camera's picture that gave false alarms. Active until `until`, never for ever; what it suppressed is counted here and in watch.set_aside_hour.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    camera_id: Mapped[Big] = mapped_column(ForeignKey("registry.camera.id", ondelete="CASCADE"))
    class_: Mapped[str] = mapped_column("class")
    polygon: Mapped[list[dict[str, Any]]] = mapped_column(
        comment="[[x, y], …] in shares of the picture's width and height, 0..1 from its upper left corner."
    )
    cause: Mapped[str]
    incident_id: Mapped[UUID | None] = mapped_column(ForeignKey("watch.incident.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(server_default=text("'proposed'::text"))
    proposed_at: Mapped[datetime]
    proposed_by: Mapped[str]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    until: Mapped[datetime | None]
    suppressed: Mapped[Big] = mapped_column(server_default=ZERO)
    last_suppressed_at: Mapped[datetime | None]


class SetAsideHour(Base):
    """Boxes that concerned no incident, by hour, class and why."""

    __tablename__ = "set_aside_hour"
    __table_args__ = (
        {
            "schema": "watch",
            "comment": "Boxes over their threshold that concerned no incident, and why: the class is only measured there, or a mask lies over them.",
        },
    )

    camera_id: Mapped[Big] = mapped_column(
        ForeignKey("registry.camera.id", ondelete="CASCADE"), primary_key=True
    )
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    class_: Mapped[str] = mapped_column("class", primary_key=True)
    why: Mapped[str] = mapped_column(primary_key=True)
    boxes: Mapped[int]
    top_score: Mapped[float]
