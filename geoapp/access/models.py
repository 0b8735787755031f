"""Who may: accounts and their areas, sessions, tokens, attempts to sign in, sealed secrets, the audit."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import ForeignKey, Identity, Index, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from geoapp.database.base import EMPTY, FALSE, NOW, TRUE, Base, Big

ME = text("CURRENT_USER")
# SQLAlchemy has no type of its own for PostgreSQL's `name` and reads it as a string without a length.
Name = Annotated[str, mapped_column(String)]
Inet = Annotated[str | None, mapped_column(INET)]
Bytes = Annotated[bytes, mapped_column(LargeBinary)]


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in SQL."""
        return "XID8"


ischema_names.setdefault("xid8", Xid8)


class Account(Base):
    """账号: one person or firm, with a database role of its own that the web process takes for each request."""

    __tablename__ = "account"
    __table_args__ = (
        {
            "schema": "access",
            "comment": "账号: one person or firm, with a database role of its own (db_role) that the web process takes for each request.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    login: Mapped[str] = mapped_column(unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str] = mapped_column(server_default=EMPTY)
    roles: Mapped[list[str]]
    scope: Mapped[str]
    db_role: Mapped[Name] = mapped_column(unique=True)
    password_hash: Mapped[str | None] = mapped_column(
        comment="argon2id; NULL = signs in by OIDC only, or not at all."
    )
    password_set_at: Mapped[datetime | None]
    must_change_password: Mapped[bool] = mapped_column(server_default=FALSE)
    oidc_subject: Mapped[str | None] = mapped_column(unique=True)
    has_sql_login: Mapped[bool] = mapped_column(server_default=FALSE)
    is_demo: Mapped[bool] = mapped_column(server_default=FALSE)
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    created_by: Mapped[str] = mapped_column(server_default=ME)


class AccountArea(Base):
    """Towns (scope town) or communities (scope community) of an account."""

    __tablename__ = "account_area"
    __table_args__ = (
        {"schema": "access", "comment": "Towns (scope town) or communities (scope community) of an account."},
    )

    account_id: Mapped[Big] = mapped_column(ForeignKey("access.account.id"), primary_key=True)
    area_code: Mapped[str] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED"), primary_key=True
    )


class AccountSite(Base):
    """Sites of an enterprise's account (scope site)."""

    __tablename__ = "account_site"
    __table_args__ = (
        Index("account_site_site_idx", "site_id"),
        {"schema": "access", "comment": "Sites of an enterprise's account (scope site)."},
    )

    account_id: Mapped[Big] = mapped_column(ForeignKey("access.account.id"), primary_key=True)
    site_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id", ondelete="CASCADE"), primary_key=True)


class SignedInBrowser(Base):
    """A session: a signed-in browser, of whose cookie only the SHA-256 is kept."""

    __tablename__ = "session"
    __table_args__ = (
        Index("session_account_idx", "account_id", text("last_used_at DESC")),
        {
            "schema": "access",
            "comment": "A signed-in browser. Only SHA-256 of its cookie is kept; it ends at idle_until, expires_at or ended_at, whichever comes first.",
        },
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    token_hash: Mapped[Bytes] = mapped_column(unique=True)
    account_id: Mapped[Big] = mapped_column(ForeignKey("access.account.id"))
    method: Mapped[str]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    idle_until: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_why: Mapped[str | None]
    ip: Mapped[Inet]
    user_agent: Mapped[str | None]


class Token(Base):
    """An API token: SHA-256 of the secret, what it may be used for, and its end."""

    __tablename__ = "token"
    __table_args__ = (
        {
            "schema": "access",
            "comment": "API tokens: SHA-256 of the secret, what it may be used for, and its end.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    token_hash: Mapped[Bytes] = mapped_column(unique=True)
    account_id: Mapped[Big] = mapped_column(ForeignKey("access.account.id"))
    name: Mapped[str]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=NOW)
    created_by: Mapped[str] = mapped_column(server_default=ME)
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SignInAttempt(Base):
    """An attempt to sign in, for the back-off."""

    __tablename__ = "sign_in_attempt"
    __table_args__ = (
        Index("sign_in_attempt_login_idx", "login", "at"),
        Index("sign_in_attempt_ip_idx", "ip", "at"),
        Index("sign_in_attempt_at_idx", "at"),
        {
            "schema": "access",
            "comment": "For the back-off. login = what was typed where it could be a login, else ? (people type passwords there).",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    login: Mapped[str]
    ip: Mapped[Inet]
    device: Mapped[str | None]
    succeeded: Mapped[bool]


class OidcFlow(Base):
    """A sign-in under way at the OIDC provider; each row is used once."""

    __tablename__ = "oidc_flow"
    __table_args__ = (
        Index("oidc_flow_created_idx", "created_at"),
        {
            "schema": "access",
            "comment": "Sign-ins under way at the OIDC provider; each row is used once.",
        },
    )

    state_hash: Mapped[Bytes] = mapped_column(primary_key=True)
    nonce: Mapped[str]
    code_verifier: Mapped[str]
    next: Mapped[str]
    created_at: Mapped[datetime]


class Secret(Base):
    """A credential of a camera or webhook, sealed."""

    __tablename__ = "secret"
    __table_args__ = (
        {
            "schema": "access",
            "comment": "Credentials of cameras and webhooks, sealed with a key that is not in the database (geoapp/access/sealing.py).",
        },
    )

    subject_kind: Mapped[str] = mapped_column(primary_key=True)
    subject_id: Mapped[str] = mapped_column(primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    key_id: Mapped[str]
    sealed: Mapped[Bytes]
    set_at: Mapped[datetime] = mapped_column(server_default=NOW)
    set_by: Mapped[str] = mapped_column(server_default=ME)


class Audit(Base):
    """审计: who did, looked at, took out or was refused what, and when. Rows are only ever added."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_at_idx", text("at DESC")),
        Index("audit_account_idx", "account_id", text("at DESC")),
        Index("audit_subject_idx", "subject", "subject_id", text("at DESC")),
        Index("audit_town_idx", "town_code", text("id DESC")),
        Index("audit_role_idx", "db_role", text("id DESC")),
        {
            "schema": "access",
            "comment": "审计: who did, looked at, took out or was refused what, and when. Append-only: a trigger refuses every change, whoever asks.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    db_role: Mapped[Name] = mapped_column(
        comment="The database role that acted (access.caller()); it cannot be chosen by the one who acts."
    )
    account_id: Mapped[Big | None]
    login: Mapped[str | None] = mapped_column(
        comment="The account's login; for a refused sign-in, the login that was tried."
    )
    action: Mapped[str]
    ok: Mapped[bool] = mapped_column(server_default=TRUE)
    subject: Mapped[str] = mapped_column(server_default=EMPTY)
    subject_id: Mapped[str | None]
    town_code: Mapped[str | None]
    before: Mapped[dict[str, Any] | None] = mapped_column(
        comment="Columns that changed, as they were; all of them for a deletion."
    )
    after: Mapped[dict[str, Any] | None]
    reason: Mapped[str | None]
    detail: Mapped[dict[str, Any] | None]
    ip: Mapped[Inet]
    tx: Mapped[str] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))
