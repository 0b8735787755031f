"""The database that a manifest's city goes into, and the row that says which city it is."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from etl.manifest import City
from geoapp.database import migrations
from geoapp.database.connection import connect
from geoapp.errors import Refused

__all__ = ["open_store", "store_city", "stored_city"]

# Tables that views or triggers fill by themselves, and the list of runs: no data of anybody's.
_DERIVED = (
    "layer_version",
    "no_cell_piece",
    "no_cell_made_from",
    "cell_simplified",
    "unit_simplified",
    "simplified_made_from",
    "event_fold",
    "site_bin_made",
    "risk_due",
    "risk_made_from",
    "sight_due",
    "load",
    "connection_record",
    "retention_policy",
)


@contextmanager
def open_store(url: str, city: City, *, dry_run: bool) -> Iterator[str]:
    """URL of a database with the schema in the manifest's zone.

    A database without a schema is migrated to it, as is one whose schema is still wholly empty; a dry run of a new
    city works in a scratch database that is dropped at the end. Raises Refused when the database holds another zone.
    """
    held = migrations.stored_srid(url)
    if held == city.metric_srid:
        if not dry_run:
            migrations.migrate(url, srid=held)
        elif migrations.current(url) != migrations.head():
            raise Refused(
                "数据库结构较旧，试运行不升级它 / The database's schema is older than this program, and a dry run does not change it.\n"
                "  Run `geoapp db up` first."
            )
        yield url
        return
    if held is not None and not _is_empty(url):
        stored = _stored_city(url)
        name = f"{stored['name_zh']} ({stored['code']})" if stored else "别的数据 (other data)"
        raise Refused(
            f"数据库已装有{name}，坐标带 EPSG:{held}；清单要求 EPSG:{city.metric_srid} / This database holds {name} in EPSG:{held}, "
            f"the manifest asks for EPSG:{city.metric_srid}.\n"
            "  One database holds one city: set GEOAPP_HOME to a new folder for the other city."
        )
    if dry_run:
        with _scratch(url, city.metric_srid) as scratch:
            yield scratch
        return
    if held is not None:
        migrations.migrate(url, srid=held, to="base")
    migrations.migrate(url, srid=city.metric_srid)
    yield url


@contextmanager
def _scratch(url: str, srid: int) -> Iterator[str]:
    name = "geoapp_dry_run_" + hashlib.sha256(url.encode()).hexdigest()[:12]
    with connect(url, autocommit=True) as connection:
        try:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name}")
        except psycopg.errors.InsufficientPrivilege:
            raise Refused(
                "试运行要临时建库，但账号没有权限 / A dry run of a new city makes a scratch database, and this account may not.\n"
                "  Run `geoapp db migrate --srid N` first, then the dry run works inside the database."
            ) from None
        try:
            scratch = re.sub(r"/[^/?]+(\?|$)", rf"/{name}\1", url, count=1) if "/" in url[13:] else url
            migrations.migrate(scratch, srid=srid)
            yield scratch
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _is_empty(url: str) -> bool:
    """Whether no table of the schema holds a row (tables that the schema fills by itself excepted)."""
    with connect(url) as connection:
        tables = connection.execute(
            "SELECT format('%%I.%%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN"
            " ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'access', 'staging')"
            " AND tablename <> ALL (%s)",
            (list(_DERIVED),),
        ).fetchall()
        for table in tables:
            if connection.execute(f"SELECT FROM {table['name']} LIMIT 1").fetchone() is not None:
                return False
    return True


def _stored_city(url: str) -> dict[str, Any] | None:
    with connect(url) as connection:
        return connection.execute("SELECT * FROM territory.city").fetchone()


def store_city(connection: psycopg.Connection[dict[str, Any]], city: City, *, into_sample: bool) -> None:
    stored = connection.execute("SELECT * FROM territory.city").fetchone()
    if stored is not None:
        if stored["code"] != city.code or stored["metric_srid"] != city.metric_srid:
            raise Refused(
                f"数据库里是{stored['name_zh']} ({stored['code']}, EPSG:{stored['metric_srid']})，清单是{city.name_zh} "
                f"({city.code}, EPSG:{city.metric_srid}) / This database holds {stored['name_en']}, the manifest is of {city.name_en}.\n"
                "  One database holds one city: set GEOAPP_HOME to a new folder for the other city."
            )
        if stored["is_generated"] and not into_sample:
            raise Refused(
                f"数据库里是生成的示例城市（{stored['name_zh']}），真实数据不能混入 / This database holds the generated sample city; "
                "real data is not mixed into it.\n"
                "  For the real city: GEOAPP_HOME=<a new folder> geoapp load …. To try your files on the sample city: --into-sample "
                "(every screen still says that the city is generated)."
            )
    if stored is None or not stored["is_generated"]:
        # is_generated is not among the columns written: the sample city's mark cannot be lost here.
        connection.execute(
            "INSERT INTO territory.city AS c (name_zh, name_en, code, metric_srid, timezone)"
            " VALUES (%(name_zh)s, %(name_en)s, %(code)s, %(metric_srid)s, %(timezone)s) ON CONFLICT (only_row) DO UPDATE"
            " SET name_zh = excluded.name_zh, name_en = excluded.name_en, timezone = excluded.timezone"
            " WHERE (c.name_zh, c.name_en, c.timezone) IS DISTINCT FROM (excluded.name_zh, excluded.name_en, excluded.timezone)",
            city.model_dump(),
        )
    held = connection.execute(
        "SELECT FROM territory.unit WHERE code = %s", (city.code + "000000",)
    ).fetchone()
    if held is None:
        connection.execute(
            "INSERT INTO territory.unit (code, level, name_zh, name_en, source_frame) VALUES (%s, 'county', %s, %s, 'derived')",
            (city.code + "000000", city.name_zh, city.name_en),
        )


def stored_city(connection: psycopg.Connection[dict[str, Any]]) -> City | None:
    """The city that the database holds, None where it holds none."""
    row = connection.execute(
        "SELECT name_zh, name_en, code, metric_srid, timezone FROM territory.city"
    ).fetchone()
    return None if row is None else City(**row)
