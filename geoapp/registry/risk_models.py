"""Tables of kept scores: what each site and cell had last, what is due to be worked out again, and the surfaces."""

from datetime import date, datetime

from geoalchemy2 import WKBElement
from sqlalchemy import Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import EMPTY, TRUE, Base, Big, gist, mercator, metric, projected

__all__ = [
    "CellRisk",
    "ExpectedEvent",
    "ExpectedEventMade",
    "ParameterVersion",
    "RiskDue",
    "RiskHex",
    "RiskMadeFrom",
    "RiskOnline",
    "SiteRisk",
]


class ParameterVersion(Base):
    """Every value that a constant of the formulas has had."""

    __tablename__ = "parameter_version"
    __table_args__ = (
        {
            "schema": "analysis",
            "comment": "公式常数的历次取值; every value of a constant: it holds from valid_from (-infinity = since ever) until the next. value NULL = taken away. Written by a trigger on analysis.parameter.",
        },
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float | None]
    set_by: Mapped[str] = mapped_column(server_default=EMPTY)
    reason: Mapped[str] = mapped_column(server_default=EMPTY)


class SiteRisk(Base):
    """The newest score of a site."""

    __tablename__ = "site_risk"
    __table_args__ = (
        Index("site_risk_cell_idx", "cell_code"),
        Index("site_risk_town_idx", "town_code"),
        Index("site_risk_until_idx", "exact_until"),
        {
            "schema": "registry",
            "comment": "Derived: score of each site as of computed_at, within risk_drift_points until exact_until, the next moment at which the clock alone changes more. A site named in registry.risk_due is worked out anew when it is asked for. Not active = in the register, not in operation.",
        },
    )

    site_id: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)
    town_code: Mapped[str | None]
    cell_code: Mapped[str | None]
    rule_code: Mapped[str | None]
    is_active: Mapped[bool]
    inherent: Mapped[float | None]
    raw: Mapped[float | None]
    dynamic: Mapped[float | None]
    control: Mapped[float | None]
    score: Mapped[float | None]
    level: Mapped[str | None]
    override_reason: Mapped[str | None]
    points: Mapped[list[float] | None] = mapped_column(
        comment="Points of the score by term, in the order of analysis.risk_term; NULL = the term is not there."
    )
    unknown_parts: Mapped[list[str] | None]
    has_worker: Mapped[bool | None]
    is_stale: Mapped[bool | None]
    newest_data_at: Mapped[datetime | None]
    is_seen: Mapped[bool | None]
    computed_at: Mapped[datetime]
    exact_until: Mapped[datetime]
    checked_at: Mapped[datetime | None] = mapped_column(
        comment="Newest visit, remote check or self-check by then whose outcome is known; NULL = never checked."
    )


class CellRisk(Base):
    """The newest score of a cell that has sites."""

    __tablename__ = "cell_risk"
    __table_args__ = (
        {
            "schema": "registry",
            "comment": "Derived: score of each cell that has sites, from registry.site_risk, as of computed_at. True while none of its sites is due.",
        },
    )

    cell_code: Mapped[str] = mapped_column(primary_key=True)
    score: Mapped[float]
    level: Mapped[str]
    site_count: Mapped[Big]
    top_site_id: Mapped[Big]
    has_duty_gap: Mapped[bool]
    top_has_duty_gap: Mapped[bool]
    is_stale: Mapped[bool]
    unknown_site_count: Mapped[Big]
    computed_at: Mapped[datetime]
    exact_until: Mapped[datetime]
    red_count: Mapped[int] = mapped_column(
        comment="Sites by what a map shows (analysis.risk_look); the six add up to site_count."
    )
    orange_count: Mapped[int]
    yellow_count: Mapped[int]
    no_data_count: Mapped[int]
    no_owner_count: Mapped[int]
    blue_count: Mapped[int]
    missing_count: Mapped[int] = mapped_column(
        comment="Sites by the standing of their lead (analysis.duty_state); the others are settled."
    )
    two_leads_count: Mapped[int]
    disputed_count: Mapped[int]
    proposed_count: Mapped[int]
    no_person_count: Mapped[int]
    duty_gap_site_id: Mapped[Big | None] = mapped_column(
        comment="The first of the sites whose lead is not settled."
    )
    unseen_count: Mapped[int] = mapped_column(comment="Orange and red sites that no online camera sees.")
    overdue_count: Mapped[int] = mapped_column(
        comment="Sites whose next check is overdue (analysis.site_check)."
    )
    overdue_site_id: Mapped[Big | None] = mapped_column(
        comment="The first of the sites whose check is overdue."
    )
    mean_x: Mapped[float] = mapped_column(comment="Mean place of its sites, metres of EPSG:3857.")
    mean_y: Mapped[float]
    lacks_data: Mapped[bool] = mapped_column(server_default=text("false"))


class RiskDue(Base):
    """A site or cell of which something was changed since its score was kept."""

    __tablename__ = "risk_due"
    __table_args__ = (
        Index("risk_due_site_idx", "site_id"),
        {
            "schema": "registry",
            "comment": "Sites whose kept score is old, and cells whose duties changed (site_id NULL): with is_whole_cell every site that stands in the cell by now, with rule_code every cell with a site of that place type by now; all NULL = every site.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    site_id: Mapped[Big | None]
    cell_code: Mapped[str | None]
    marked_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    is_whole_cell: Mapped[bool] = mapped_column(server_default=text("false"))
    rule_code: Mapped[str | None]


class RiskOnline(Base):
    """Cameras that the kept scores took for online."""

    __tablename__ = "risk_online"
    __table_args__ = (
        {
            "schema": "registry",
            "comment": "Cameras that were online when the scores in registry.site_risk were worked out.",
        },
    )

    camera_id: Mapped[Big] = mapped_column(primary_key=True, autoincrement=False)


class RiskMadeFrom(Base):
    """What the kept scores were worked out with: one row."""

    __tablename__ = "risk_made_from"
    __table_args__ = (
        {
            "schema": "registry",
            "comment": "Formula, constants and units that the kept scores were worked out with; others make all of them old.",
        },
    )

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=TRUE)
    versions: Mapped[str]
    made_at: Mapped[datetime]


class RiskHex(Base):
    """A hexagon of the two surfaces of risk."""

    __tablename__ = "risk_hex"
    __table_args__ = (
        gist("risk_hex_geom_3857_idx", "geom_3857"),
        {
            "schema": "registry",
            "comment": "Derived copy of analysis.risk_surface_at() as of computed_at. town_codes: every town within a bandwidth; whoever does not see all of them does not see the hexagon.",
        },
    )

    q: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    r: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    town_codes: Mapped[list[str]]
    rate: Mapped[float | None]
    density: Mapped[float]
    weight: Mapped[float]
    inside_share: Mapped[float]
    bandwidth_m: Mapped[float]
    computed_at: Mapped[datetime]
    geom: Mapped[WKBElement] = mapped_column(metric("POLYGON"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POLYGON"), projected("geom"))


class ExpectedEvent(Base):
    """A square of the event surface."""

    __tablename__ = "expected_event"
    __table_args__ = (
        gist("expected_event_geom_3857_idx", "geom_3857"),
        {
            "schema": "watch",
            "comment": "Derived (geoapp layers refresh): share of the events of the coming 28 days in each square, and their expected number. Town and cell are those of the middle of the square.",
        },
    )

    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    town_code: Mapped[str | None]
    cell_code: Mapped[str | None]
    share: Mapped[float]
    expected: Mapped[float]
    tenth: Mapped[int]
    geom: Mapped[WKBElement] = mapped_column(metric("POLYGON"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POLYGON"), projected("geom"))


class ExpectedEventMade(Base):
    """What the event surface was made from: one row."""

    __tablename__ = "expected_event_made"
    __table_args__ = (
        {
            "schema": "watch",
            "comment": "What watch.expected_event was made from: events before cut_day; not_known says why there is no surface, where there is none.",
        },
    )

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=TRUE)
    made_at: Mapped[datetime]
    cut_day: Mapped[date]
    events: Mapped[int]
    first_day: Mapped[date | None]
    expected: Mapped[float | None]
    not_known_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    not_known_en: Mapped[str] = mapped_column(server_default=EMPTY)
