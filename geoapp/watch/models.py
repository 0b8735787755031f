"""What was seen: due scans, observations, incidents, evidence, camera health, the outbox."""

from datetime import datetime
from typing import Any
from uuid import UUID

from geoalchemy2 import WKBElement
from sqlalchemy import REAL, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import FALSE, NOW, ONE, ZERO, Base, Big, gist, mercator, metric, projected


class ScanDue(Base):
    """One row per connected camera: when it is due next and who holds it."""

    __tablename__ = "scan_due"
    __table_args__ = (
        Index("scan_due_claim_idx", text("is_priority DESC"), "next_due_at"),
        {
            "schema": "watch",
            "comment": "One row per connected camera: when it is due next and who holds it. A completion must match lease_token (fencing).",
        },
    )

    camera_id: Mapped[Big] = mapped_column(
        ForeignKey("registry.camera.id", ondelete="CASCADE"), primary_key=True
    )
    next_due_at: Mapped[datetime]
    is_priority: Mapped[bool] = mapped_column(server_default=FALSE)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[Big] = mapped_column(server_default=ZERO)
    attempts: Mapped[int] = mapped_column(server_default=ZERO)
    burst_left: Mapped[int] = mapped_column(server_default=ZERO)
    period_s: Mapped[float | None] = mapped_column(
        REAL, comment="Seconds between looks as in force at the last one (by day or by night)."
    )


class Observation(Base):
    """One scan's result."""

    __tablename__ = "observation"
    __table_args__ = (
        {
            "schema": "watch",
            "postgresql_partition_by": "RANGE (captured_at)",
            "comment": "One scan's result. observed = looked; otherwise reason says why it could not look. Never read a missing row as clear. Kept for days, a partition a day; the counts stay in watch.observation_hour.",
        },
    )

    id: Mapped[UUID]
    camera_id: Mapped[Big] = mapped_column(primary_key=True)
    captured_at: Mapped[datetime] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]
    observed: Mapped[bool]
    reason: Mapped[str | None]
    model_hash: Mapped[str | None]
    boxes: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text("'[]'::jsonb"))
    clock_offset_s: Mapped[float | None] = mapped_column(
        REAL, comment="The camera's clock minus ours, seconds; NULL = it does not say."
    )


class ObservationHour(Base):
    """Scans of a camera in an hour, by outcome."""

    __tablename__ = "observation_hour"
    __table_args__ = (
        {
            "schema": "watch",
            "postgresql_partition_by": "RANGE (hour)",
            "comment": "Scans of a camera in an hour, by outcome; a partition a month, kept for ledger_years. due = observed + unobserved. An hour without a row says nothing by itself: watch.camera_connection says whether looks were due (analysis.observation_hours puts the two together).",
        },
    )

    camera_id: Mapped[Big] = mapped_column(ForeignKey("registry.camera.id"), primary_key=True)
    hour: Mapped[datetime] = mapped_column(primary_key=True)
    due: Mapped[int] = mapped_column(server_default=ZERO)
    observed: Mapped[int] = mapped_column(server_default=ZERO)
    unobserved: Mapped[int] = mapped_column(server_default=ZERO)
    reasons: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))


class Incident(Base):
    """One event in the world, as a lead (线索): it becomes evidence only by review."""

    __tablename__ = "incident"
    __table_args__ = (
        Index("incident_cell_idx", "cell_code", "first_seen_at"),
        Index("incident_first_seen_idx", "first_seen_at"),
        Index("incident_community_idx", text('"left"(cell_code, 12)'), text("last_seen_at DESC")),
        Index(
            "incident_town_idx", "town_code", text("last_seen_at DESC"), postgresql_include=["site_town_code"]
        ),
        Index(
            "incident_key_risk_area_idx",
            "key_risk_area_id",
            postgresql_where=text("(key_risk_area_id IS NOT NULL)"),
        ),
        Index("incident_site_idx", "site_id"),
        Index(
            "incident_site_town_idx",
            "site_town_code",
            postgresql_where=text("(site_town_code IS NOT NULL)"),
        ),
        Index(
            "incident_site_community_idx",
            "site_community_code",
            postgresql_where=text("(site_community_code IS NOT NULL)"),
        ),
        gist("incident_geom_3857_idx", "geom_3857"),
        gist("incident_geom_idx", "geom"),
        Index(
            "incident_live_geom_idx",
            "geom",
            postgresql_using="gist",
            postgresql_where=text("(state <> 'closed'::text)"),
        ),
        Index("incident_live_idx", "camera_id", "class", postgresql_where=text("(state <> 'closed'::text)")),
        Index("incident_seen_idx", text("last_seen_at DESC")),
        Index("incident_unreviewed_idx", "opened_at", postgresql_where=text("review = 'unreviewed'::text")),
        Index("incident_reviewed_idx", "reviewed_at", postgresql_where=text("(reviewed_at IS NOT NULL)")),
        {
            "schema": "watch",
            "comment": "One event in the world, as a lead (线索): it becomes evidence only by review. box = x1,y1,x2,y2 pixels, the extent over its latest observations; the boxes of each frame are in watch.evidence.",
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    incident_no: Mapped[Big] = mapped_column(Identity(always=True), unique=True)
    class_: Mapped[str] = mapped_column("class")
    camera_id: Mapped[Big] = mapped_column(ForeignKey("registry.camera.id"))
    state: Mapped[str]
    review: Mapped[str] = mapped_column(server_default=text("'unreviewed'::text"))
    review_reason: Mapped[str | None]
    reviewed_at: Mapped[datetime | None]
    reviewed_by: Mapped[str | None]
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    peak_score: Mapped[float]
    observation_count: Mapped[int] = mapped_column(server_default=ONE)
    model_hash: Mapped[str]
    box: Mapped[list[float]]
    geom: Mapped[WKBElement] = mapped_column(metric("POINT"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POINT"), projected("geom"))
    placing_method: Mapped[str]
    ellipse: Mapped[WKBElement | None] = mapped_column(metric("POLYGON"))
    ellipse_3857: Mapped[WKBElement | None] = mapped_column(mercator("POLYGON"), projected("ellipse"))
    semi_major_m: Mapped[float | None]
    semi_minor_m: Mapped[float | None]
    rotation_deg: Mapped[float | None]
    cell_code: Mapped[str | None]
    town_code: Mapped[str | None]
    site_id: Mapped[Big | None] = mapped_column(ForeignKey("registry.site.id"))
    key_risk_area_id: Mapped[Big | None] = mapped_column(ForeignKey("registry.key_risk_area.id"))
    permit_id: Mapped[Big | None] = mapped_column(ForeignKey("registry.hot_work_permit.id"))
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    mode: Mapped[str] = mapped_column(
        server_default=text("'alert'::text"),
        comment="alert, or shadow: kept apart to be compared (analysis.shadow_event), told to nobody, on no map and in no figure.",
    )
    site_town_code: Mapped[str | None] = mapped_column(
        comment="Derived: town of its site (or of its key risk area's site), where that is not town_code."
    )
    site_community_code: Mapped[str | None] = mapped_column(
        comment="Derived: community of its site, where that is not the community of cell_code."
    )
    false_cause: Mapped[str | None] = mapped_column(
        comment="误报原因: what a false alarm was, of a short list; NULL = not said, or not a false alarm."
    )


class IncidentObservation(Base):
    """Which scans saw an incident."""

    __tablename__ = "incident_observation"
    __table_args__ = (
        Index("incident_observation_observation_idx", "observation_id"),
        {"schema": "watch"},
    )

    incident_id: Mapped[UUID] = mapped_column(ForeignKey("watch.incident.id"), primary_key=True)
    observation_id: Mapped[UUID] = mapped_column(primary_key=True)
    score: Mapped[float]
    camera_id: Mapped[Big]
    captured_at: Mapped[datetime]


class Evidence(Base):
    """The frame of an incident as the camera sent it, by its SHA-256."""

    __tablename__ = "evidence"
    __table_args__ = (
        UniqueConstraint("incident_id", "observation_id", name="evidence_incident_id_observation_id_key"),
        {"schema": "watch"},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    incident_id: Mapped[UUID] = mapped_column(ForeignKey("watch.incident.id"))
    observation_id: Mapped[UUID]
    sha256: Mapped[str | None]
    path: Mapped[str | None] = mapped_column(
        comment="Relative to the evidence folder of this installation; the file holds the frame as the camera sent it, sha256 is of its bytes."
    )
    bytes: Mapped[int]
    width_px: Mapped[int]
    height_px: Mapped[int]
    captured_at: Mapped[datetime]
    received_at: Mapped[datetime]
    boxes: Mapped[list[dict[str, Any]]]
    not_kept: Mapped[str | None] = mapped_column(
        comment="Why there is no file (disk_full); NULL = the frame was kept."
    )


class CameraHealth(Base):
    """Whether a camera can be looked through now, since when, and what is kept of its pictures."""

    __tablename__ = "camera_health"
    __table_args__ = (
        {
            "schema": "watch",
            "comment": "Whether a camera can be looked through now, since when, and what is kept of its pictures.",
        },
    )

    camera_id: Mapped[Big] = mapped_column(
        ForeignKey("registry.camera.id", ondelete="CASCADE"), primary_key=True
    )
    observed: Mapped[bool]
    reason: Mapped[str | None]
    since: Mapped[datetime]
    last_try_at: Mapped[datetime]
    last_observed_at: Mapped[datetime | None]
    detail: Mapped[str | None] = mapped_column(
        comment="The numbers behind the reason or a new note of the newest look."
    )
    notes: Mapped[list[str]] = mapped_column(
        server_default=text("'{}'::text[]"),
        comment="What is on record of a camera that may be looked through all the same: night_mode (a grey, infrared picture), clock_off.",
    )
    clock_offset_s: Mapped[float | None] = mapped_column(
        REAL, comment="The camera's clock minus ours when it last said, seconds."
    )
    picture: Mapped[dict[str, Any] | None] = mapped_column(
        comment="A fingerprint of the newest picture and what is usual for the camera (sharpness by light, fields with outlines). NULL = not known; the next looks make it anew."
    )


class CameraHealthEvent(Base):
    """A change of a camera's health."""

    __tablename__ = "camera_health_event"
    __table_args__ = (
        Index("camera_health_event_camera_idx", "camera_id", "at"),
        {
            "schema": "watch",
            "comment": "Each change of a camera's health: of whether and why it cannot be looked through, or of its notes.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    camera_id: Mapped[Big] = mapped_column(ForeignKey("registry.camera.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    observed: Mapped[bool]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    notes: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))


class Outbox(Base):
    """A change that open maps must hear of, written in the transaction of its effect."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("outbox_unplanned_idx", "id", postgresql_where=text("(planned_at IS NULL)")),
        {"schema": "watch"},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    topic: Mapped[str]
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    incident_id: Mapped[UUID | None]
    camera_id: Mapped[Big | None]
    planned_at: Mapped[datetime | None] = mapped_column(
        comment="When it was decided which receivers are told; NULL = not yet."
    )


class ReportedEvent(Base):
    """A dated point that another system recorded before or beside GeoApp: a fire, an alarm, a call."""

    __tablename__ = "reported_event"
    __table_args__ = (
        gist("reported_event_geom_idx", "geom"),
        Index("reported_event_time_idx", "happened_at"),
        Index("reported_event_town_idx", "town_code", "happened_at"),
        {
            "schema": "watch",
            "comment": "历史事件; dated points that another system recorded. Not incidents: nobody here saw or reviewed them.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    local_id: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    title: Mapped[str] = mapped_column(server_default=text("''::text"))
    happened_at: Mapped[datetime]
    severity: Mapped[str | None] = mapped_column(
        comment="general 一般, larger 较大, major 重大, extraordinary 特别重大. NULL = not said."
    )
    source: Mapped[str] = mapped_column(server_default=text("''::text"))
    geom: Mapped[WKBElement] = mapped_column(metric("POINT"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POINT"), projected("geom"))
    town_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    cell_code: Mapped[str | None]
    source_frame: Mapped[str] = mapped_column(server_default=text("'metric'::text"))
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]
