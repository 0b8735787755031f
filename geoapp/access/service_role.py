"""Logins of the programs that run by themselves: the web process and the watch, each with as little as it needs.

A program that talks to strangers (browsers, cameras) does not hold the owner's rights: a hole in it reaches what its own
login may do, and no further. The login belongs to the installation: geoapp_<service>_<fingerprint of the key file>.
"""

import hmac
from typing import Literal

from psycopg import sql
from psycopg.conninfo import make_conninfo

from geoapp.access.sealing import derived, key_fingerprint
from geoapp.database.connection import connect, database_url
from geoapp.settings import settings

Service = Literal["web", "watch"]


def login_url(owner_url: str, service: Service) -> str:
    """libpq address of the database at `owner_url` for a service's own login; asks nothing of the database.

    The password follows from the installation's key file, so that it is kept nowhere else.
    """
    login = f"geoapp_{service}_{key_fingerprint()}"
    return make_conninfo(owner_url, user=login, password=_password(service, login))


def make_login(owner_url: str, service: Service) -> str:
    """Makes the service's login through the owner, or gives it its password anew; its address.

    The server gets the password's SCRAM verifier, never the password.
    """
    login = f"geoapp_{service}_{key_fingerprint()}"
    with connect(owner_url) as connection:
        verifier = connection.pgconn.encrypt_password(
            _password(service, login).encode(), login.encode(), b"scram-sha-256"
        ).decode()
        connection.execute("SELECT pg_advisory_xact_lock(748116314)")
        found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (login,)).fetchone()
        verb = sql.SQL("ALTER" if found else "CREATE")
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN INHERIT PASSWORD {}").format(
                verb, sql.Identifier(login), sql.Literal(verifier)
            )
        )
        connection.execute(
            sql.SQL("GRANT {} TO {}").format(sql.Identifier(f"geoapp_{service}"), sql.Identifier(login))
        )
        # By login, not by group: another city's installation on this server has the same groups.
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(login)
            )
        )
    return login_url(owner_url, service)


def watch_url() -> str:
    """libpq address for the watch: GEOAPP_WATCH_DATABASE_URL, else its own login, made through the owner.

    A private database is started. Raises Refused where it cannot be.
    """
    configured = settings().watch_database_url
    if configured is not None:
        return configured.get_secret_value()
    return make_login(database_url(), "watch")


def running_watch_url() -> str:
    """The same for a watch that runs already: the server may have moved to another port, but is not started here."""
    configured = settings().watch_database_url
    if configured is not None:
        return configured.get_secret_value()
    return login_url(database_url(start=False), "watch")


def _password(service: Service, login: str) -> str:
    return hmac.new(derived(f"database/{service}"), login.encode(), "sha256").hexdigest()
