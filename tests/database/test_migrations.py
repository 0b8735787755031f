"""The schema comes up from nothing, from an earlier revision, and refuses what it does not know."""

from collections.abc import Callable

import psycopg
import pytest

from geoapp.database import migrations
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.errors import Refused

SRID = 4549


def test_an_old_schema_with_data_is_brought_up_to_date(make_database: Callable[..., str]) -> None:
    url = make_database()
    migrations.migrate(url, srid=SRID, to="0003")
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO territory.unit (code, level, name_zh, geom) VALUES ('310116000000', 'county', '样例区',"
            " ST_Multi(ST_GeomFromText('POLYGON((0 0, 0 10, 10 10, 10 0, 0 0))', 4549)))"
        )
        gone = connection.execute("SELECT to_regclass('watch.incident') AS t").fetchone()
        assert gone is not None
        assert gone["t"] is None
    assert migrations.migrate(url, srid=SRID) == migrations.head()
    with connect(url) as connection:
        kept = connection.execute("SELECT name_zh, ST_Area(geom) AS area FROM territory.unit").fetchone()
        assert kept == {"name_zh": "样例区", "area": 100.0}
        back = connection.execute("SELECT to_regclass('watch.incident') AS t").fetchone()
        assert back is not None
        assert back["t"] == "watch.incident"


def test_another_zone_is_refused_and_nothing_changes(empty_url: str) -> None:
    with pytest.raises(Refused, match=r"4549[\s\S]*4552"):
        migrations.migrate(empty_url, srid=4552)
    assert migrations.stored_srid(empty_url) == SRID


def test_a_second_zone_works_in_its_own_database(
    cluster: PrivateCluster, make_database: Callable[..., str]
) -> None:
    url = make_database("template0")
    migrations.migrate(url, srid=4552)
    assert migrations.stored_srid(url) == 4552
    with connect(url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO territory.city (name_zh, name_en, code, metric_srid) VALUES ('甲', 'A', '231004', 4549)"
        )


def test_a_newer_database_is_refused(empty_url: str) -> None:
    with connect(empty_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Refused, match="9999"):
        migrations.migrate(empty_url, srid=SRID)


def test_definitions_are_renewed_only_when_they_changed(empty_url: str) -> None:
    assert migrations.apply_definitions(empty_url, srid=SRID) is False
    with connect(empty_url) as connection:
        connection.execute("COMMENT ON SCHEMA tiles IS 'definitions of an older program'")
    assert migrations.apply_definitions(empty_url, srid=SRID) is True


def test_an_edited_cell_leaves_its_old_version(empty_url: str) -> None:
    with connect(empty_url) as connection:
        connection.execute(
            "INSERT INTO territory.unit (code, level, name_zh) VALUES ('310116103001', 'community', '样例村')"
        )
        connection.execute(
            "INSERT INTO territory.grid_cell (code, community_code, geom) VALUES ('310116103001000100',"
            " '310116103001', ST_GeomFromText('POLYGON((0 0, 0 10, 10 10, 10 0, 0 0))', 4549))"
        )
        before = connection.execute(
            "SELECT version FROM territory.layer_version WHERE layer = 'cell'"
        ).fetchone()
        connection.execute("UPDATE territory.grid_cell SET geom = ST_Translate(geom, 5, 0)")
        cell = connection.execute("SELECT version FROM territory.grid_cell").fetchone()
        old = connection.execute(
            "SELECT version, ST_XMin(geom) AS x FROM territory.grid_cell_history"
        ).fetchone()
        after = connection.execute(
            "SELECT version FROM territory.layer_version WHERE layer = 'cell'"
        ).fetchone()
    assert cell == {"version": 2}
    assert old == {"version": 1, "x": 0.0}
    assert before is not None
    assert after is not None
    assert after["version"] > before["version"]
