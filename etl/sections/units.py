"""Units: the district, its towns and communities, with outlines and seats."""

import numpy as np
import shapely
from numpy.typing import NDArray

from etl import checks
from etl.frames import Frame
from etl.ground import Ground
from etl.manifest import Units
from etl.readers import Table
from etl.reasons import Findings
from etl.sections.overlaps import overlaps
from etl.sections.values import Values, constant
from etl.store import Target
from geoapp.registry.identifiers import division_level, division_parent

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "territory.unit",
    "code",
    row_id="code",
    types={
        "code": "text",
        "level": "text",
        "parent_code": "text",
        "name_zh": "text",
        "name_en": "text",
        "seat": "geometry",
        "geom": "geometry",
        "source_frame": "text",
    },
    counts_versions=True,
    retired_by="valid_to",
)


def prepare(table: Table, section: Units, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    """Values of territory.unit; rows that cannot be stored are set aside. Outlines and seats in metres of the zone."""
    columns = section.columns
    asked = checks.texts(table, columns.code)
    code = checks.divisions(asked, findings, columns.code, retired=ground.retired_units)
    findings.reject(checks.blank(asked), "key_missing", columns.code)
    level = constant(table, None)
    parent = constant(table, None)
    for row in np.flatnonzero(~checks.blank(code)):
        try:
            level[row], parent[row] = division_level(code[row]), division_parent(code[row])
        except ValueError:
            findings.reject_row(int(row), "unit_code_invalid", columns.code, found=code[row])
    elsewhere = np.array([c is not None and not c.startswith(ground.city.code) for c in code], dtype=bool)
    findings.reject(
        elsewhere,
        "unit_elsewhere",
        columns.code,
        found=code,
        district=f"{ground.city.name_zh} {ground.city.code}",
    )
    # A parent may come with the same file; one whose own row is set aside does not.
    known = set(ground.units) | {c for c, good in zip(code, findings.accepted, strict=True) if good}
    orphan = np.array(
        [p is not None and lv != "county" and p not in known for p, lv in zip(parent, level, strict=True)],
        dtype=bool,
    )
    orphan &= ~elsewhere
    findings.reject(orphan, "parent_missing", columns.code, found=parent)
    parent[np.equal(level, "county")] = None
    values: Values = {
        "code": code,
        "level": level,
        "parent_code": parent,
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
    }
    if columns.name_en:
        values["name_en"] = checks.texts(table, columns.name_en, default="")
    if table.geometry is not None and frame is not None:
        values["geom"] = checks.polygons(table, frame, ground, findings, multi=True)
        values["source_frame"] = constant(table, frame.name)
        _warn_of_overlaps(values["geom"], values["name_zh"], findings)
        lost = ~findings.accepted & ~checks.blank(values["geom"])
        if lost.any():
            findings.notices.append(
                f"留置的行有 {shapely.area(values['geom'][lost]).sum() / 1e6:,.2f} km² 土地，不属于任何单位 / the rows kept aside hold "
                f"{shapely.area(values['geom'][lost]).sum() / 1e6:,.2f} km² of ground, which is then in no unit"
            )
    if columns.lon and columns.lat and frame is not None:
        seat_findings = Findings(len(table))
        values["seat"], _, _ = checks.points(table, columns.lon, columns.lat, frame, ground, seat_findings)
        if seat_findings.reasons:
            findings.notices.append(
                f"{len(seat_findings.reasons)} 个单位没有可用的驻地坐标 / unit(s) stored without a seat: its coordinates are blank or wrong"
            )
    if "geom" not in values:
        findings.notices.append(
            "文件没有图形：单位没有边界 / no geometry in the file: units without outlines"
        )
    return values


def _warn_of_overlaps(geom: NDArray[np.object_], name: NDArray[np.object_], findings: Findings) -> None:
    """Says how much ground two accepted outlines of the file share; neighbours should share none."""
    kept = np.flatnonzero(findings.accepted & ~checks.blank(geom))
    shared = [(a, b, m2) for a, b, m2 in overlaps(geom[kept]) if m2 > 1.0]
    if shared:
        worst = max(shared, key=lambda item: item[2])
        findings.notices.append(
            f"{len(shared)} 对边界相互重叠，共 {sum(m2 for *_, m2 in shared):,.0f} m² / pair(s) of outlines overlap, most: "
            f"{name[kept[worst[0]]]} and {name[kept[worst[1]]]}, {worst[2]:,.0f} m². A site on shared ground goes to "
            "the town it names, else to the lower code"
        )
