"""What stands on the ground: sites, key risk source areas, cameras, certificates, hot-work permits."""

from datetime import date, datetime

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import ARRAY, BigInteger, Computed, ForeignKey, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import EMPTY, FALSE, NOW, TRUE, Base, Big, gist, mercator, metric, projected


class Site(Base):
    """An enterprise or place 场所 (一企一档)."""

    __tablename__ = "site"
    __table_args__ = (
        Index("site_cell_idx", "cell_code"),
        gist("site_geom_3857_idx", "geom_3857"),
        gist("site_geom_idx", "geom"),
        Index("site_town_idx", "town_code"),
        Index("site_duty_idx", "town_code", "cell_code", "rule_code", "active_from", "active_to"),
        Index("site_community_idx", text('"left"(cell_code, 12)')),
        Index(
            "site_over_border_idx",
            text("(\"left\"(cell_code, 9) || '000'::text)"),
            postgresql_where=text("(town_code IS DISTINCT FROM (\"left\"(cell_code, 9) || '000'::text))"),
        ),
        Index(
            "site_apart_idx",
            "town_code",
            postgresql_where=text(
                "((cell_code IS NULL) OR (town_code IS DISTINCT FROM (\"left\"(cell_code, 9) || '000'::text)))"
            ),
        ),
        {"schema": "registry"},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    uscc: Mapped[str | None] = mapped_column(unique=True)
    local_id: Mapped[str | None] = mapped_column(unique=True)
    name_zh: Mapped[str]
    address: Mapped[str] = mapped_column(server_default=EMPTY)
    rule_code: Mapped[str | None] = mapped_column(ForeignKey("duty.rule.code"))
    gbt4754: Mapped[str] = mapped_column(server_default=EMPTY)
    scale: Mapped[str | None]
    nine_small: Mapped[str | None]
    hazard_level: Mapped[str | None] = mapped_column(
        comment="Inherent hazard H: red 重大, orange 较大, yellow 一般, blue 低. NULL = not graded, never read as low."
    )
    people: Mapped[int | None]
    vulnerability: Mapped[str | None]
    geom: Mapped[WKBElement] = mapped_column(metric("POINT"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POINT"), projected("geom"))
    cell_code: Mapped[str | None]
    town_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    contact_name: Mapped[str | None]
    contact_phone: Mapped[str | None]
    visit_cap_per_year: Mapped[int | None]
    active_from: Mapped[date] = mapped_column(server_default=text("'2000-01-01'::date"))
    active_to: Mapped[date | None]
    source_frame: Mapped[str] = mapped_column(server_default=text("'metric'::text"))
    source_x: Mapped[float | None]
    source_y: Mapped[float | None]
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]
    updated_at: Mapped[datetime] = mapped_column(server_default=NOW)


class SiteMerge(Base):
    """Two stored sites that may be one; a person decides."""

    __tablename__ = "site_merge"
    __table_args__ = (
        UniqueConstraint("site_id", "other_id", name="site_merge_site_id_other_id_key"),
        {
            "schema": "registry",
            "comment": "Proposals: same name and address within 30 m, never merged silently. apart = a person said that they are two.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    site_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id", ondelete="CASCADE"))
    other_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id", ondelete="CASCADE"))
    distance_m: Mapped[float]
    batch_id: Mapped[Big | None]
    proposed_at: Mapped[datetime] = mapped_column(server_default=NOW)
    state: Mapped[str] = mapped_column(server_default=text("'proposed'::text"))
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]


class SiteAlias(Base):
    """Keys of a site that was merged into another one: a later import knows them."""

    __tablename__ = "site_alias"
    __table_args__ = ({"schema": "registry"},)

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    site_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id", ondelete="CASCADE"))
    uscc: Mapped[str | None] = mapped_column(unique=True)
    local_id: Mapped[str | None] = mapped_column(unique=True)
    merged_by: Mapped[str] = mapped_column(server_default=text("CURRENT_USER"))
    merged_at: Mapped[datetime] = mapped_column(server_default=NOW)


class KeyRiskArea(Base):
    """重点风险源区域: an area inside a site that the watch must see."""

    __tablename__ = "key_risk_area"
    __table_args__ = (
        gist("key_risk_area_geom_3857_idx", "geom_3857"),
        gist("key_risk_area_geom_idx", "geom"),
        Index("key_risk_area_site_idx", "site_id"),
        Index("key_risk_area_left_out_idx", "id", postgresql_where=text("NOT ST_IsValid(geom)")),
        {
            "schema": "registry",
            "comment": "重点风险源区域: an area inside a site that the watch must see. onboarded_on = the day it joined the network.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id"))
    name_zh: Mapped[str]
    name_en: Mapped[str] = mapped_column(server_default=EMPTY)
    kind: Mapped[str]
    level: Mapped[str]
    geom: Mapped[WKBElement] = mapped_column(metric("POLYGON"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POLYGON"), projected("geom"))
    town_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    onboarded_on: Mapped[date | None]
    status: Mapped[str] = mapped_column(server_default=text("'active'::text"))
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]
    site_town_code: Mapped[str | None] = mapped_column(
        comment="Derived: town of its site. Asked by policies instead of a million sites."
    )
    site_community_code: Mapped[str | None] = mapped_column(comment="Derived: community of its site.")
    retired_on: Mapped[date | None] = mapped_column(
        comment="退出日期; first day on which it is no longer in the network; NULL = it is in it, or (status retired) nobody knows the day."
    )


class OnboardingTarget(Base):
    """How many key risk areas should join the network in a year; a new number is a new row."""

    __tablename__ = "onboarding_target"
    __table_args__ = (
        Index("onboarding_target_year_idx", "year", "town_code", "set_on"),
        {
            "schema": "registry",
            "comment": "年度接入目标; key risk areas that should join the network in a year, of a town, or of the district (town_code NULL). The newest row set on or before a day holds on it.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    town_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    year: Mapped[int]
    areas: Mapped[int]
    document_no: Mapped[str] = mapped_column(server_default=EMPTY)
    set_on: Mapped[date]
    set_by: Mapped[str] = mapped_column(server_default=EMPTY)


class Camera(Base):
    """A camera with its pose and the ground that it sees."""

    __tablename__ = "camera"
    __table_args__ = (
        gist("camera_geom_3857_idx", "geom_3857"),
        gist("camera_geom_idx", "geom"),
        gist("camera_sector_3857_idx", "sector_3857"),
        gist("camera_sector_idx", "sector"),
        Index("camera_site_idx", "site_id"),
        Index(
            "camera_online_idx",
            "id",
            "is_connected",
            "enabled",
            "installed_on",
            "retired_on",
            postgresql_where=text("sector::geometry IS NOT NULL"),
        ),
        Index("camera_left_out_idx", "id", postgresql_where=text("sector IS NOT NULL AND ground IS NULL")),
        {"schema": "registry"},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    gb_id: Mapped[str] = mapped_column(unique=True)
    name_zh: Mapped[str]
    site_id: Mapped[Big | None] = mapped_column(ForeignKey("registry.site.id"))
    geom: Mapped[WKBElement] = mapped_column(metric("POINT"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POINT"), projected("geom"))
    height_m: Mapped[float | None]
    azimuth_deg: Mapped[float | None] = mapped_column(
        comment="Optical axis, degrees clockwise from grid north. tilt_deg: downward from horizontal."
    )
    tilt_deg: Mapped[float | None]
    hfov_deg: Mapped[float | None]
    width_px: Mapped[int | None]
    height_px: Mapped[int | None]
    max_range_m: Mapped[float | None]
    sector: Mapped[WKBElement | None] = mapped_column(metric("POLYGON"))
    sector_3857: Mapped[WKBElement | None] = mapped_column(mercator("POLYGON"), projected("sector"))
    town_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    cell_code: Mapped[str | None]
    snapshot_url: Mapped[str | None] = mapped_column(
        comment="HTTP snapshot address without credentials; NULL = not connected (UNOBSERVED(not connected))."
    )
    period_s: Mapped[int] = mapped_column(server_default=text("10"))
    night_period_s: Mapped[int | None] = mapped_column(
        comment="Seconds between looks at night; NULL = as by day (period_s)."
    )
    enabled: Mapped[bool] = mapped_column(server_default=TRUE)
    public_place: Mapped[bool] = mapped_column(server_default=FALSE)
    legal_basis: Mapped[str] = mapped_column(server_default=EMPTY)
    scene_kind: Mapped[str | None]
    installed_on: Mapped[date | None]
    retired_on: Mapped[date | None]
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]
    is_connected: Mapped[bool | None] = mapped_column(
        Computed("snapshot_url IS NOT NULL", persisted=True),
        comment="是否已接入（有取图地址）; whether there is an address to take pictures from.",
    )
    ground: Mapped[WKBElement | None] = mapped_column(
        metric("GEOMETRY"),
        comment="扣除建筑后的可见地面; derived: the sector without what known buildings hide. Kept by triggers on camera and building.",
    )
    sector_since: Mapped[datetime | None] = mapped_column(
        comment="视域最近一次改动; when the sector was last drawn anew; NULL = never since it was first drawn. What it saw before is not known."
    )


class CameraReach(Base):
    """Communities whose cells a camera's sector touches; kept by triggers on camera and grid_cell."""

    __tablename__ = "camera_reach"
    __table_args__ = (
        Index("camera_reach_town_idx", "town_code"),
        Index("camera_reach_community_idx", "community_code"),
        {
            "schema": "registry",
            "comment": "Derived: communities whose cells a camera's sector touches. Kept by triggers on camera and grid_cell.",
        },
    )

    camera_id: Mapped[Big] = mapped_column(
        ForeignKey("registry.camera.id", ondelete="CASCADE"), primary_key=True
    )
    community_code: Mapped[str] = mapped_column(primary_key=True)
    town_code: Mapped[str] = mapped_column(Computed("left(community_code, 9) || '000'", persisted=True))


class CellSight(Base):
    """Square metres of a cell that exactly these cameras would see; kept by triggers."""

    __tablename__ = "cell_sight"
    __table_args__ = (
        Index("cell_sight_cell_idx", "cell_code"),
        Index("cell_sight_community_idx", "community_code"),
        Index("cell_sight_town_idx", "town_code"),
        {
            "schema": "registry",
            "comment": "网格内恰由某组摄像机可见的地面（派生）; derived: square metres of a cell that exactly these cameras would see"
            " between the known buildings. Kept at commit by triggers on camera and grid_cell.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    cell_code: Mapped[str]
    community_code: Mapped[str] = mapped_column(Computed("left(cell_code, 12)", persisted=True))
    town_code: Mapped[str] = mapped_column(Computed("left(cell_code, 9) || '000'", persisted=True))
    camera_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    m2: Mapped[float]


class AreaSight(Base):
    """Square metres of a key risk area that exactly these cameras would see; kept by triggers."""

    __tablename__ = "area_sight"
    __table_args__ = (
        Index("area_sight_area_idx", "area_id"),
        {
            "schema": "registry",
            "comment": "重点风险源区域内恰由某组摄像机可见的地面（派生）; derived: square metres of a key risk area that exactly these"
            " cameras would see between the known buildings. Kept at commit by triggers on camera and key_risk_area.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    area_id: Mapped[Big]
    camera_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    m2: Mapped[float]


class SightDue(Base):
    """Places whose sights are old, from the statement that made them so to its commit."""

    __tablename__ = "sight_due"
    __table_args__ = (
        {
            "schema": "registry",
            "comment": "可见地面待重算的网格与区域; cells and key risk areas whose kept sights are old, until the commit of what made them so.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    cells: Mapped[list[str]] = mapped_column(ARRAY(Text))
    areas: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    grounds: Mapped[list[WKBElement]] = mapped_column(
        ARRAY(Geometry(spatial_index=False)),
        server_default=text("'{}'"),
        comment="Ground that cameras saw before or see now, metric zone: what lies under it at the commit is old, too.",
    )


class Certificate(Base):
    """Special operation certificates."""

    __tablename__ = "certificate"
    __table_args__ = (
        Index("certificate_site_idx", "site_id"),
        Index("certificate_hash_idx", "certificate_hash"),
        {
            "schema": "registry",
            "comment": "Special operation certificates. ID and certificate numbers are kept as keyed hashes only. verified_result NULL = not verified.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    site_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id"))
    holder_name: Mapped[str]
    holder_hash: Mapped[str]
    certificate_hash: Mapped[str]
    job_class: Mapped[str]
    sub_item: Mapped[str] = mapped_column(server_default=EMPTY)
    issuer_family: Mapped[str]
    issued_on: Mapped[date]
    review_due_on: Mapped[date | None]
    valid_to: Mapped[date]
    verified_at: Mapped[datetime | None]
    verified_result: Mapped[str | None]
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    local_id: Mapped[str | None] = mapped_column(
        unique=True, comment="Digest of the keyed hash of its number, its class and its item."
    )
    batch_id: Mapped[Big | None]


class HotWorkPermit(Base):
    """A permit for hot work 动火 on a piece of ground, from a time to a time."""

    __tablename__ = "hot_work_permit"
    __table_args__ = (
        gist("hot_work_permit_geom_idx", "geom"),
        Index("hot_work_permit_time_idx", "starts_at", "ends_at"),
        {"schema": "registry"},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    permit_no: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[Big] = mapped_column(ForeignKey("registry.site.id"))
    level: Mapped[str]
    geom: Mapped[WKBElement] = mapped_column(metric("POLYGON"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    certificate_id: Mapped[Big | None] = mapped_column(ForeignKey("registry.certificate.id"))
    watcher: Mapped[str | None]
    status: Mapped[str]
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]


class Resource(Base):
    """What helps in an emergency 应急资源: fire stations, hydrants, warehouses, shelters, hospitals."""

    __tablename__ = "resource"
    __table_args__ = (
        gist("resource_geom_idx", "geom"),
        gist("resource_geom_3857_idx", "geom_3857"),
        {
            "schema": "registry",
            "comment": "应急资源; what helps in an emergency: fire stations, hydrants, warehouses, shelters, hospitals.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    local_id: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    name_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    phone: Mapped[str | None]
    capacity: Mapped[float | None] = mapped_column(
        comment="In the unit of its kind: people of a team or shelter, beds, m³ of water, m² of store."
    )
    geom: Mapped[WKBElement] = mapped_column(metric("POINT"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POINT"), projected("geom"))
    town_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    cell_code: Mapped[str | None]
    source_frame: Mapped[str] = mapped_column(server_default=text("'metric'::text"))
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]
