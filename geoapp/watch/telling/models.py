"""Tables of telling (schema watch): receivers, and what became of each telling."""

from datetime import datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, Time, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import FALSE, ZERO, Base, Big

__all__ = ["Delivery", "ReceiverRow"]

_WAITING = text("(state = 'waiting'::text)")


class ReceiverRow(Base):
    """Who is told of changes besides open maps."""

    __tablename__ = "receiver"
    __table_args__ = (
        Index("receiver_name_idx", "name", unique=True, postgresql_where=text("(removed_at IS NULL)")),
        {
            "schema": "watch",
            "comment": "Who is told of changes besides open maps. A process that holds the lease tells it; every claim raises the token, and an older token writes nothing.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    address: Mapped[str] = mapped_column(
        comment="Where to, as people may see it: tokens, accounts and passwords are sealed in access.secret (receiver, id, field)."
    )
    recipients: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    sender: Mapped[str | None]
    language: Mapped[str] = mapped_column(server_default=text("'zh'::text"))
    topics: Mapped[list[str]] = mapped_column(server_default=text("'{incident}'::text[]"))
    classes: Mapped[list[str] | None] = mapped_column(comment="NULL = all; so are transitions and towns.")
    transitions: Mapped[list[str] | None]
    towns: Mapped[list[str] | None]
    min_score: Mapped[float] = mapped_column(server_default=ZERO)
    only_confirmed: Mapped[bool] = mapped_column(server_default=FALSE)
    cooldown_s: Mapped[float] = mapped_column(server_default=text("300"))
    quiet_from: Mapped[time | None] = mapped_column(
        Time,
        comment="Quiet hours by the city's clock: what comes then waits for their end (quiet_to), but for classes in quiet_passes.",
    )
    quiet_to: Mapped[time | None] = mapped_column(Time)
    quiet_passes: Mapped[list[str]] = mapped_column(server_default=text("'{fire}'::text[]"))
    per_minute: Mapped[int]
    give_up_after_s: Mapped[float] = mapped_column(server_default=text("21600"))
    added_at: Mapped[datetime]
    added_by: Mapped[str]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
    removed_at: Mapped[datetime | None]
    removed_by: Mapped[str | None]
    next_try_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(server_default=ZERO)
    failing_since: Mapped[datetime | None]
    last_answer: Mapped[str | None]
    last_told_at: Mapped[datetime | None]
    tokens: Mapped[float] = mapped_column(server_default=ZERO)
    tokens_at: Mapped[datetime]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[Big] = mapped_column(server_default=ZERO)


class Delivery(Base):
    """One change for one receiver, and what became of it."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("receiver_id", "outbox_id", name="delivery_receiver_id_outbox_id_key"),
        Index("delivery_waiting_idx", "receiver_id", "next_try_at", postgresql_where=_WAITING),
        Index("delivery_due_since_idx", "due_since", postgresql_where=_WAITING),
        Index("delivery_subject_idx", "receiver_id", "subject"),
        Index("delivery_joined_idx", "joined_into", postgresql_where=text("(joined_into IS NOT NULL)")),
        Index("delivery_incident_idx", "incident_id", postgresql_where=text("(incident_id IS NOT NULL)")),
        Index("delivery_happened_idx", "happened_at"),
        {
            "schema": "watch",
            "comment": "One row per change and receiver. A message tells of one row and of those that were joined into it; its key stays the same however often it is sent.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    receiver_id: Mapped[Big] = mapped_column(ForeignKey("watch.receiver.id"))
    outbox_id: Mapped[Big | None]
    message_key: Mapped[UUID] = mapped_column(unique=True)
    topic: Mapped[str]
    subject: Mapped[str] = mapped_column(comment="What messages are joined by: incident:<id>, or cameras.")
    transition: Mapped[str]
    class_: Mapped[str | None] = mapped_column("class")
    incident_id: Mapped[UUID | None]
    camera_id: Mapped[Big | None]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    happened_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default=text("'waiting'::text"))
    joined_into: Mapped[Big | None] = mapped_column(ForeignKey("watch.delivery.id"))
    waits_for: Mapped[str | None]
    next_try_at: Mapped[datetime]
    due_since: Mapped[datetime] = mapped_column(
        comment="Since when it may be told: given up some time after this."
    )
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    first_tried_at: Mapped[datetime | None]
    last_tried_at: Mapped[datetime | None]
    last_answer: Mapped[str | None]
    delivered_at: Mapped[datetime | None]
