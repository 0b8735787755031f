"""Tables of imports (schema staging): feeds, runs, batches, and the rows that were kept aside, repaired or warned of."""

from datetime import datetime
from typing import Any

from geoalchemy2 import WKBElement
from sqlalchemy import ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import EMPTY, FALSE, NOW, ZERO, Base, Big, metric
from geoapp.registry import bin_models, risk_models  # noqa: F401 - their tables
from geoapp.watch import (
    attention_models,  # noqa: F401 - its tables
    desk_models,  # noqa: F401 - its tables
    event_models,  # noqa: F401 - its tables
    ledger_models,  # noqa: F401 - its tables
    retention_models,  # noqa: F401 - its tables
)
from geoapp.watch.telling import models as telling_models  # noqa: F401 - its tables

__all__ = ["Batch", "Change", "Feed", "Load", "Rejected", "Repaired", "Warned"]

_LIST, _OBJECT = "'[]'::jsonb", "'{}'::jsonb"


class Load(Base):
    """One run of a manifest."""

    __tablename__ = "load"
    __table_args__ = (
        {
            "schema": "staging",
            "comment": 'One run of a manifest. A run that is "running" and that nobody holds (staging.is_held) was cut off: nothing of it is stored.',
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    manifest: Mapped[str]
    manifest_sha256: Mapped[str]
    origin: Mapped[str]
    feed_id: Mapped[Big | None]
    started_by: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    heard_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]
    state: Mapped[str] = mapped_column(server_default=text("'running'::text"))
    message: Mapped[str | None]
    step: Mapped[str | None]
    rows_done: Mapped[Big] = mapped_column(server_default=ZERO)
    rows_total: Mapped[Big | None]


class Batch(Base):
    """One file of one import, with what became of its rows."""

    __tablename__ = "batch"
    __table_args__ = (Index("batch_load_idx", "load_id"), {"schema": "staging"})

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    section: Mapped[str]
    file: Mapped[str]
    file_sha256: Mapped[str]
    encoding: Mapped[str | None]
    frame: Mapped[str | None]
    rows_in: Mapped[int] = mapped_column(server_default=ZERO)
    rows_stored: Mapped[int] = mapped_column(server_default=ZERO)
    rows_unchanged: Mapped[int] = mapped_column(server_default=ZERO)
    rows_repaired: Mapped[int] = mapped_column(server_default=ZERO)
    rows_rejected: Mapped[int] = mapped_column(server_default=ZERO)
    started_at: Mapped[datetime] = mapped_column(server_default=NOW)
    finished_at: Mapped[datetime | None]
    load_id: Mapped[Big | None] = mapped_column(ForeignKey("staging.load.id"))
    rows_warned: Mapped[int] = mapped_column(server_default=ZERO)
    rows_new: Mapped[int] = mapped_column(server_default=ZERO)
    rows_changed: Mapped[int] = mapped_column(server_default=ZERO)
    rows_gone: Mapped[int] = mapped_column(
        server_default=ZERO,
        comment="Rows that an earlier batch of this file brought and that this one does not hold; kept, unless the manifest says otherwise.",
    )
    rows_moved: Mapped[int] = mapped_column(
        server_default=ZERO,
        comment="Rows that lie more than 5 m from where they were stored; they are among rows_changed.",
    )
    columns_used: Mapped[dict[str, Any]] = mapped_column(server_default=text(_OBJECT))
    file_columns: Mapped[list[dict[str, Any]]] = mapped_column(
        server_default=text(_LIST),
        comment="Names of the file's columns in their order; columns_used says which of them fill which field.",
    )
    is_correction: Mapped[bool] = mapped_column(
        server_default=FALSE,
        comment="Rows that an earlier batch of the file had kept aside, corrected: the file itself never held them so.",
    )
    encoding_evidence: Mapped[str] = mapped_column(
        server_default=EMPTY,
        comment="How the encoding is known: declared, said by the file, or found in its bytes. frame_from: the same of the frame.",
    )
    frame_from: Mapped[str] = mapped_column(server_default=EMPTY)
    notices: Mapped[list[dict[str, Any]]] = mapped_column(server_default=text(_LIST))
    rolled_back_at: Mapped[datetime | None]
    rolled_back_by: Mapped[str | None]


class Rejected(Base):
    """A row that could not be stored, with all its columns and the reasons."""

    __tablename__ = "rejected"
    __table_args__ = (Index("rejected_batch_idx", "batch_id"), {"schema": "staging"})

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    batch_id: Mapped[Big] = mapped_column(ForeignKey("staging.batch.id"))
    row_no: Mapped[int]
    reason_code: Mapped[str]
    field: Mapped[str | None]
    reason_zh: Mapped[str]
    reason_en: Mapped[str]
    columns: Mapped[dict[str, Any]]
    fix_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    fix_en: Mapped[str] = mapped_column(server_default=EMPTY)
    place: Mapped[WKBElement | None] = mapped_column(
        metric("POINT"),
        comment="Where the row would have been, for the map of problems; metres of the city's zone. NULL where nobody can tell.",
    )


class Repaired(Base):
    """A change that made a row storable."""

    __tablename__ = "repaired"
    __table_args__ = (
        Index("repaired_batch_idx", "batch_id"),
        {
            "schema": "staging",
            "comment": "Changes that made a row storable, before and after; shapes as WKT in metres of the city's zone.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    batch_id: Mapped[Big] = mapped_column(ForeignKey("staging.batch.id"))
    row_no: Mapped[int]
    reason_code: Mapped[str]
    field: Mapped[str | None]
    reason_zh: Mapped[str]
    reason_en: Mapped[str]
    before: Mapped[str]
    after: Mapped[str]
    place: Mapped[WKBElement | None] = mapped_column(metric("POINT"))


class Warned(Base):
    """A row that is stored, and that somebody should look at."""

    __tablename__ = "warning"
    __table_args__ = (
        Index("warning_batch_idx", "batch_id"),
        {"schema": "staging", "comment": "Rows that are stored, and that somebody should look at."},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    batch_id: Mapped[Big] = mapped_column(ForeignKey("staging.batch.id"))
    row_no: Mapped[int]
    reason_code: Mapped[str]
    field: Mapped[str | None]
    reason_zh: Mapped[str]
    reason_en: Mapped[str]
    fix_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    fix_en: Mapped[str] = mapped_column(server_default=EMPTY)
    place: Mapped[WKBElement | None] = mapped_column(metric("POINT"))


class Change(Base):
    """What a row was before a batch changed it."""

    __tablename__ = "change"
    __table_args__ = ({"schema": "staging"},)

    batch_id: Mapped[Big] = mapped_column(ForeignKey("staging.batch.id"), primary_key=True)
    register: Mapped[str] = mapped_column(primary_key=True)
    row_id: Mapped[str] = mapped_column(primary_key=True)
    before: Mapped[dict[str, Any]]


class Feed(Base):
    """A manifest that is loaded again and again: where from, how often, and what became of it."""

    __tablename__ = "feed"
    __table_args__ = (
        Index("feed_due_idx", "next_due_at"),
        {
            "schema": "staging",
            "comment": "Scheduled imports. A process that holds the lease works on the feed; every claim raises the token, and an older token writes nothing.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    source: Mapped[str] = mapped_column(
        comment="Where the files come from, as people may see it: without account, password and values of parameters."
    )
    has_secret: Mapped[bool] = mapped_column(
        server_default=FALSE,
        comment="The whole addresses are sealed in access.secret (feed, name, addresses).",
    )
    manifest: Mapped[dict[str, Any]] = mapped_column(
        comment="A copy, so that a file that is moved or edited does not change what is loaded at night."
    )
    manifest_name: Mapped[str]
    timezone: Mapped[str]
    into_sample: Mapped[bool] = mapped_column(server_default=FALSE)
    every: Mapped[str]
    late_after_s: Mapped[float]
    most_rejected: Mapped[float] = mapped_column(server_default=text("0.2"))
    added_at: Mapped[datetime]
    added_by: Mapped[str]
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
    next_due_at: Mapped[datetime]
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[Big] = mapped_column(server_default=ZERO)
    fingerprint: Mapped[dict[str, Any]] = mapped_column(
        server_default=text(_OBJECT),
        comment="Of what was loaded last: sizes and times, SHA-256, ETag and Last-Modified. Never of what failed.",
    )
    last_tried_at: Mapped[datetime | None]
    last_success_at: Mapped[datetime | None] = mapped_column(
        comment="When the stored rows were last known to be what the source holds: loaded, or found unchanged."
    )
    last_changed_at: Mapped[datetime | None]
    last_load_id: Mapped[Big | None]
    last_outcome: Mapped[str | None]
    last_message: Mapped[str | None]
    failing_since: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default=ZERO)
