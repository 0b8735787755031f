"""What was checked: visits and hazards."""

from datetime import datetime

from sqlalchemy import ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import EMPTY, FALSE, Base, Big


class Visit(Base):
    """A patrol, self-check, remote check or administrative inspection."""

    __tablename__ = "visit"
    __table_args__ = (
        Index("visit_site_idx", "site_id", "kind", text("done_at DESC")),
        {"schema": "inspection"},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    site_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id"))
    kind: Mapped[str] = mapped_column(
        comment="patrol 巡查 (grid worker), self_check 自查, remote_check 远程检查, admin_inspection 行政检查 (two certified officers, counts against the yearly cap)."
    )
    done_at: Mapped[datetime]
    person_id: Mapped[Big | None] = mapped_column(ForeignKey("duty.person.id"))
    outcome: Mapped[str]
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    local_id: Mapped[str | None] = mapped_column(unique=True)
    batch_id: Mapped[Big | None]


class Hazard(Base):
    """隐患."""

    __tablename__ = "hazard"
    __table_args__ = (
        Index("hazard_site_idx", "site_id", "state"),
        {
            "schema": "inspection",
            "comment": "隐患. Only verified_closed is closed; rejected means that the fix was not accepted, so the hazard is open.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    site_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id"))
    class_: Mapped[str] = mapped_column("class")
    is_unlicensed_work: Mapped[bool] = mapped_column(server_default=FALSE)
    title_zh: Mapped[str]
    title_en: Mapped[str] = mapped_column(server_default=EMPTY)
    found_at: Mapped[datetime]
    found_by: Mapped[str]
    deadline: Mapped[datetime | None]
    state: Mapped[str]
    closed_at: Mapped[datetime | None]
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    local_id: Mapped[str | None] = mapped_column(unique=True)
    batch_id: Mapped[Big | None]
