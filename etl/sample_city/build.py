"""The sample city into a database, in one transaction, the same rows for the same seed, size and as-of time.

Gaps are meant, so that each question of the map has something to find (tests assert them by SQL):

- risk: sites of every level and some not graded; open major hazards, unlicensed welding, overdue and rejected ones.
- coverage: ground in no cell (tidal flat, reserves, a strip that was forgotten), sites on it; key risk areas seen
  well, half, or by no camera; 340 of 400 cameras not connected; cells without a worker or with one whose time is
  over; sites whose checks are overdue or never happened.
- duty: place types whose lead is proposed, disputed, missing, expired, doubled or without a person; sites without a
  place type; a town and some communities without a named person.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import psycopg

from etl.batch import batch, record_batch
from etl.sample_city import base_map, duty, facts, incidents, inspection, sites, watching
from etl.sample_city.copying import copy_rows
from etl.sample_city.inspection import CHINA
from etl.sample_city.terrain import Terrain, build_terrain
from geoapp.errors import Refused

FARM_URL = "http://127.0.0.1:8051"
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class CitySize:
    """How much there is of everything; days is how far the history goes back."""

    communities: int
    cells: int
    sites: int
    key_risk_areas: int
    cameras: int
    live_cameras: int
    days: int
    key_risk_areas_zhangyan: int = 119


SMALL = CitySize(
    communities=33, cells=150, sites=250, key_risk_areas=140, cameras=60, live_cameras=12, days=30
)
DEMO = CitySize(
    communities=200, cells=1200, sites=3000, key_risk_areas=379, cameras=400, live_cameras=60, days=90
)


def build_sample_city(
    connection: psycopg.Connection[Any],
    *,
    size: CitySize,
    seed: int,
    as_of: datetime,
    farm_url: str = FARM_URL,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Fills an empty, migrated database (EPSG:4549) and gives the number of rows per table.

    as_of: the moment that the history leads up to, with a time zone. farm_url: where the live cameras' snapshots
    come from. progress is told a step and the share done, 0 to 1.
    Raises Refused when a city is stored already, the zone differs or the sizes do not fit together.
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of needs a time zone")
    _check(size)
    tell = progress or (lambda step, share: None)
    with connection.transaction():
        _refuse_second_city(connection)
        with batch(connection, "sample_city"):
            counts = _fill(connection, size, seed, as_of, farm_url, tell)
            made = {"seed": seed, "as_of": as_of.isoformat(), "rows": counts}
            record_batch(connection, "sample_city", "territory.city", facts.COUNTY, made)
        tell("analyze", 0.97)
        connection.execute("ANALYZE")
    tell("done", 1.0)
    return counts


def _check(size: CitySize) -> None:
    if size.key_risk_areas < size.key_risk_areas_zhangyan:
        raise Refused(
            f"重点风险源 {size.key_risk_areas} 少于张堰的 {size.key_risk_areas_zhangyan} / "
            f"{size.key_risk_areas} key risk areas, but {size.key_risk_areas_zhangyan} are asked for in Zhangyan alone."
        )
    if size.live_cameras > size.cameras or size.cameras > 999_999:
        raise Refused(
            f"摄像机 {size.cameras}，在线 {size.live_cameras} / {size.cameras} cameras, {size.live_cameras} live: "
            "live must not exceed all, and all not 999,999 (GB/T 28181 serial)."
        )
    if size.sites < 120 or size.days < 1 or min(size.cameras, size.live_cameras) < 0:
        raise Refused("样例城市至少要 120 家单位、1 天 / A sample city needs at least 120 sites and 1 day.")


def _refuse_second_city(connection: psycopg.Connection[Any]) -> None:
    cursor = connection.cursor(row_factory=psycopg.rows.tuple_row)
    held = cursor.execute("SELECT name_zh FROM territory.city").fetchone()
    if held is not None:
        raise Refused(
            f"数据库里已有城市：{held[0]} / This database holds a city already ({held[0]}).\n"
            "  One database holds one city: use another GEOAPP_HOME, or geoapp db migrate --to base to remove it."
        )
    found = cursor.execute("SELECT Find_SRID('territory', 'unit', 'geom')").fetchone()
    if found is not None and found[0] != facts.SRID:
        raise Refused(
            f"样例城市用 EPSG:{facts.SRID}，数据库是 EPSG:{found[0]} / The sample city is in EPSG:{facts.SRID}, this "
            f"database in EPSG:{found[0]}: use another GEOAPP_HOME."
        )


def _fill(
    connection: psycopg.Connection[Any],
    size: CitySize,
    seed: int,
    as_of: datetime,
    farm_url: str,
    tell: Progress,
) -> dict[str, int]:
    today = as_of.astimezone(CHINA).date()
    # A stream of chance per subject: a change to one subject leaves the others as they were.
    chance = dict(
        zip(
            (
                "terrain",
                "base",
                "sites",
                "areas",
                "cameras",
                "duty",
                "visits",
                "hazards",
                "papers",
                "incidents",
            ),
            np.random.default_rng(seed).spawn(10),
            strict=True,
        )
    )
    counts: dict[str, int] = {}

    def store(table: str, columns: str, rows: list[tuple[object, ...]]) -> None:
        counts[table] = copy_rows(connection, table, columns, rows, srid=facts.SRID)

    tell("terrain", 0.02)
    try:
        terrain = build_terrain(size.cells, size.communities, chance["terrain"])
    except ValueError as fault:
        raise Refused(f"网格数与社区数不合 / Cells and communities do not fit: {fault}.") from fault
    connection.execute(
        "INSERT INTO territory.city (name_zh, name_en, code, metric_srid, timezone, is_generated, seed, loaded_at)"
        " VALUES ('金山区', 'Jinshan', %s, %s, 'Asia/Shanghai', true, %s, %s)",
        (facts.COUNTY, facts.SRID, seed, as_of),
    )
    counts["territory.city"] = 1
    tell("territory", 0.15)
    _store_territory(store, terrain, as_of)
    tell("base map", 0.2)
    store("territory.base_feature", base_map.COLUMNS, base_map.build_base_map(terrain, chance["base"]))

    tell("duty", 0.28)
    answers = duty.build_duty(terrain, today, chance["duty"])
    store("duty.department", duty.DEPARTMENT_COLUMNS, answers.departments)
    store("duty.rule", duty.RULE_COLUMNS, answers.rules)
    store("duty.person", duty.PERSON_COLUMNS, answers.people)
    store("duty.assignment", duty.ASSIGNMENT_COLUMNS, [(*r, True) for r in answers.assignments])
    store("duty.unit_staff", duty.UNIT_STAFF_COLUMNS, [(*r, True) for r in answers.unit_staff])
    store("duty.grid_staff", duty.GRID_STAFF_COLUMNS, [(*r, True) for r in answers.grid_staff])

    tell("sites", 0.4)
    places = sites.build_sites(size.sites, terrain, today, chance["sites"])
    store(
        "registry.site",
        sites.COLUMNS + " is_generated:bool updated_at:timestamptz",
        [(*r, True, as_of) for r in places.rows],
    )
    tell("key risk areas", 0.5)
    areas = watching.build_areas(
        size.key_risk_areas, size.key_risk_areas_zhangyan, places, today, chance["areas"]
    )
    store(
        "registry.key_risk_area",
        watching.AREA_COLUMNS + " is_generated:bool",
        [(*r, True) for r in areas.rows],
    )
    store("registry.onboarding_target", watching.TARGET_COLUMNS, watching.build_targets(areas, today))
    tell("cameras", 0.55)
    cameras = watching.build_cameras(
        size.cameras, size.live_cameras, places, areas, terrain, farm_url, today, chance["cameras"]
    )
    store(
        "registry.camera", watching.CAMERA_COLUMNS + " is_generated:bool", [(*r, True) for r in cameras.rows]
    )

    tell("inspection", 0.6)
    store(
        "inspection.visit",
        inspection.VISIT_COLUMNS,
        inspection.build_visits(places, answers, cameras, size.days, as_of, chance["visits"]),
    )
    tell("hazards", 0.85)
    papers = inspection.build_certificates(places, today, seed, chance["papers"])
    store("registry.certificate", inspection.CERTIFICATE_COLUMNS, papers)
    permits = inspection.build_permits(places, areas, cameras, papers, size.days, as_of, chance["papers"])
    store("registry.hot_work_permit", inspection.PERMIT_COLUMNS, permits.rows)
    tell("incidents", 0.9)
    past = incidents.build_incidents(
        places, areas, cameras, permits, terrain, size.days, as_of, chance["incidents"]
    )
    store("watch.incident", incidents.COLUMNS, past)
    caught = incidents.caught_welding(past)
    found = inspection.build_hazards(places, caught, size.days, as_of, chance["hazards"])
    store("inspection.hazard", inspection.HAZARD_COLUMNS, found)
    return counts


def _store_territory(
    store: Callable[[str, str, list[tuple[object, ...]]], None], terrain: Terrain, as_of: datetime
) -> None:
    store(
        "territory.unit",
        "code:text level:text parent_code:text name_zh:text name_en:text seat:geometry geom:geometry is_generated:bool",
        [(u.code, u.level, u.parent_code, u.name_zh, u.name_en, u.seat, u.geom, True) for u in terrain.units],
    )
    store(
        "territory.grid_cell",
        "code:text community_code:text name_zh:text geom:geometry valid_from:timestamptz edited_by:text is_generated:bool",
        [
            (code, code[:12], name, geom, as_of, "sample-city", True)
            for code, name, geom in zip(
                terrain.cell_codes.tolist(), terrain.cell_names, terrain.cell_geoms, strict=True
            )
        ],
    )
    store(
        "territory.no_cell_ground",
        "town_code:text name_zh:text name_en:text reason:text declared_on:date geom:geometry is_generated:bool",
        [
            (n.town_code, n.name_zh, n.name_en, n.reason, date.fromisoformat(n.declared_on), n.geom, True)
            for n in terrain.no_cell
        ],
    )
