"""Who answers: departments, rules, assignments, people and grid staff."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import EMPTY, FALSE, NOW, Base, Big


class Department(Base):
    """A department or bureau that may lead."""

    __tablename__ = "department"
    __table_args__ = ({"schema": "duty"},)

    code: Mapped[str] = mapped_column(primary_key=True)
    name_zh: Mapped[str]
    name_en: Mapped[str] = mapped_column(server_default=EMPTY)
    phone: Mapped[str | None]
    batch_id: Mapped[Big | None]


class Rule(Base):
    """Template: one row per place type, with the department that usually leads."""

    __tablename__ = "rule"
    __table_args__ = (
        {
            "schema": "duty",
            "comment": "Template: one row per place type, with the department that usually leads. Only duty.assignment says who leads here.",
        },
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    place_type_zh: Mapped[str]
    place_type_en: Mapped[str]
    category: Mapped[str]
    gbt4754: Mapped[str] = mapped_column(server_default=EMPTY)
    nine_small: Mapped[bool] = mapped_column(server_default=FALSE)
    lead_code: Mapped[str | None] = mapped_column(ForeignKey("duty.department.code"))
    co_codes: Mapped[list[str]] = mapped_column(server_default=text("'{}'::text[]"))
    legal_basis_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    legal_basis_en: Mapped[str] = mapped_column(server_default=EMPTY)
    basis_status: Mapped[str] = mapped_column(server_default=EMPTY)
    lead_named_in_basis: Mapped[str] = mapped_column(server_default=text("'N'::text"))
    note_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    note_en: Mapped[str] = mapped_column(server_default=EMPTY)
    batch_id: Mapped[Big | None]


class Person(Base):
    """A person who answers for something."""

    __tablename__ = "person"
    __table_args__ = ({"schema": "duty"},)

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    name_zh: Mapped[str]
    phone: Mapped[str | None]
    department_code: Mapped[str | None] = mapped_column(ForeignKey("duty.department.code"))
    unit_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    can_admin_inspect: Mapped[bool] = mapped_column(server_default=FALSE)
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    local_id: Mapped[str | None] = mapped_column(
        unique=True,
        comment="Name and phone as the file has them: what an import knows a person by. NULL = not from a file.",
    )
    batch_id: Mapped[Big | None]


class Assignment(Base):
    """A department's duty for a place type in a unit; only confirmed or designated counts."""

    __tablename__ = "assignment"
    __table_args__ = (
        UniqueConstraint(
            "rule_code",
            "unit_code",
            "department_code",
            "role",
            "valid_from",
            name="assignment_rule_code_unit_code_department_code_role_valid_f_key",
        ),
        Index("assignment_rule_idx", "rule_code", "unit_code"),
        {"schema": "duty"},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    rule_code: Mapped[str] = mapped_column(ForeignKey("duty.rule.code"))
    unit_code: Mapped[str] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    department_code: Mapped[str] = mapped_column(ForeignKey("duty.department.code"))
    role: Mapped[str]
    status: Mapped[str]
    person_id: Mapped[Big | None] = mapped_column(ForeignKey("duty.person.id"))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    document_no: Mapped[str | None]
    local_id: Mapped[str | None] = mapped_column(unique=True)
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]


class Designation(Base):
    """What the committee decided for an industry that no rule covered."""

    __tablename__ = "designation"
    __table_args__ = (
        Index("designation_industry_idx", "industry", "id"),
        {
            "schema": "duty",
            "comment": "新兴行业责任的决定; what the committee decided for an industry that no rule covered: the place type that its sites have from then on, and who leads it.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    industry: Mapped[str] = mapped_column(comment="As analysis.industry_of gives it.")
    rule_code: Mapped[str] = mapped_column(ForeignKey("duty.rule.code"))
    department_code: Mapped[str | None] = mapped_column(ForeignKey("duty.department.code"))
    assignment_id: Mapped[Big | None] = mapped_column(
        ForeignKey("duty.assignment.id"),
        comment="The assignment that was made with it; NULL = the sites took a place type that was there already.",
    )
    near_rule_code: Mapped[str | None] = mapped_column(
        ForeignKey("duty.rule.code"), comment="The rule whose business was said to be nearest."
    )
    document_no: Mapped[str]
    valid_from: Mapped[date]
    decided_at: Mapped[datetime] = mapped_column(server_default=NOW)
    decided_by: Mapped[str] = mapped_column(server_default=EMPTY)


class GridStaff(Base):
    """The chief or a worker of a cell, from a day to a day."""

    __tablename__ = "grid_staff"
    __table_args__ = (
        UniqueConstraint(
            "cell_code",
            "person_id",
            "role",
            "assigned_from",
            name="grid_staff_cell_code_person_id_role_assigned_from_key",
        ),
        Index("grid_staff_cell_idx", "cell_code"),
        {"schema": "duty"},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    cell_code: Mapped[str] = mapped_column(
        ForeignKey("territory.grid_cell.code", deferrable=True, initially="DEFERRED")
    )
    person_id: Mapped[Big] = mapped_column(ForeignKey("duty.person.id"))
    role: Mapped[str]
    assigned_from: Mapped[date]
    assigned_to: Mapped[date | None]
    trained_at: Mapped[date | None]
    local_id: Mapped[str | None] = mapped_column(unique=True)
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]


class UnitStaff(Base):
    """The named person of a county, town or community."""

    __tablename__ = "unit_staff"
    __table_args__ = (
        UniqueConstraint(
            "unit_code",
            "person_id",
            "role",
            "assigned_from",
            name="unit_staff_unit_code_person_id_role_assigned_from_key",
        ),
        {"schema": "duty"},
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    unit_code: Mapped[str] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    person_id: Mapped[Big] = mapped_column(ForeignKey("duty.person.id"))
    role: Mapped[str]
    assigned_from: Mapped[date]
    assigned_to: Mapped[date | None]
    local_id: Mapped[str | None] = mapped_column(unique=True)
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]
