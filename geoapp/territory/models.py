"""The ground: the city, its units and grid cells, and what is derived from them."""

from datetime import date, datetime
from typing import Any

from geoalchemy2 import WKBElement
from sqlalchemy import Computed, ForeignKey, Identity, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from geoapp.database.base import EMPTY, FALSE, NOW, ONE, TRUE, Base, Big, gist, mercator, metric, projected


def town_of_community() -> Computed:
    """The generated code of the town that a community belongs to."""
    return Computed("left(community_code, 9) || '000'", persisted=True)


class City(Base):
    """The one city of this database; is_generated = the sample city, shown on every screen."""

    __tablename__ = "city"
    __table_args__ = (
        {
            "schema": "territory",
            "comment": "The one city of this database; is_generated = the sample city, shown on every screen.",
        },
    )

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=TRUE)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    code: Mapped[str]
    metric_srid: Mapped[int]
    timezone: Mapped[str] = mapped_column(server_default=text("'Asia/Shanghai'::text"))
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    seed: Mapped[int | None]
    loaded_at: Mapped[datetime] = mapped_column(server_default=NOW)


class Unit(Base):
    """An administrative unit: province, city, county, town or community, under its parent."""

    __tablename__ = "unit"
    __table_args__ = (
        gist("unit_geom_3857_idx", "geom_3857"),
        gist("unit_geom_idx", "geom"),
        Index("unit_parent_idx", "parent_code"),
        {"schema": "territory"},
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[str]
    parent_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    name_zh: Mapped[str]
    name_en: Mapped[str] = mapped_column(server_default=EMPTY)
    seat: Mapped[WKBElement | None] = mapped_column(metric("POINT"))
    geom: Mapped[WKBElement | None] = mapped_column(metric("MULTIPOLYGON"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("MULTIPOLYGON"), projected("geom"))
    source_frame: Mapped[str] = mapped_column(server_default=text("'metric'::text"))
    valid_from: Mapped[date] = mapped_column(server_default=text("'2000-01-01'::date"))
    valid_to: Mapped[date | None]
    version: Mapped[Big] = mapped_column(server_default=ONE)
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]


class GridCell(Base):
    """A grid cell 网格, the only ground that is edited; outlines above it are derived."""

    __tablename__ = "grid_cell"
    __table_args__ = (
        Index("grid_cell_community_idx", "community_code"),
        Index("grid_cell_town_idx", "town_code"),
        gist("grid_cell_geom_3857_idx", "geom_3857"),
        gist("grid_cell_geom_idx", "geom"),
        Index("grid_cell_left_out_idx", "code", postgresql_where=text("NOT ST_IsValid(geom)")),
        {"schema": "territory"},
    )

    code: Mapped[str] = mapped_column(primary_key=True)
    cell_no: Mapped[int] = mapped_column(Identity(always=True), unique=True)
    community_code: Mapped[str] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    kind: Mapped[str] = mapped_column(Computed("substr(code, 13, 1)", persisted=True))
    name_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    geom: Mapped[WKBElement] = mapped_column(metric("POLYGON"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POLYGON"), projected("geom"))
    version: Mapped[Big] = mapped_column(server_default=ONE)
    valid_from: Mapped[datetime] = mapped_column(server_default=NOW)
    edited_by: Mapped[str] = mapped_column(server_default=text("CURRENT_USER"))
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]
    town_code: Mapped[str | None] = mapped_column(town_of_community())


class GridCellHistory(Base):
    """A former shape of a cell, with the version it had."""

    __tablename__ = "grid_cell_history"
    __table_args__ = (
        Index("grid_cell_history_code_idx", "code", "version"),
        {"schema": "territory"},
    )

    history_id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    code: Mapped[str]
    community_code: Mapped[str]
    geom: Mapped[WKBElement] = mapped_column(metric("POLYGON"))
    version: Mapped[Big]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime]
    edited_by: Mapped[str]
    town_code: Mapped[str | None] = mapped_column(town_of_community())


class NoCellGround(Base):
    """Ground that the committee has declared to be in no cell: a known gap."""

    __tablename__ = "no_cell_ground"
    __table_args__ = (
        gist("no_cell_ground_geom_idx", "geom"),
        {"schema": "territory"},
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    town_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    name_zh: Mapped[str]
    name_en: Mapped[str] = mapped_column(server_default=EMPTY)
    reason: Mapped[str]
    declared_on: Mapped[date]
    geom: Mapped[WKBElement] = mapped_column(metric("POLYGON"))
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)


class BaseFeature(Base):
    """Water, roads and built-up ground of the base map."""

    __tablename__ = "base_feature"
    __table_args__ = (
        gist("base_feature_geom_3857_idx", "geom_3857"),
        {"schema": "territory"},
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    kind: Mapped[str]
    name_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    name_en: Mapped[str] = mapped_column(server_default=EMPTY)
    geom: Mapped[WKBElement] = mapped_column(metric("GEOMETRY"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("GEOMETRY"), projected("geom"))
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    local_id: Mapped[str | None] = mapped_column(unique=True)
    width_m: Mapped[float | None]
    batch_id: Mapped[Big | None]


class LayerVersion(Base):
    """Version of a layer's content, raised by statement triggers: the ETag of its tiles."""

    __tablename__ = "layer_version"
    __table_args__ = ({"schema": "territory"},)

    layer: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[Big] = mapped_column(server_default=ONE)
    changed_at: Mapped[datetime] = mapped_column(server_default=NOW)


class NoCellPiece(Base):
    """Derived copy of analysis.no_cell_ground(); valid only while no_cell_made_from equals the layers' versions."""

    __tablename__ = "no_cell_piece"
    __table_args__ = (
        gist("no_cell_piece_geom_3857_idx", "geom_3857"),
        gist("no_cell_piece_geom_idx", "geom"),
        {
            "schema": "territory",
            "comment": "Derived copy of analysis.no_cell_ground(); valid only while no_cell_made_from equals the layers' versions.",
        },
    )

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    town_code: Mapped[str | None]
    declared_id: Mapped[int | None]
    area_m2: Mapped[float]
    geom: Mapped[WKBElement] = mapped_column(metric("POLYGON"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("POLYGON"), projected("geom"))


class NoCellMadeFrom(Base):
    """Versions of cell, no_cell and unit that territory.no_cell_piece was computed from."""

    __tablename__ = "no_cell_made_from"
    __table_args__ = (
        {
            "schema": "territory",
            "comment": "Versions of cell, no_cell and unit that territory.no_cell_piece was computed from.",
        },
    )

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=TRUE)
    versions: Mapped[str]
    made_at: Mapped[datetime]


class CellSimplified(Base):
    """A grid cell for small scales; a row is true of its cell as it is."""

    __tablename__ = "cell_simplified"
    __table_args__ = (
        *(
            Index(
                f"cell_simplified_geom_3857_{n}_idx",
                "geom_3857",
                postgresql_using="gist",
                postgresql_where=text(f"level = {n}"),
            )
            for n in (1, 2, 3)
        ),
        Index("cell_simplified_cell_no_idx", "cell_no"),
        Index("cell_simplified_town_idx", "town_code"),
        {
            "schema": "territory",
            "comment": "小比例尺网格（共同边界一致）; derived: outlines of cells for small scales (level 1 to zoom 10, 2 at 11, 3 at 12), common borders the same on both sides.",
        },
    )

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    cell_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    code: Mapped[str]
    community_code: Mapped[str]
    town_code: Mapped[str | None] = mapped_column(town_of_community())
    geom_3857: Mapped[WKBElement] = mapped_column(mercator("GEOMETRY"))


class UnitSimplified(Base):
    """A unit's outline for small scales; true while simplified_made_from holds the present versions."""

    __tablename__ = "unit_simplified"
    __table_args__ = (
        {
            "schema": "territory",
            "comment": "小比例尺行政边界，由简化网格合并而成; derived: outlines of units for small scales, from the simplified cells where the unit has any; true while simplified_made_from holds the present versions.",
        },
    )

    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    code: Mapped[str] = mapped_column(primary_key=True)
    geom_3857: Mapped[WKBElement] = mapped_column(mercator("GEOMETRY"))


class SimplifiedMadeFrom(Base):
    """Version of the cells, versions of cells, declared ground and units, and of the last two alone (ground), that the simplified outlines were made from."""

    __tablename__ = "simplified_made_from"
    __table_args__ = (
        {
            "schema": "territory",
            "comment": "Version of the cells, versions of cells, declared ground and units, and of the last two alone (ground), that the simplified outlines were made from.",
        },
    )

    only_row: Mapped[bool] = mapped_column(primary_key=True, server_default=TRUE)
    cell_version: Mapped[Big]
    versions: Mapped[str]
    ground: Mapped[str | None]
    made_at: Mapped[datetime]


class Changeset(Base):
    """网格调整方案: a proposed change of cells, that somebody else than its planner reviews."""

    __tablename__ = "changeset"
    __table_args__ = (
        Index("changeset_town_idx", "town_code", "state"),
        {
            "schema": "territory",
            "comment": "网格调整方案: a proposed change of cells. planned_by and reviewed_by are never the same account.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    title: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default=EMPTY)
    town_code: Mapped[str] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    proposal: Mapped[dict[str, Any] | None] = mapped_column(
        comment="The cells that would stand there instead, as GeoJSON (EPSG:4326)."
    )
    state: Mapped[str] = mapped_column(server_default=text("'draft'::text"))
    planned_by: Mapped[str] = mapped_column(String, server_default=text("CURRENT_USER"))
    planned_at: Mapped[datetime] = mapped_column(server_default=NOW)
    reviewed_by: Mapped[str | None] = mapped_column(String)
    reviewed_at: Mapped[datetime | None]
    review_note: Mapped[str | None]


class Building(Base):
    """A building's outline, with the height or the floors where the file says them."""

    __tablename__ = "building"
    __table_args__ = (
        gist("building_geom_idx", "geom"),
        gist("building_geom_3857_idx", "geom_3857"),
        Index("building_left_out_idx", "id", postgresql_where=text("NOT ST_IsValid(geom)")),
        {
            "schema": "territory",
            "comment": "建筑轮廓; outlines of buildings, with the height or the floors where the file says them.",
        },
    )

    id: Mapped[Big] = mapped_column(Identity(always=True), primary_key=True)
    local_id: Mapped[str] = mapped_column(unique=True)
    name_zh: Mapped[str] = mapped_column(server_default=EMPTY)
    use: Mapped[str] = mapped_column(
        server_default=EMPTY, comment="What it is used for, in the file's own words."
    )
    height_m: Mapped[float | None]
    floors: Mapped[int | None]
    geom: Mapped[WKBElement] = mapped_column(metric("MULTIPOLYGON"))
    geom_3857: Mapped[WKBElement | None] = mapped_column(mercator("MULTIPOLYGON"), projected("geom"))
    town_code: Mapped[str | None] = mapped_column(
        ForeignKey("territory.unit.code", deferrable=True, initially="DEFERRED")
    )
    cell_code: Mapped[str | None]
    is_generated: Mapped[bool] = mapped_column(server_default=FALSE)
    batch_id: Mapped[Big | None]
