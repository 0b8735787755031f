"""One web process: the private database up and current, then uvicorn."""

import uvicorn

from geoapp.database import migrations
from geoapp.database.cluster import port_is_free
from geoapp.database.connection import database_url
from geoapp.errors import Refused
from geoapp.settings import settings


def refuse_taken_port(port: int, variable: str) -> None:
    """Raises Refused when something listens on 127.0.0.1:port already, naming the setting to change."""
    if not port_is_free(port):
        raise Refused(
            f"端口 {port} 已被占用 / Port {port} is in use by another program.\n"
            f"  Stop that program, or choose another: {variable}={port + 10} geoapp …"
        )


def serve_map(host: str, port: int) -> None:
    """Serves the map on host:port until stopped; raises Refused when the port is taken or no database answers."""
    refuse_taken_port(port, "GEOAPP_PORT")
    url = database_url()
    migrations.migrate(url, srid=migrations.stored_srid(url) or settings().metric_srid)
    from dashboards.app import create_app

    # Access lines would hold what people looked at; the audit (not the log) is the place for that.
    uvicorn.run(
        create_app(url),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=3,
    )
