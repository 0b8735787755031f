"""From a file's rows to the values of a register table: one function for each section of the manifest."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import SecretStr

from etl import checks
from etl.addresses import split_address
from etl.frames import Frame
from etl.ground import Ground
from etl.manifest import Cameras, Departments, DutyRules, Grid, KeyRiskAreas, Sites, Units
from etl.readers import Table
from etl.reasons import Findings
from etl.store import Target
from geoapp.access import sealing
from geoapp.registry.identifiers import camera_gb_id_problem, division_level, division_parent, read_cell_code

__all__ = ["PREPARE", "TARGETS", "Values"]

Values = dict[str, NDArray[np.object_]]
Prepare = Callable[[Table, Any, Frame | None, Ground, Findings], Values]

TARGETS = {
    "units": Target(
        "territory.unit",
        "code",
        {
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
    ),
    "grid": Target(
        "territory.grid_cell",
        "code",
        {"code": "text", "community_code": "text", "name_zh": "text", "geom": "geometry"},
    ),
    "sites": Target(
        "registry.site",
        "local_id",
        {
            "uscc": "text",
            "local_id": "text",
            "name_zh": "text",
            "address": "text",
            "rule_code": "text",
            "gbt4754": "text",
            "scale": "text",
            "nine_small": "text",
            "hazard_level": "text",
            "people": "int4",
            "vulnerability": "text",
            "contact_name": "text",
            "contact_phone": "text",
            "visit_cap_per_year": "int4",
            "active_from": "date",
            "active_to": "date",
            "geom": "geometry",
            "town_code": "text",
            "cell_code": "text",
            "source_frame": "text",
            "source_x": "float8",
            "source_y": "float8",
        },
    ),
    "key_risk_areas": Target(
        "registry.key_risk_area",
        "code",
        {
            "code": "text",
            "site_id": "int8",
            "name_zh": "text",
            "name_en": "text",
            "kind": "text",
            "level": "text",
            "geom": "geometry",
            "town_code": "text",
            "onboarded_on": "date",
        },
    ),
    "cameras": Target(
        "registry.camera",
        "gb_id",
        {
            "gb_id": "text",
            "name_zh": "text",
            "site_id": "int8",
            "geom": "geometry",
            "town_code": "text",
            "cell_code": "text",
            "height_m": "float8",
            "azimuth_deg": "float8",
            "tilt_deg": "float8",
            "hfov_deg": "float8",
            "width_px": "int4",
            "height_px": "int4",
            "max_range_m": "float8",
            "snapshot_url": "text",
            "period_s": "int4",
            "public_place": "bool",
            "legal_basis": "text",
            "installed_on": "date",
        },
    ),
    "departments": Target(
        "duty.department",
        "code",
        {"code": "text", "name_zh": "text", "name_en": "text", "phone": "text"},
        has_batch=False,
        has_generated=False,
    ),
    "duty_rules": Target(
        "duty.rule",
        "code",
        {
            "code": "text",
            "place_type_zh": "text",
            "place_type_en": "text",
            "category": "text",
            "gbt4754": "text",
            "lead_code": "text",
            "co_codes": "text[]",
            "legal_basis_zh": "text",
            "legal_basis_en": "text",
        },
        has_batch=False,
        has_generated=False,
    ),
}

_LEVELS = {
    "red": "red", "红": "red", "红色": "red", "重大": "red", "重大风险": "red",
    "orange": "orange", "橙": "orange", "橙色": "orange", "较大": "orange", "较大风险": "orange",
    "yellow": "yellow", "黄": "yellow", "黄色": "yellow", "一般": "yellow", "一般风险": "yellow",
    "blue": "blue", "蓝": "blue", "蓝色": "blue", "低": "blue", "低风险": "blue",
}  # fmt: skip
_SCALES = {
    "above": "above", "规上": "above", "规模以上": "above",
    "below": "below", "规下": "below", "规模以下": "below",
    "sole_trader": "sole_trader", "个体": "sole_trader", "个体工商户": "sole_trader", "个体户": "sole_trader",
}  # fmt: skip
_VULNERABILITIES = {word: word for word in ("normal", "mixed", "sleeping", "both")}


def _constant(table: Table, value: Any) -> NDArray[np.object_]:
    return np.full(len(table), value, dtype=object)


def _units(table: Table, section: Units, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    columns = section.columns
    code = checks.divisions(checks.texts(table, columns.code), findings, columns.code)
    findings.reject(checks.blank(checks.texts(table, columns.code)), "key_missing", columns.code)
    level = _constant(table, None)
    parent = _constant(table, None)
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
        values["source_frame"] = _constant(table, frame.name)
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
    shared = [(a, b, m2) for a, b, m2 in _overlaps(geom[kept]) if m2 > 1.0]
    if shared:
        worst = max(shared, key=lambda item: item[2])
        findings.notices.append(
            f"{len(shared)} 对边界相互重叠，共 {sum(m2 for *_, m2 in shared):,.0f} m² / pair(s) of outlines overlap, most: "
            f"{name[kept[worst[0]]]} and {name[kept[worst[1]]]}, {worst[2]:,.0f} m². A site on shared ground goes to "
            "the town it names, else to the lower code"
        )


def _overlaps(geom: NDArray[np.object_]) -> list[tuple[int, int, float]]:
    """Pairs of polygons that share ground, with the area in m²."""
    if len(geom) < 2:
        return []
    a, b = shapely.STRtree(geom).query(geom, predicate="intersects")
    a, b = a[a < b], b[a < b]
    areas = shapely.area(shapely.intersection(geom[a], geom[b]))
    return [(int(i), int(j), float(m2)) for i, j, m2 in zip(a, b, areas, strict=True) if m2 > 0]


def _grid(table: Table, section: Grid, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    columns = section.columns
    text = checks.texts(table, columns.code)
    findings.reject(checks.blank(text), "key_missing", columns.code)
    code = _constant(table, None)
    for row in np.flatnonzero(~checks.blank(text)):
        try:
            code[row] = read_cell_code(text[row])
        except ValueError:
            findings.reject_row(int(row), "cell_code_invalid", columns.code, found=text[row])
    community = np.array([c[:12] if c else None for c in code], dtype=object)
    findings.reject(
        np.array([c is not None and c not in ground.units for c in community], dtype=bool),
        "parent_missing",
        columns.code,
        found=community,
    )
    if columns.community:
        named = checks.texts(table, columns.community)
        differs = ~checks.blank(named) & ~checks.blank(community) & np.not_equal(named, community)
        findings.reject(differs, "parent_mismatch", columns.community, found=named)
    assert frame is not None
    geom = checks.polygons(table, frame, ground, findings, multi=False)
    _refuse_same_ground(table, geom, text, findings)
    values: Values = {"code": code, "community_code": community, "geom": geom}
    if columns.name:
        values["name_zh"] = checks.texts(table, columns.name, default="")
    return values


def _refuse_same_ground(
    table: Table, geom: NDArray[np.object_], code: NDArray[np.object_], findings: Findings
) -> None:
    """A cell that is mostly another one's ground is set aside (the later row); smaller overlaps make no row wrong."""
    kept = np.flatnonzero(findings.accepted & ~checks.blank(geom))
    gone: set[int] = set()
    for i, j, m2 in _overlaps(geom[kept]):
        first, later = int(kept[i]), int(kept[j])
        share = m2 / min(geom[first].area, geom[later].area)
        if share > 0.5 and first not in gone and later not in gone:
            gone.add(later)
            other = f"{code[first]} (row {table.row_no[first]})"
            findings.reject_row(later, "same_ground", "geometry", other=other, percent=f"{100 * share:.0f}")


def _sites(table: Table, section: Sites, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    columns = section.columns
    local_id = checks.texts(table, columns.id)
    uscc = checks.usccs(checks.texts(table, columns.uscc), findings, columns.uscc or "uscc")
    given = checks.texts(table, columns.uscc)
    findings.reject(checks.blank(local_id) & checks.blank(given), "key_missing", columns.uscc or columns.id)
    _refuse_foreign_keys(uscc, local_id, ground, findings)
    assert frame is not None
    geom, x, y = checks.points(table, columns.lon, columns.lat, frame, ground, findings)
    town = within_named_town(table, columns.town_code, columns.town, geom, ground, findings, section)
    values: Values = {
        "uscc": uscc,
        "local_id": local_id,
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
        "geom": geom,
        "town_code": town,
        "cell_code": ground.cells_at(geom),
        "source_frame": _constant(table, frame.name),
        "source_x": x.astype(object),
        "source_y": y.astype(object),
    }
    if columns.uscc is None:
        del values["uscc"]
    if columns.id is None:
        del values["local_id"]
    for field, column, default in (
        ("address", columns.address, ""),
        ("gbt4754", columns.gbt4754, ""),
        ("nine_small", columns.nine_small, None),
        ("contact_name", columns.contact_name, None),
        ("contact_phone", columns.contact_phone, None),
    ):
        if column:
            values[field] = checks.texts(table, column, default=default)
    for field, column, words in (
        ("hazard_level", columns.hazard_level, _LEVELS),
        ("scale", columns.scale, _SCALES),
        ("vulnerability", columns.vulnerability, _VULNERABILITIES),
    ):
        if column:
            values[field] = checks.allowed(checks.texts(table, column), findings, column, words)
    for field, column, high in (
        ("people", columns.people, 1_000_000),
        ("visit_cap_per_year", columns.visit_cap_per_year, 366),
    ):
        if column:
            text = checks.texts(table, column)
            values[field] = checks.numbers(text, findings, column, low=0, high=high, whole=True)
    if columns.active_from:
        since = checks.dates(checks.texts(table, columns.active_from), findings, columns.active_from)
        findings.reject(
            checks.blank(checks.texts(table, columns.active_from)), "value_missing", columns.active_from
        )
        values["active_from"] = since
    if columns.active_to:
        values["active_to"] = checks.dates(
            checks.texts(table, columns.active_to), findings, columns.active_to
        )
    if columns.rule:
        rule = checks.texts(table, columns.rule)
        _refuse_unknown(
            rule, _known(ground, "SELECT code FROM duty.rule"), "unknown_rule", columns.rule, findings
        )
        values["rule_code"] = rule
    _warn_of_twins(values, checks.texts(table, columns.address), table, findings)
    return values


def within_named_town(
    table: Table,
    code_column: str | None,
    name_column: str | None,
    geom: NDArray[np.object_],
    ground: Ground,
    findings: Findings,
    section: Sites | Cameras,
) -> NDArray[np.object_]:
    """Town of each row by its location, checked against the town it names by code, else by name."""
    named = checks.texts(table, name_column)
    if code_column:
        by_code = checks.texts(table, code_column)
        named = np.where(checks.blank(by_code), named, by_code)
    return checks.within_district(geom, named, ground, findings, section.border_tolerance_m)


def _refuse_foreign_keys(
    uscc: NDArray[np.object_], local_id: NDArray[np.object_], ground: Ground, findings: Findings
) -> None:
    """Sets aside rows whose credit code and local id belong to two different stored sites.

    A stored site without a credit code that has the row's local id is the same site, and takes the code; a row
    without one takes the stored site's (written into `uscc`).
    """
    stored = ground.connection.execute("SELECT uscc, local_id FROM registry.site").fetchall()
    uscc_of = {r["local_id"]: r["uscc"] for r in stored if r["local_id"] is not None}
    id_of = {r["uscc"]: r["local_id"] for r in stored if r["uscc"] is not None}
    for row in np.flatnonzero(~checks.blank(local_id)):
        held = uscc_of.get(local_id[row])
        if uscc[row] is None:
            uscc[row] = held  # a blank does not take a stored code away
        elif held is not None and held != uscc[row]:
            findings.reject_row(int(row), "duplicate_in_store", "id", key=local_id[row], other=held)
        elif uscc[row] in id_of and local_id[row] in uscc_of and held is None:
            other = id_of[uscc[row]] or uscc[row]
            findings.reject_row(int(row), "duplicate_in_store", "uscc", key=uscc[row], other=other)


def _warn_of_twins(values: Values, address: NDArray[np.object_], table: Table, findings: Findings) -> None:
    """Two accepted rows of the same name and address are probably one site: said, never merged in silence."""
    seen: dict[tuple[str, str], int] = {}
    twins: list[tuple[int, int]] = []
    for row in np.flatnonzero(findings.accepted & ~checks.blank(address)):
        key = (values["name_zh"][row], address[row])
        if key in seen:
            twins.append((int(table.row_no[seen[key]]), int(table.row_no[row])))
        seen.setdefault(key, int(row))
    if twins:
        shown = ", ".join(f"{a}={b}" for a, b in twins[:5])
        findings.notices.append(
            f"{len(twins)} 对行名称和地址相同，可能是同一场所 / pair(s) of rows have the same name and address and may be one site "
            f"(both stored): rows {shown}{' …' if len(twins) > 5 else ''}"
        )


def _known(ground: Ground, query: str) -> set[str]:
    return {next(iter(row.values())) for row in ground.connection.execute(query).fetchall()}


def _refuse_unknown(
    values: NDArray[np.object_], known: set[str], code: str, field: str, findings: Findings
) -> None:
    findings.reject(
        np.array([v is not None and v not in known for v in values], dtype=bool), code, field, found=values
    )


def _site_ids(
    names: NDArray[np.object_], ground: Ground, findings: Findings, field: str
) -> NDArray[np.object_]:
    """The stored site's id for each credit code or local id; rows that name none that is stored are set aside."""
    rows = ground.connection.execute("SELECT id, uscc, local_id FROM registry.site").fetchall()
    ids = {r["local_id"]: r["id"] for r in rows} | {r["uscc"]: r["id"] for r in rows}
    ids.pop(None, None)
    found = np.array([ids.get(name) if name is not None else None for name in names], dtype=object)
    findings.reject(checks.blank(found) & ~checks.blank(names), "unknown_site", field, found=names)
    return found


def _key_risk_areas(
    table: Table, section: KeyRiskAreas, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    columns = section.columns
    assert frame is not None
    site = checks.required(checks.texts(table, columns.site), findings, columns.site)
    level = checks.required(checks.texts(table, columns.level), findings, columns.level)
    geom = checks.polygons(table, frame, ground, findings, multi=False)
    place = _constant(table, None)
    placed = ~checks.blank(geom)
    place[placed] = shapely.point_on_surface(geom[placed])
    nowhere = _constant(table, None)
    values: Values = {
        "code": checks.required(checks.texts(table, columns.code), findings, columns.code, "key_missing"),
        "site_id": _site_ids(site, ground, findings, columns.site),
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
        "kind": checks.required(checks.texts(table, columns.kind), findings, columns.kind),
        "level": checks.allowed(level, findings, columns.level, _LEVELS),
        "geom": geom,
        "town_code": checks.within_district(place, nowhere, ground, findings, 0.0),
    }
    if columns.name_en:
        values["name_en"] = checks.texts(table, columns.name_en, default="")
    if columns.onboarded_on:
        day = checks.texts(table, columns.onboarded_on)
        values["onboarded_on"] = checks.dates(day, findings, columns.onboarded_on)
    return values


def _cameras(
    table: Table, section: Cameras, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    columns = section.columns
    assert frame is not None
    gb_id = checks.required(checks.texts(table, columns.gb_id), findings, columns.gb_id, "key_missing")
    for row in np.flatnonzero(~checks.blank(gb_id)):
        why = camera_gb_id_problem(gb_id[row])
        if why:
            findings.reject_row(int(row), "camera_id_invalid", columns.gb_id, found=gb_id[row], why=why)
    geom, _, _ = checks.points(table, columns.lon, columns.lat, frame, ground, findings)
    values: Values = {
        "gb_id": gb_id,
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
        "geom": geom,
        "town_code": within_named_town(table, None, None, geom, ground, findings, section),
        "cell_code": ground.cells_at(geom),
    }
    if columns.site:
        values["site_id"] = _site_ids(checks.texts(table, columns.site), ground, findings, columns.site)
    for field, column, low, high, whole in (
        ("height_m", columns.height_m, 0.1, 500, False),
        ("azimuth_deg", columns.azimuth_deg, 0, 359.999999, False),
        ("tilt_deg", columns.tilt_deg, -90, 90, False),
        ("hfov_deg", columns.hfov_deg, 0.1, 180, False),
        ("width_px", columns.width_px, 1, 20_000, True),
        ("height_px", columns.height_px, 1, 20_000, True),
        ("max_range_m", columns.max_range_m, 0.1, 20_000, False),
        ("period_s", columns.period_s, 1, 86_400, True),
    ):
        if column:
            text = checks.texts(table, column, default="10" if field == "period_s" else None)
            values[field] = checks.numbers(text, findings, column, low=low, high=high, whole=whole)
    if columns.snapshot_url:
        values["snapshot_url"] = _addresses(table, columns.snapshot_url, findings)
    for field, column in (("username", columns.username), ("password", columns.password)):
        if column:
            _take_credentials(checks.texts(table, column), field, column, findings)
    if columns.public_place:
        said = checks.texts(table, columns.public_place)
        values["public_place"] = checks.flags(said, findings, columns.public_place, default=False)
    if columns.legal_basis:
        values["legal_basis"] = checks.texts(table, columns.legal_basis, default="")
    if columns.installed_on:
        day = checks.texts(table, columns.installed_on)
        values["installed_on"] = checks.dates(day, findings, columns.installed_on)
    return values


def _addresses(table: Table, column: str, findings: Findings) -> NDArray[np.object_]:
    """The addresses as they may be stored; an account and password that one holds go to the row's secrets."""
    url = checks.texts(table, column)
    taken = []
    for row in np.flatnonzero(~checks.blank(url)):
        try:
            address = split_address(url[row])
        except ValueError:
            url[row] = None
            findings.reject_row(int(row), "address_has_password", column)
            continue
        url[row] = address.text
        for field, value in (("username", address.username), ("password", address.password)):
            if value is not None:
                findings.secrets[int(row)][field] = SecretStr(value)
        if address.username is not None or address.password is not None:
            taken.append(int(table.row_no[row]))
    if taken:
        shown = ", ".join(map(str, taken[:5])) + (" …" if len(taken) > 5 else "")
        findings.notices.append(
            f"{len(taken)} 行的地址里有账号口令，已取出另行加密，登记的地址不含它们 / row(s) had an account or password in the address: "
            f"taken out and sealed, the address is stored without (rows {shown}). Whoever has the file has them"
        )
    return url


def _take_credentials(given: NDArray[np.object_], field: str, column: str, findings: Findings) -> None:
    """A column of accounts or passwords into the rows' secrets, before what an address held."""
    for row in np.flatnonzero(~checks.blank(given)):
        if sealing.is_sealable(given[row]):
            findings.secrets[int(row)][field] = SecretStr(given[row])
        else:
            findings.reject_row(int(row), "credential_invalid", column)


def _departments(
    table: Table, section: Departments, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    columns = section.columns
    values: Values = {
        "code": checks.required(checks.texts(table, columns.code), findings, columns.code, "key_missing"),
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
    }
    if columns.name_en:
        values["name_en"] = checks.texts(table, columns.name_en, default="")
    if columns.phone:
        values["phone"] = checks.texts(table, columns.phone)
    return values


def _duty_rules(
    table: Table, section: DutyRules, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    columns = section.columns
    departments = _known(ground, "SELECT code FROM duty.department")
    place = checks.required(
        checks.texts(table, columns.place_type), findings, columns.place_type, "name_missing"
    )
    values: Values = {
        "code": checks.required(checks.texts(table, columns.code), findings, columns.code, "key_missing"),
        "place_type_zh": place,
        "place_type_en": checks.texts(table, columns.place_type_en, default=""),
        "category": checks.required(checks.texts(table, columns.category), findings, columns.category),
    }
    if columns.lead:
        lead = checks.texts(table, columns.lead)
        _refuse_unknown(lead, departments, "unknown_department", columns.lead, findings)
        values["lead_code"] = lead
    if columns.co:
        co = _constant(table, None)
        for row, text in enumerate(checks.texts(table, columns.co, default="")):
            co[row] = re.split(r"[\s,;，；、]+", text) if text else []
            for code in co[row]:
                if code not in departments:
                    findings.reject_row(row, "unknown_department", columns.co, found=code)
        values["co_codes"] = co
    for field, column in (
        ("gbt4754", columns.gbt4754),
        ("legal_basis_zh", columns.legal_basis),
        ("legal_basis_en", columns.legal_basis_en),
    ):
        if column:
            values[field] = checks.texts(table, column, default="")
    return values


PREPARE: dict[str, Prepare] = {
    "units": _units,
    "grid": _grid,
    "departments": _departments,
    "duty_rules": _duty_rules,
    "sites": _sites,
    "key_risk_areas": _key_risk_areas,
    "cameras": _cameras,
}
