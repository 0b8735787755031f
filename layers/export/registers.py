"""What can be taken out as a file: every register as it is stored, and every map layer as the map shows it.

A register is one line here. A register's id is plural (`sites`: registry.site as it was loaded), a map layer's singular
(`site`: the analysts' view with its derived columns). Which rows and columns of it a caller gets, the database decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from geoapp.access.caller import ROLES
from geoapp.errors import Refused
from layers.registry import LAYERS, Layer, layer


@dataclass(frozen=True, slots=True)
class Link:
    """Columns of another table that make an id readable: `gives` maps a new column to the table's own."""

    column: str
    table: str
    key: str
    gives: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Register:
    """One thing to take out.

    source: table or view. key: the column that rows are ordered by. geometry: its geometry column, None = it has none.
    wkt: other geometry columns, written as WKT text in the file's frame. personal: columns that name or reach a person: they
    leave with a reason only, and only for roles that may read them. never: columns that are nobody's business outside.
    links: readable names for ids. where: which rows of the source. roles: who may ask at all. layer: the map layer it is.
    """

    id: str
    name_zh: str
    name_en: str
    source: str
    key: str
    geometry: str | None = None
    wkt: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    where: str = ""
    roles: tuple[str, ...] = ROLES
    layer: Layer | None = field(default=None, compare=False)


# Never in a file, whatever the register: addresses that give live pictures, keyed hashes, and the store's own bookkeeping.
NEVER = frozenset(
    {
        "snapshot_url",
        "holder_hash",
        "certificate_hash",
        "batch_id",
        "geom_3857",
        "sector_3857",
        "ellipse_3857",
    }
)

_SITE = Link(
    "site_id",
    "registry.site",
    "id",
    (("site_uscc", "uscc"), ("site_local_id", "local_id"), ("site_name", "name_zh")),
)
_PERSON = Link("person_id", "duty.person", "id", (("person_name", "name_zh"), ("person_phone", "phone")))
# An import may know a holder of an office by name and phone.
_PERSONAL = ("person_name", "person_phone", "local_id")
_ROADS = "s.kind IN ('motorway', 'main_road', 'road', 'railway')"
_WATER = "s.kind IN ('sea', 'water', 'river')"

REGISTERS: dict[str, Register] = {
    one.id: one
    for one in (
        Register("units", "行政单元", "Units", "territory.unit", "code", "geom", wkt=("seat",)),
        Register("grid_cells", "网格", "Grid cells", "territory.grid_cell", "code", "geom"),
        Register("no_cell_grounds", "已声明的无网格地块", "Ground declared to be in no cell", "territory.no_cell_ground", "id", "geom"),
        Register("sites", "场所（一企一档）", "Sites", "registry.site", "id", "geom", personal=("contact_name", "contact_phone")),
        Register("key_risk_areas", "重点风险源区域", "Key risk areas", "registry.key_risk_area", "code", "geom", links=(_SITE,)),
        Register("cameras", "摄像机", "Cameras", "registry.camera", "gb_id", "geom", links=(_SITE,)),
        Register("blind_cameras", "此刻看不到画面的摄像机", "Cameras that are blind now", "analysis.camera_blind", "gb_id", "geom"),
        Register("departments", "部门", "Departments", "duty.department", "code"),
        Register("duty_rules", "职责规则", "Duty rules", "duty.rule", "code"),
        Register("assignments", "责任分配", "Assignments", "duty.assignment", "id", personal=_PERSONAL, links=(_PERSON,)),
        Register("grid_staff", "网格人员", "Grid staff", "duty.grid_staff", "id", personal=_PERSONAL, links=(_PERSON,)),
        Register("unit_staff", "属地负责人", "Staff of units", "duty.unit_staff", "id", personal=_PERSONAL, links=(_PERSON,)),
        Register("certificates", "特种作业证", "Certificates", "registry.certificate", "id", personal=("holder_name",), links=(_SITE,)),
        Register("permits", "动火作业票", "Hot-work permits", "registry.hot_work_permit", "permit_no", "geom", personal=("watcher",), links=(_SITE,)),
        Register("hazards", "隐患", "Hazards", "inspection.hazard", "id", links=(_SITE,)),
        Register("visits", "检查", "Checks", "inspection.visit", "id", personal=("person_name", "person_phone"), links=(_SITE, _PERSON)),
        Register("incidents", "事件", "Incidents", "analysis.event", "incident_no", "geom", wkt=("ellipse",), personal=("reviewed_by",)),
        Register("resources", "应急资源", "Emergency resources", "registry.resource", "id", "geom"),
        Register("reported_events", "历史事件", "Reported events", "watch.reported_event", "id", "geom"),
        Register("buildings", "建筑", "Buildings", "territory.building", "id", "geom"),
        Register("base_features", "底图要素", "Base features", "territory.base_feature", "id", "geom"),
        Register("roads", "道路铁路", "Roads and railways", "territory.base_feature", "id", "geom", where=_ROADS),
        Register("water", "水面", "Water", "territory.base_feature", "id", "geom", where=_WATER),
    )
}  # fmt: skip


def _of_layer(one: Layer) -> Register:
    return Register(
        one.id,
        one.name_zh,
        one.name_en,
        one.source,
        one.key,
        one.shape[0],
        personal=one.personal,
        roles=one.roles,
        layer=one,
    )


def registers_for(roles: Iterable[str] = ROLES) -> dict[str, Register]:
    """What one of `roles` may ask for, by id: registers first, then map layers."""
    held = set(roles)
    layers = {name: _of_layer(one) for name, one in LAYERS.items() if one.export}
    return {name: one for name, one in (REGISTERS | layers).items() if held.intersection(one.roles)}


def exportable() -> list[str]:
    """Names of all that can be written to a file."""
    return list(registers_for())


def register(name: str, roles: Iterable[str] = ROLES) -> Register:
    """The register or layer of that name; raises Refused, with the names for these roles, for any other."""
    found = registers_for(roles)
    if name in found:
        return found[name]
    if name in LAYERS:
        layer(name, roles)  # says that there is none where the roles do not see it
        raise Refused(f"图层 {name} 不能导出 / layer {name!r} is not exported. Choose: {', '.join(found)}.")
    raise Refused(f"没有 {name} 可导出 / there is no {name!r} to export. Choose: {', '.join(found)}.")
