"""Sections of a manifest beyond the ground, the sites and their watch: duties, certificates, permits, checks, the past.

Where a file has no column for the kind of its rows because all are of one kind, `kind: …` in the section says it.
"""

from typing import ClassVar

from pydantic import Field, model_validator

from etl import words
from etl.section import Column, Section, Strict

__all__ = [
    "Assignments",
    "Buildings",
    "Certificates",
    "Checks",
    "Events",
    "Hazards",
    "Permits",
    "Resources",
    "Roads",
    "Staff",
    "Water",
]


class _OneKind(Section):
    """A section whose rows have a kind: by a column, or `kind` for all of them."""

    kinds: ClassVar[words.Words] = {}
    kind: str | None = None

    @model_validator(mode="after")
    def _has_kind(self) -> "_OneKind":
        if (self.kind is None) == (self.columns.kind is None):
            raise ValueError(
                "name the column of the kind (columns.kind), or give one `kind` for all rows of the file, and not both"
            )
        if self.kind is not None and self.kind.lower() not in self.kinds:
            raise ValueError(
                f"kind {self.kind!r}: expected one of {', '.join(dict.fromkeys(self.kinds.values()))}"
            )
        return self


class AssignmentColumns(Strict):
    rule: Column
    department: Column
    unit: Column | None = None
    role: Column | None = None
    status: Column | None = None
    person: Column | None = None
    phone: Column | None = None
    valid_from: Column | None = None
    valid_to: Column | None = None
    document_no: Column | None = None


class Assignments(Section):
    """Which department leads or helps for which place type, in the county or in a town that differs."""

    name: ClassVar[str] = "assignments"
    spatial: ClassVar[bool] = False
    columns: AssignmentColumns


class StaffColumns(Strict):
    name: Column
    phone: Column | None = None
    department: Column | None = None
    cell: Column | None = None
    unit: Column | None = None
    role: Column | None = None
    assigned_from: Column | None = None
    assigned_to: Column | None = None
    trained_at: Column | None = None
    can_admin_inspect: Column | None = None


class Staff(Section):
    """People and their offices: chiefs and workers of cells, leaders and safety officers of units, officers of departments."""

    name: ClassVar[str] = "staff"
    spatial: ClassVar[bool] = False
    columns: StaffColumns


class CertificateColumns(Strict):
    site: Column
    holder: Column
    id_number: Column
    job_class: Column
    issuer: Column
    issued_on: Column
    valid_to: Column
    certificate_no: Column | None = None
    sub_item: Column | None = None
    review_due_on: Column | None = None


class Certificates(Section):
    """Special operation certificates. The ID number and the certificate's number are stored as keyed hashes only."""

    name: ClassVar[str] = "certificates"
    spatial: ClassVar[bool] = False
    columns: CertificateColumns


class PermitColumns(Strict):
    permit_no: Column
    site: Column
    level: Column
    starts_at: Column
    ends_at: Column
    status: Column | None = None
    watcher: Column | None = None
    lon: Column | None = None
    lat: Column | None = None
    radius_m: Column | None = None


class Permits(Section):
    """Hot-work permits: an area, or a point with a radius; without either, around the site's own point."""

    name: ClassVar[str] = "permits"
    place_is_optional: ClassVar[bool] = True
    border_tolerance_m: float = Field(default=0.0, ge=0, le=2000)
    radius_m: float = Field(default=10.0, gt=0, le=1000)
    columns: PermitColumns


class HazardColumns(Strict):
    site: Column
    class_: Column = Field(alias="class")
    title: Column
    found_at: Column
    id: Column | None = None
    title_en: Column | None = None
    found_by: Column | None = None
    deadline: Column | None = None
    state: Column | None = None
    closed_at: Column | None = None
    unlicensed_work: Column | None = None


class Hazards(Section):
    """Hazards found at sites. `found_by`: who found them, for all rows of a file that has no column for it."""

    name: ClassVar[str] = "hazards"
    spatial: ClassVar[bool] = False
    found_by: str = "patrol"
    columns: HazardColumns

    @model_validator(mode="after")
    def _finder_is_known(self) -> "Hazards":
        if self.found_by.lower() not in words.HAZARD_FINDERS:
            known = ", ".join(dict.fromkeys(words.HAZARD_FINDERS.values()))
            raise ValueError(f"found_by {self.found_by!r}: expected one of {known}")
        return self


class CheckColumns(Strict):
    site: Column
    done_at: Column
    outcome: Column
    id: Column | None = None
    kind: Column | None = None
    person: Column | None = None
    phone: Column | None = None


class Checks(_OneKind):
    """Visits to sites: patrols, self-checks, remote checks, administrative inspections."""

    name: ClassVar[str] = "checks"
    spatial: ClassVar[bool] = False
    kinds: ClassVar[words.Words] = words.CHECK_KINDS
    columns: CheckColumns


class EventColumns(Strict):
    happened_at: Column
    id: Column | None = None
    kind: Column | None = None
    title: Column | None = None
    severity: Column | None = None
    source: Column | None = None
    lon: Column | None = None
    lat: Column | None = None
    town: Column | None = None
    town_code: Column | None = None


class Events(_OneKind):
    """What happened before: dated points of another system. `source`: which system, for all rows."""

    name: ClassVar[str] = "events"
    kinds: ClassVar[words.Words] = words.EVENT_KINDS
    border_tolerance_m: float = Field(default=0.0, ge=0, le=2000)
    source: str = ""
    columns: EventColumns


class BuildingColumns(Strict):
    id: Column | None = None
    name: Column | None = None
    use: Column | None = None
    height_m: Column | None = None
    floors: Column | None = None


class Buildings(Section):
    """Outlines of buildings: polygons."""

    name: ClassVar[str] = "buildings"
    border_tolerance_m: float = Field(default=0.0, ge=0, le=2000)
    columns: BuildingColumns = Field(default_factory=BuildingColumns)


class LineColumns(Strict):
    id: Column | None = None
    kind: Column | None = None
    name: Column | None = None
    name_en: Column | None = None
    width_m: Column | None = None


class Roads(_OneKind):
    """Roads and railways of the base map: lines."""

    name: ClassVar[str] = "roads"
    kinds: ClassVar[words.Words] = words.ROAD_KINDS
    columns: LineColumns = Field(default_factory=LineColumns)


class Water(_OneKind):
    """Water of the base map: areas, or lines of rivers."""

    name: ClassVar[str] = "water"
    kinds: ClassVar[words.Words] = words.WATER_KINDS
    columns: LineColumns = Field(default_factory=LineColumns)


class ResourceColumns(Strict):
    id: Column | None = None
    kind: Column | None = None
    name: Column | None = None
    phone: Column | None = None
    capacity: Column | None = None
    lon: Column | None = None
    lat: Column | None = None
    town: Column | None = None
    town_code: Column | None = None


class Resources(_OneKind):
    """What helps in an emergency: points."""

    name: ClassVar[str] = "resources"
    kinds: ClassVar[words.Words] = words.RESOURCE_KINDS
    border_tolerance_m: float = Field(default=0.0, ge=0, le=2000)
    columns: ResourceColumns = Field(default_factory=ResourceColumns)
