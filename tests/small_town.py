"""A county of 3 km by 1 km made by hand, for tests whose right answers can be worked out on paper.

EPSG:4549, metres; corner (620000, 3400000). Town A is the western 2 km, town B the rest; one community each; cells of
500 m. Town A lacks two of its eight cells: the one at its north-west corner is declared to be in no cell, its eastern
neighbour is simply missing. Every cell but the last has a worker and a chief; nothing else stands there at first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from clones import clone, drop

from geoapp.database.cluster import DATABASE, PrivateCluster
from geoapp.database.connection import connect

X0, Y0 = 620000.0, 3400000.0
COUNTY, TOWN_A, TOWN_B = "310116000000", "310116101000", "310116102000"
COMMUNITY_A, COMMUNITY_B = "310116101001", "310116102001"
MODEL = "0" * 64
Connection = psycopg.Connection[dict[str, Any]]


def box(x: float, y: float, width: float, height: float) -> str:
    """WKT of a rectangle; metres from the county's corner."""
    x, y = X0 + x, Y0 + y
    ring = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    return f"POLYGON(({', '.join(f'{e} {n}' for e, n in ring)}))"


def cell_code(community: str, number: int) -> str:
    """An 18-digit code: community, kind 1, sequence, micro 00."""
    return f"{community}1{number:03d}00"


def make_small_town(connection: Connection, as_of: datetime) -> dict[str, str]:
    """Writes the county; returns the cell codes by "column,row" of 500 m, counted from the south-west corner."""
    run = connection.execute
    run(
        "INSERT INTO territory.city (name_zh, name_en, code, metric_srid) VALUES ('小城', 'Small', '310116', 4549)"
    )
    units = [
        (COUNTY, "county", None, "小城区", "Small", box(0, 0, 3000, 1000)),
        (TOWN_A, "town", COUNTY, "甲镇", "Town A", box(0, 0, 2000, 1000)),
        (TOWN_B, "town", COUNTY, "乙镇", "Town B", box(2000, 0, 1000, 1000)),
        (COMMUNITY_A, "community", TOWN_A, "甲村", "A", None),
        (COMMUNITY_B, "community", TOWN_B, "乙村", "B", None),
    ]
    for unit in units:
        run(
            "INSERT INTO territory.unit (code, level, parent_code, name_zh, name_en, geom)"
            " VALUES (%s, %s, %s, %s, %s, ST_Multi(ST_GeomFromText(%s, 4549)))",
            unit,
        )
    run(
        "INSERT INTO territory.no_cell_ground (town_code, name_zh, reason, declared_on, geom)"
        " VALUES (%s, '海塘', '海塘', '2020-01-01', ST_GeomFromText(%s, 4549))",
        (TOWN_A, box(0, 500, 500, 500)),
    )
    worker = add_person(connection, "网格员")
    chief = add_person(connection, "网格长")
    cells: dict[str, str] = {}
    for column in range(6):
        for row in range(2):
            if (column, row) in {(0, 1), (1, 1)}:
                continue
            community = COMMUNITY_A if column < 4 else COMMUNITY_B
            code = cell_code(community, len(cells) + 1)
            run(
                "INSERT INTO territory.grid_cell (code, community_code, name_zh, geom)"
                " VALUES (%s, %s, %s, ST_GeomFromText(%s, 4549))",
                (code, community, f"{column},{row}", box(column * 500, row * 500, 500, 500)),
            )
            cells[f"{column},{row}"] = code
            for person, role in ((worker, "worker"), (chief, "chief")):
                if (column, row) != (5, 1):
                    run(
                        "INSERT INTO duty.grid_staff (cell_code, person_id, role, assigned_from)"
                        " VALUES (%s, %s, %s, '2020-01-01')",
                        (code, person, role),
                    )
    run(
        "INSERT INTO duty.department (code, name_zh, name_en) VALUES ('YJ', '应急管理局', 'EMB'), ('XF', '消防', 'Fire')"
    )
    for rule in ("R01", "R02"):
        run(
            "INSERT INTO duty.rule (code, place_type_zh, place_type_en, category) VALUES (%s, %s, %s, 'industry')",
            (rule, f"类型{rule}", f"type {rule}"),
        )
    for unit in (COUNTY, TOWN_A):
        run(
            "INSERT INTO duty.unit_staff (unit_code, person_id, role, assigned_from) VALUES (%s, %s, 'leader', '2020-01-01')",
            (unit, chief),
        )
    return cells


@contextmanager
def small_town(cluster: PrivateCluster, as_of: datetime) -> Iterator[Connection]:
    """A connection to a database of one's own that holds the county; tests roll back what they add."""
    name = clone(cluster, DATABASE)
    try:
        with connect(cluster.url(name), autocommit=True) as connection:
            make_small_town(connection, as_of)
            yield connection
    finally:
        drop(cluster, name)


def _id(connection: Connection, query: str, values: tuple[Any, ...]) -> Any:
    row = connection.execute(query.encode() + b" RETURNING id", values).fetchone()
    assert row is not None
    return row["id"]


def add_person(connection: Connection, name: str) -> int:
    return _id(connection, "INSERT INTO duty.person (name_zh, phone) VALUES (%s, '12345')", (name,))


def assign(
    connection: Connection, rule: str, unit: str, department: str, status: str, *, person: int | None = None
) -> int:
    return _id(
        connection,
        "INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, person_id, valid_from)"
        " VALUES (%s, %s, %s, 'lead', %s, %s, '2020-01-01')",
        (rule, unit, department, status, person),
    )


def add_site(
    connection: Connection,
    x: float,
    y: float,
    *,
    hazard: str | None = "yellow",
    people: int | None = 20,
    vulnerability: str | None = "normal",
    rule: str | None = "R01",
) -> int:
    """A site at x, y metres from the corner; its cell and town follow from the ground."""
    return _id(
        connection,
        """
        INSERT INTO registry.site (name_zh, rule_code, hazard_level, people, vulnerability, geom, cell_code, town_code)
        SELECT '场所', %s, %s, %s, %s, p.at,
            (SELECT c.code FROM territory.grid_cell AS c WHERE ST_Contains(c.geom, p.at)),
            (SELECT u.code FROM territory.unit AS u WHERE u.level = 'town' AND ST_Contains(u.geom, p.at))
        FROM (SELECT ST_SetSRID(ST_MakePoint(%s, %s), 4549) AS at) AS p
        """,
        (rule, hazard, people, vulnerability, X0 + x, Y0 + y),
    )


def add_area(
    connection: Connection,
    site: int,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    onboarded: str = "2025-03-01",
) -> int:
    """A key risk area, a rectangle in metres from the corner."""
    return _id(
        connection,
        "INSERT INTO registry.key_risk_area (code, site_id, name_zh, kind, level, geom, town_code, onboarded_on)"
        " SELECT %s, s.id, '重点区', 'yard', 'red', ST_GeomFromText(%s, 4549), s.town_code, %s FROM registry.site AS s WHERE s.id = %s",
        (f"K{x:.0f}-{y:.0f}", box(x, y, width, height), onboarded, site),
    )


def add_camera(
    connection: Connection,
    x: float,
    y: float,
    sector: str | None,
    *,
    url: str | None = "http://127.0.0.1:1/a.jpg",
    seen: datetime | None = None,
    reason: str | None = None,
    tried: datetime | None = None,
) -> int:
    """A camera at x, y with a sector (WKT); `seen` = last observed, `reason` = why the last try did not look."""
    number = connection.execute("SELECT count(*) AS n FROM registry.camera").fetchone()
    assert number is not None
    camera = _id(
        connection,
        """
        INSERT INTO registry.camera (gb_id, name_zh, geom, sector, snapshot_url, azimuth_deg, cell_code, town_code)
        SELECT %s, '摄像机', p.at, ST_GeomFromText(%s, 4549), %s, 90,
            (SELECT c.code FROM territory.grid_cell AS c WHERE ST_Contains(c.geom, p.at)),
            (SELECT u.code FROM territory.unit AS u WHERE u.level = 'town' AND ST_Contains(u.geom, p.at))
        FROM (SELECT ST_SetSRID(ST_MakePoint(%s, %s), 4549) AS at) AS p
        """,
        (f"31011601421320{number['n']:06d}", sector, url, X0 + x, Y0 + y),
    )
    if seen is not None or reason is not None:
        connection.execute(
            "INSERT INTO watch.camera_health (camera_id, observed, reason, since, last_try_at, last_observed_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (camera, reason is None, reason, tried or seen, tried or seen, seen),
        )
    return camera


def add_visit(connection: Connection, site: int, kind: str, done_at: datetime, outcome: str = "ok") -> int:
    return _id(
        connection,
        "INSERT INTO inspection.visit (site_id, kind, done_at, outcome) VALUES (%s, %s, %s, %s)",
        (site, kind, done_at, outcome),
    )


def add_hazard(
    connection: Connection,
    site: int,
    class_: str,
    found_at: datetime,
    *,
    deadline: datetime | None = None,
    closed_at: datetime | None = None,
    unlicensed: bool = False,
) -> int:
    return _id(
        connection,
        "INSERT INTO inspection.hazard (site_id, class, is_unlicensed_work, title_zh, found_at, found_by, deadline, state, closed_at)"
        " VALUES (%s, %s, %s, '隐患', %s, 'patrol', %s, %s, %s)",
        (
            site,
            class_,
            unlicensed,
            found_at,
            deadline,
            "verified_closed" if closed_at else "found",
            closed_at,
        ),
    )


def add_certificate(
    connection: Connection, site: int, as_of: datetime, *, result: str | None = "valid"
) -> int:
    return _id(
        connection,
        "INSERT INTO registry.certificate (site_id, holder_name, holder_hash, certificate_hash, job_class, issuer_family,"
        " issued_on, valid_to, verified_at, verified_result) VALUES (%s, '李某某', %s, %s, '焊接', 'MEM', %s, %s, %s, %s)",
        (
            site,
            f"h{site}",
            f"c{site}-{result}",
            (as_of - timedelta(days=300)).date(),
            (as_of + timedelta(days=300)).date(),
            as_of - timedelta(days=1) if result else None,
            result,
        ),
    )


def add_incident(
    connection: Connection,
    camera: int,
    site: int | None,
    seen: datetime,
    *,
    class_: str = "welding_arc",
    review: str = "unreviewed",
    state: str = "open",
    score: float = 0.7,
    closed_at: datetime | None = None,
    reviewed_at: datetime | None = None,
    x: float = 100,
    y: float = 100,
) -> Any:
    return _id(
        connection,
        """
        INSERT INTO watch.incident (class, camera_id, state, review, first_seen_at, last_seen_at, opened_at, closed_at,
            reviewed_at, peak_score, model_hash, box, geom, placing_method, site_id, cell_code, town_code)
        SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '{0,0,10,10}', p.at, 'camera_point', %s,
            (SELECT c.code FROM territory.grid_cell AS c WHERE ST_Contains(c.geom, p.at)),
            (SELECT u.code FROM territory.unit AS u WHERE u.level = 'town' AND ST_Contains(u.geom, p.at))
        FROM (SELECT ST_SetSRID(ST_MakePoint(%s, %s), 4549) AS at) AS p
        """,
        (
            class_,
            camera,
            state,
            review,
            seen,
            seen,
            seen,
            closed_at,
            reviewed_at,
            score,
            MODEL,
            site,
            X0 + x,
            Y0 + y,
        ),
    )
