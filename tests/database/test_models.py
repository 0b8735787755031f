"""Models and database say the same; and up, down, up leaves the same schema.

What the comparison does not see: CHECK constraints, triggers and the expressions of generated columns (Alembic does not
compare them), the views of `analysis` (no models), and the tables of PostGIS and Alembic in `public`.
"""

import importlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from clones import SRID
from sqlalchemy.orm import Session, configure_mappers

from geoapp.database import migrations
from geoapp.database.base import Base
from geoapp.database.cluster import find_server
from geoapp.database.connection import connect, sqlalchemy_engine

SCHEMAS = {
    "territory",
    "duty",
    "registry",
    "inspection",
    "watch",
    "staging",
    "analysis",
    "casework",
    "access",
}
for subject in ("database", "territory", "duty", "registry", "inspection", "watch", "access"):
    importlib.import_module(f"geoapp.{subject}.models")


def is_compared(name: str | None, kind: str, parents: Any) -> bool:
    """Schemas of ours, and no partitions: they are their table's."""
    if kind == "table" and name is not None:
        return not (parents.get("schema_name") == "watch" and re.fullmatch(r".*_(default|\d{6,8})", name))
    return kind != "schema" or name in SCHEMAS


def differences(url: str, metadata: sa.MetaData = Base.metadata) -> list[Any]:
    """Alembic's list of what would have to change in the database to match the models."""
    engine = sqlalchemy_engine(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "include_schemas": True,
                    "include_name": is_compared,
                    "compare_type": True,
                    "compare_server_default": True,
                },
            )
            return compare_metadata(context, metadata)
    finally:
        engine.dispose()


def test_models_are_the_database(empty_url: str) -> None:
    assert differences(empty_url) == []


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("ALTER TABLE registry.site ADD COLUMN colour text", "remove_column"),
        ("ALTER TABLE registry.site DROP COLUMN people", "add_column"),
        ("ALTER TABLE registry.site ALTER COLUMN people TYPE bigint", "modify_type"),
        (
            "ALTER TABLE registry.hot_work_permit ALTER COLUMN geom TYPE geometry(Polygon, 4547) USING NULL",
            "modify_type",
        ),
        ("ALTER TABLE registry.site ALTER COLUMN name_zh DROP NOT NULL", "modify_nullable"),
        ("ALTER TABLE registry.camera ALTER COLUMN period_s SET DEFAULT 60", "modify_default"),
        ("DROP INDEX registry.site_geom_idx", "add_index"),
        ("CREATE TABLE watch.diary (id integer PRIMARY KEY)", "remove_table"),
        ("COMMENT ON COLUMN registry.camera.azimuth_deg IS 'degrees'", "modify_comment"),
        ("ALTER TABLE watch.incident DROP CONSTRAINT incident_site_id_fkey", "add_fk"),
    ],
)
def test_the_comparison_sees(empty_url: str, change: str, kind: str) -> None:
    with connect(empty_url) as connection:
        migrations.drop_definitions(connection)
        connection.execute(change.encode())
    found = [d[0] if isinstance(d, tuple) else d[0][0] for d in differences(empty_url)]
    assert kind in found


def test_every_table_has_a_model(empty_url: str) -> None:
    with connect(empty_url) as connection:
        rows = connection.execute(
            "SELECT c.oid::regclass::text AS name FROM pg_class AS c WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND c.relnamespace IN (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = ANY (%s))",
            (list(SCHEMAS),),
        ).fetchall()
    assert {r["name"] for r in rows} == set(Base.metadata.tables)


def test_models_read_and_write(empty_url: str) -> None:
    from geoalchemy2 import WKTElement
    from geoalchemy2.shape import to_shape

    from geoapp.registry.models import Site
    from geoapp.territory.models import LayerVersion

    configure_mappers()
    engine = sqlalchemy_engine(empty_url)
    with Session(engine) as session:
        session.add(Site(name_zh="小店", geom=WKTElement("POINT(620000 3400000)", srid=SRID)))
        session.commit()
        site = session.scalars(sa.select(Site)).one()
        assert (site.id, site.hazard_level, site.is_generated, site.address) == (1, None, False, "")
        assert to_shape(site.geom).x == 620000
        assert site.geom_3857 is not None
        assert session.get_one(LayerVersion, "site").version == 1
    engine.dispose()


def schema_text(url: str, *options: str) -> str:
    """pg_dump's text of the whole schema, without the lines that differ from run to run."""
    pg_dump = find_server() / "pg_dump"
    info = psycopg.conninfo.conninfo_to_dict(url)
    done = subprocess.run(
        [pg_dump, "--schema-only", "--no-owner", *options, "--dbname", url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PGPASSWORD": str(info["password"]), "PATH": os.environ["PATH"]},
    )
    return "\n".join(
        line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict |-- Dumped", line)
    )


def test_up_down_up_leaves_the_same_schema(make_database: Callable[..., str]) -> None:
    url = make_database()
    first = schema_text(url)
    assert "CREATE TABLE watch.incident" in first
    assert "CREATE VIEW analysis.risk_cell" in first
    migrations.migrate(url, srid=SRID, to="base")
    assert "CREATE TABLE watch." not in schema_text(url)
    migrations.migrate(url, srid=SRID)
    assert schema_text(url) == first


@pytest.mark.long
def test_each_step_down_is_the_step_before_it(make_database: Callable[..., str]) -> None:
    url = make_database()
    revisions = sorted(p.name[:4] for p in (Path(migrations.REVISIONS) / "versions").glob("0*.py"))
    down = {}
    for revision in reversed(revisions[:-1]):
        migrations.migrate(url, srid=SRID, to=revision)
        # Rights are definitions, renewed at the newest revision only: on the way down they are taken, not given.
        down[revision] = schema_text(url, "--no-privileges")
    migrations.migrate(url, srid=SRID, to="base")
    for revision in revisions[:-1]:
        migrations.migrate(url, srid=SRID, to=revision)
        assert schema_text(url, "--no-privileges") == down[revision], revision
