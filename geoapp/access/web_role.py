"""The web process's own login to the database: it may look up sessions and take a signed-in account's role, nothing else."""

from geoapp.access.service_role import make_login
from geoapp.settings import settings


def web_url(owner_url: str) -> str:
    """libpq address of the database at `owner_url` for the web process: GEOAPP_WEB_DATABASE_URL, else its own login, made
    through the owner (geoapp/access/service_role.py)."""
    configured = settings().web_database_url
    return configured.get_secret_value() if configured is not None else make_login(owner_url, "web")
