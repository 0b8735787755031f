"""The web process's own login to the database: it may look up sessions and take a signed-in account's role, nothing else."""

import hmac

from psycopg import sql
from psycopg.conninfo import make_conninfo

from geoapp.access.sealing import derived, key_fingerprint
from geoapp.database.connection import connect
from geoapp.settings import settings


def web_url(owner_url: str) -> str:
    """libpq address of the database at `owner_url` for the web process: GEOAPP_WEB_DATABASE_URL, else a login role of this
    installation, made or given its password anew through the owner.

    The password follows from the installation's key file, so that it is kept nowhere else; the server gets its SCRAM
    verifier, never the password.
    """
    configured = settings().web_database_url
    if configured is not None:
        return configured.get_secret_value()
    login = f"geoapp_web_{key_fingerprint()}"
    password = hmac.new(derived("database/web"), login.encode(), "sha256").hexdigest()
    with connect(owner_url) as connection:
        verifier = connection.pgconn.encrypt_password(
            password.encode(), login.encode(), b"scram-sha-256"
        ).decode()
        connection.execute("SELECT pg_advisory_xact_lock(748116314)")
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,)).fetchone()
        verb = sql.SQL("ALTER" if found else "CREATE")
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN INHERIT PASSWORD {}").format(
                verb, sql.Identifier(login), sql.Literal(verifier)
            )
        )
        connection.execute(sql.SQL("GRANT geoapp_web TO {}").format(sql.Identifier(login)))
    return make_conninfo(owner_url, user=login, password=password)
