"""Tables of retention: how long frames are kept, what may not be deleted, what was."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import EMPTY, NOW, Base, Big

__all__ = ["Deletion", "EvidenceRoom", "LegalHold", "RetentionPolicy"]


class RetentionPolicy(Base):
    """Days that frames are kept, by review and class."""

    __tablename__ = "retention_policy"
    __table_args__ = (
        {
            "schema": "watch",
            "comment": "画面保存期限: days that frames of an incident are kept, by its review and class (a row of the class goes before the row of any).",
        },
    )

    review: Mapped[str] = mapped_column(primary_key=True)
    class_: Mapped[str] = mapped_column("class", server_default=text("'any'::text"), primary_key=True)
    days: Mapped[int] = mapped_column(
        comment="Days after the incident was last seen or last reviewed, whichever is later; never fewer than 30. Frames of incidents that are not closed stay."
    )
    basis_zh: Mapped[str]
    basis_en: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    changed_by: Mapped[str] = mapped_column(server_default=EMPTY)


class LegalHold(Base):
    """Nothing of the incident is deleted while this is not released."""

    __tablename__ = "legal_hold"
    __table_args__ = (
        Index("legal_hold_live_idx", "incident_id", postgresql_where=text("(released_at IS NULL)")),
        {
            "schema": "watch",
            "comment": "证据保全: nothing of the incident is deleted while one of its holds is not released, whoever asks; a hold is released, never removed.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    incident_id: Mapped[UUID] = mapped_column(ForeignKey("watch.incident.id"))
    reason: Mapped[str]
    since: Mapped[datetime] = mapped_column(server_default=NOW)
    held_by: Mapped[str] = mapped_column(server_default=EMPTY)
    released_at: Mapped[datetime | None]
    released_by: Mapped[str | None]
    release_reason: Mapped[str | None]


class Deletion(Base):
    """A frame that was deleted, or is about to be."""

    __tablename__ = "deletion"
    __table_args__ = (
        Index("deletion_begun_idx", "begun_at", postgresql_where=text("(deleted_at IS NULL)")),
        Index("deletion_incident_idx", "incident_id"),
        Index("deletion_deleted_idx", text("deleted_at DESC")),
        {
            "schema": "watch",
            "comment": "画面删除记录: which frame was deleted, when, and the policy as it was then. Begun before the file goes, confirmed after: one that was cut off is finished by the next sweep.",
        },
    )

    evidence_id: Mapped[UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[UUID]
    incident_no: Mapped[Big]
    town_code: Mapped[str | None]
    path: Mapped[str | None]
    sha256: Mapped[str | None]
    bytes: Mapped[int]
    captured_at: Mapped[datetime]
    review: Mapped[str]
    class_: Mapped[str] = mapped_column("class")
    days: Mapped[int]
    basis_zh: Mapped[str]
    basis_en: Mapped[str]
    begun_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    was_missing: Mapped[bool | None] = mapped_column(
        comment="The file was already gone when its turn came (an earlier sweep was cut off right after, or it was lost)."
    )


class EvidenceRoom(Base):
    """Room left where a machine keeps its frames."""

    __tablename__ = "evidence_room"
    __table_args__ = (
        {
            "schema": "watch",
            "comment": "取证画面存储空间: room left where each machine keeps its frames, as last measured. low = warn; full = new frames are not kept.",
        },
    )

    host: Mapped[str] = mapped_column(primary_key=True)
    measured_at: Mapped[datetime]
    total_bytes: Mapped[Big]
    free_bytes: Mapped[Big]
    state: Mapped[str]
