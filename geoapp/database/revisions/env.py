"""Alembic's environment: one connection, handed in by geoapp.database.migrations."""

from alembic import context


def run() -> None:
    """Runs the revisions on the connection in the configuration's attributes, each file in one transaction."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


run()
