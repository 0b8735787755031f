"""A revision is a pair of SQL files: sql/migrations/<name>.up.sql and .down.sql."""

from collections.abc import Callable

from alembic import context, op

from geoapp.database.sql_files import read_sql


def sql_revision(name: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """The upgrade and downgrade functions of revision `name`; the city's zone comes with the configuration."""

    def run(direction: str) -> None:
        text = read_sql(f"migrations/{name}.{direction}", srid=context.config.attributes["srid"])
        op.get_bind().connection.cursor().execute(text)

    return (lambda: run("up"), lambda: run("down"))
