"""The web process's own login to the database: it may look up sessions and take a signed-in account's role, nothing else."""

import psycopg

from geoapp.access.service_role import make_login
from geoapp.database.connection import connect, database_url
from geoapp.database.migrations import head
from geoapp.errors import Refused
from geoapp.settings import settings


def web_url(owner_url: str | None = None) -> str:
    """libpq address for the web process: GEOAPP_WEB_DATABASE_URL, and then nobody asks for the owner's; else a login of its
    own to the database at `owner_url` (default: this installation's, started if need be), made through the owner
    (geoapp/access/service_role.py)."""
    configured = settings().web_database_url
    if configured is not None:
        return configured.get_secret_value()
    return make_login(owner_url or database_url(), "web")


def refuse_other_schema(as_web: str) -> None:
    """Raises Refused, with what to run, where the database at the web process's address is not of this program's revision."""
    try:
        with connect(as_web) as connection:
            row = connection.execute("SELECT revision FROM access.health()").fetchone()
    except psycopg.OperationalError:
        raise Refused(
            "数据库没有应答或不接受这个账号 / The database does not answer, or does not let this login in: GEOAPP_WEB_DATABASE_URL."
        ) from None
    except psycopg.Error:
        row = None
    found = row["revision"] if row is not None else None
    if found != head():
        raise Refused(
            f"数据库结构是 {found or '—'}，程序要的是 {head()}。请在知道所有者地址的地方运行 geoapp db up / The database's schema is"
            f" {found or 'missing, or not open to this login'}, this program's is {head()}.\n"
            "  Run where the owner's address is known: GEOAPP_DATABASE_URL=… geoapp db up"
        )
