"""A city manifest: which files hold what, in which columns, frame and encoding. A second city is a second manifest."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pyproj
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pyproj.exceptions import CRSError

from etl.encoding import decode
from etl.register_sections import (
    Assignments,
    Buildings,
    Certificates,
    Checks,
    Events,
    Hazards,
    Permits,
    Resources,
    Roads,
    Staff,
    Water,
)
from etl.section import Column, Section, Strict
from geoapp.errors import Refused

__all__ = [
    "Manifest",
    "Section",
    "load_manifest",
]


class City(Strict):
    """The district: names, six-digit code, metric zone (EPSG code of a CGCS2000 3-degree zone, metres), time zone."""

    name_zh: str = Field(min_length=1)
    name_en: str = Field(min_length=1)
    code: str = Field(pattern=r"^\d{6}$")
    metric_srid: int
    timezone: str = "Asia/Shanghai"

    @field_validator("metric_srid")
    @classmethod
    def _is_metric(cls, value: int) -> int:
        try:
            crs = pyproj.CRS.from_epsg(value)
        except CRSError:
            raise ValueError(f"there is no EPSG:{value}; CGCS2000 3-degree zones are 4534 to 4554") from None
        if not crs.is_projected or crs.axis_info[0].unit_name != "metre":
            raise ValueError(
                f"EPSG:{value} is not in metres; take the CGCS2000 3-degree zone of the city (4534 to 4554)"
            )
        return value

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"there is no time zone {value!r}; for China write Asia/Shanghai") from None
        return value


class UnitColumns(Strict):
    code: Column
    name: Column
    name_en: Column | None = None
    lon: Column | None = None
    lat: Column | None = None


class Units(Section):
    """Administrative units with outlines (county, towns, communities); lon and lat are the seat."""

    name: ClassVar[str] = "units"
    place_is_optional: ClassVar[bool] = True
    whole: ClassVar[bool] = True
    columns: UnitColumns


class GridColumns(Strict):
    code: Column
    community: Column | None = None
    name: Column | None = None


class Grid(Section):
    """Grid cells: polygons with an 18-digit code."""

    name: ClassVar[str] = "grid"
    whole: ClassVar[bool] = True
    columns: GridColumns


class SiteColumns(Strict):
    name: Column
    id: Column | None = None
    uscc: Column | None = None
    address: Column | None = None
    lon: Column | None = None
    lat: Column | None = None
    town: Column | None = None
    town_code: Column | None = None
    rule: Column | None = None
    gbt4754: Column | None = None
    scale: Column | None = None
    nine_small: Column | None = None
    hazard_level: Column | None = None
    people: Column | None = None
    vulnerability: Column | None = None
    contact_name: Column | None = None
    contact_phone: Column | None = None
    visit_cap_per_year: Column | None = None
    active_from: Column | None = None
    active_to: Column | None = None

    @model_validator(mode="after")
    def _has_key(self) -> "SiteColumns":
        if self.id is None and self.uscc is None:
            raise ValueError(
                "a site needs a key: name the column of the unified social credit code (uscc) or of the file's own id (id)"
            )
        return self


class Sites(Section):
    """Enterprise sites: points, by lon and lat columns or by the file's geometry.

    `border_tolerance_m`: how far outside the district, or outside the town that its row names, a site may lie
    and still be stored (outlines are often generalised); 0 = not at all.
    """

    name: ClassVar[str] = "sites"
    border_tolerance_m: float = Field(default=0.0, ge=0, le=2000)
    columns: SiteColumns


class CameraColumns(Strict):
    gb_id: Column
    name: Column
    site: Column | None = None
    lon: Column | None = None
    lat: Column | None = None
    height_m: Column | None = None
    azimuth_deg: Column | None = None
    tilt_deg: Column | None = None
    hfov_deg: Column | None = None
    width_px: Column | None = None
    height_px: Column | None = None
    max_range_m: Column | None = None
    snapshot_url: Column | None = None
    username: Column | None = None
    password: Column | None = None
    period_s: Column | None = None
    public_place: Column | None = None
    legal_basis: Column | None = None
    installed_on: Column | None = None


class Cameras(Section):
    """Cameras: points with a GB/T 28181 number and, where known, the pose.

    `username` and `password` are sealed (geoapp/access/sealing.py) and stand in no table and no listing; so are an
    account and password that `snapshot_url` holds.
    """

    name: ClassVar[str] = "cameras"
    border_tolerance_m: float = Field(default=0.0, ge=0, le=2000)
    columns: CameraColumns


class KeyRiskAreaColumns(Strict):
    code: Column
    name: Column
    site: Column
    kind: Column
    level: Column
    name_en: Column | None = None
    onboarded_on: Column | None = None
    retired_on: Column | None = None


class KeyRiskAreas(Section):
    """Key risk source areas 重点风险源区域: polygons inside a site, which `site` names by USCC or local id."""

    name: ClassVar[str] = "key_risk_areas"
    columns: KeyRiskAreaColumns


class DepartmentColumns(Strict):
    code: Column
    name: Column
    name_en: Column | None = None
    phone: Column | None = None


class Departments(Section):
    """Departments of the safety committee."""

    name: ClassVar[str] = "departments"
    spatial: ClassVar[bool] = False
    columns: DepartmentColumns


class DutyRuleColumns(Strict):
    code: Column
    place_type: Column
    category: Column
    place_type_en: Column | None = None
    lead: Column | None = None
    co: Column | None = None
    gbt4754: Column | None = None
    legal_basis: Column | None = None
    legal_basis_en: Column | None = None


class DutyRules(Section):
    """Duty rules: place type to the department that usually leads (`lead`) and those that help (`co`, by blanks)."""

    name: ClassVar[str] = "duty_rules"
    spatial: ClassVar[bool] = False
    columns: DutyRuleColumns


# In the order of loading: a later section may refer to an earlier one.
LOADABLE: tuple[type[Section], ...] = (
    Units,
    Grid,
    Departments,
    DutyRules,
    Sites,
    KeyRiskAreas,
    Cameras,
    Assignments,
    Staff,
    Certificates,
    Permits,
    Hazards,
    Checks,
    Events,
    Buildings,
    Roads,
    Water,
    Resources,
)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Manifest(Strict):
    """All sections of a city manifest. A section is one file or a list of files (towns, then communities)."""

    city: City
    units: Annotated[list[Units], BeforeValidator(_as_list)] = Field(default_factory=list)
    grid: Annotated[list[Grid], BeforeValidator(_as_list)] = Field(default_factory=list)
    sites: Annotated[list[Sites], BeforeValidator(_as_list)] = Field(default_factory=list)
    key_risk_areas: Annotated[list[KeyRiskAreas], BeforeValidator(_as_list)] = Field(default_factory=list)
    cameras: Annotated[list[Cameras], BeforeValidator(_as_list)] = Field(default_factory=list)
    departments: Annotated[list[Departments], BeforeValidator(_as_list)] = Field(default_factory=list)
    duty_rules: Annotated[list[DutyRules], BeforeValidator(_as_list)] = Field(default_factory=list)
    assignments: Annotated[list[Assignments], BeforeValidator(_as_list)] = Field(default_factory=list)
    staff: Annotated[list[Staff], BeforeValidator(_as_list)] = Field(default_factory=list)
    certificates: Annotated[list[Certificates], BeforeValidator(_as_list)] = Field(default_factory=list)
    permits: Annotated[list[Permits], BeforeValidator(_as_list)] = Field(default_factory=list)
    hazards: Annotated[list[Hazards], BeforeValidator(_as_list)] = Field(default_factory=list)
    checks: Annotated[list[Checks], BeforeValidator(_as_list)] = Field(default_factory=list)
    events: Annotated[list[Events], BeforeValidator(_as_list)] = Field(default_factory=list)
    buildings: Annotated[list[Buildings], BeforeValidator(_as_list)] = Field(default_factory=list)
    roads: Annotated[list[Roads], BeforeValidator(_as_list)] = Field(default_factory=list)
    water: Annotated[list[Water], BeforeValidator(_as_list)] = Field(default_factory=list)
    resources: Annotated[list[Resources], BeforeValidator(_as_list)] = Field(default_factory=list)

    def in_order(self) -> Iterator[Section]:
        """The files of the sections, in the order in which they are loaded."""
        for kind in LOADABLE:
            yield from getattr(self, kind.name)


def load_manifest(path: Path) -> Manifest:
    """Reads and checks a manifest (YAML).

    Raises Refused with one message for everything that is wrong: file, line, field, what was expected, what to do.
    """
    text = _text_of(path)
    tree = _tree_of(path, text)
    data = yaml.safe_load(text)
    try:
        return Manifest.model_validate(data)
    except ValidationError as fault:
        lines = [_complaint(tree, error) for error in fault.errors()]
        raise Refused(
            f"{path.name}: 清单有 {len(lines)} 处不对，什么都没有导入 / {len(lines)} thing(s) wrong, nothing was loaded.\n"
            + "\n".join(f"  {line}" for line in lines)
        ) from None


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Refused(
            f"找不到清单 {path} / There is no manifest {path}; check the path (docs/onboarding.md shows one)."
        ) from None
    except OSError as fault:
        raise Refused(f"{path}: {fault.strerror}; 请检查权限 / check the permissions.") from None
    return decode(content, None, what=path.name).text.replace("\udcff", "?")


def _tree_of(path: Path, text: str) -> yaml.Node:
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        where = f"第 {mark.line + 1} 行 / line {mark.line + 1}, column {mark.column + 1}" if mark else "?"
        problem = getattr(fault, "problem", None) or str(fault).splitlines()[0]
        hint = "；缩进要用空格 / indent with spaces, not tabs" if "\\t" in repr(problem) else ""
        raise Refused(
            f"{path.name}, {where}: 不是合法的 YAML / not valid YAML: {problem}{hint}.\n"
            "  请改正这一行再试，什么都没有导入 / Correct that line and try again; nothing was loaded."
        ) from None
    if not isinstance(tree, yaml.MappingNode):
        raise Refused(
            f"{path.name}: 清单是空的或不是“键: 值” / is empty or not `key: value` lines; it must begin with `city:`."
        )
    _refuse_repeated_keys(path, tree)
    return tree


def _refuse_repeated_keys(path: Path, node: yaml.Node) -> None:
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_repeated_keys(path, child)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            raise Refused(
                f"{path.name}, 第 {line} 行 / line {line}: `{key.value}` 重复了（前一个在第 {seen[key.value]} 行）"
                f" / appears twice (first on line {seen[key.value]}); keep one, or make the section a list."
            )
        seen[key.value] = line
        _refuse_repeated_keys(path, value)


def _line_of(tree: yaml.Node, location: Sequence[str | int]) -> int:
    """Line (from 1) of the innermost node that the path of keys reaches."""
    node, line = tree, tree.start_mark.line
    for step in location:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = (node.value[step], node.value[step])
        if found is None:
            continue
        line, node = found[0].start_mark.line, found[1]
    return line + 1


def _complaint(tree: yaml.Node, error: Any) -> str:
    location = tuple(error["loc"])
    line = f"第 {_line_of(tree, location)} 行 / line {_line_of(tree, location)}"
    field = ".".join(str(part) for part in location if not isinstance(part, int)) or "manifest"
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _fields_at(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
        hint = f"是不是 / did you mean `{near[0]}`?" if near else f"可用 / known: {', '.join(known)}"
        return f"{line}, {field}: 没有这个键 / unknown key; {hint}"
    if kind == "missing":
        return f"{line}, {field}: 缺少 / is missing; add it"
    if kind == "string_pattern_mismatch" and location[-1] == "code":
        return f'{line}, {field}: {error["input"]!r} 应为六位数字 / expected six digits, like "310116"'
    if kind in ("model_type", "dict_type", "list_type"):
        return f"{line}, {field}: 应为“键: 值” / expected `key: value` lines, found {error['input']!r}"
    message = error["msg"].removeprefix("Value error, ")
    value = "" if kind == "value_error" or isinstance(error["input"], dict) else f" {error['input']!r}:"
    return f"{line}, {field}:{value} {message}"


def _fields_at(location: Sequence[str | int]) -> list[str]:
    """Names of the keys that are known at a path of the manifest."""
    kinds: dict[str, type[BaseModel]] = {kind.name: kind for kind in LOADABLE} | {"city": City}
    steps = [str(part) for part in location if not isinstance(part, int)]
    if not steps:
        return list(Manifest.model_fields)
    model = kinds.get(steps[0], Section)
    if steps[1:] == ["columns"]:
        columns = model.model_fields["columns"].annotation
        if not (isinstance(columns, type) and issubclass(columns, BaseModel)):
            return []
        return [field.alias or name for name, field in columns.model_fields.items()]
    return list(model.model_fields)
