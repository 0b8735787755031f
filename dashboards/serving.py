"""One web process: the private database up and current (or somebody else's, and current), then uvicorn."""

import sys
from typing import Any

import uvicorn

from dashboards.asked import HEADERS_MAX
from geoapp.access.redaction import install
from geoapp.access.web_role import refuse_other_schema, web_url
from geoapp.database import migrations
from geoapp.database.cluster import port_is_free
from geoapp.database.connection import connect, database_url
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
    """Serves the map on host:port until stopped; raises Refused when the port is taken, no database answers, or a
    database that this process does not own is of another revision.

    While there is no account, the terminal (and nothing else: no log file, no address) shows a one-time code with which
    the browser makes the first admin.
    """
    install()  # nothing that is logged shows a secret
    refuse_taken_port(port, "GEOAPP_PORT")
    configured = settings()
    if configured.web_database_url is None:
        url = database_url()
        migrations.migrate(url, srid=migrations.stored_srid(url) or configured.metric_srid)
        as_web = web_url(url)
    else:
        # The owner's address is somebody else's: neither asked for nor needed.
        as_web = web_url()
        refuse_other_schema(as_web)
    from dashboards.app import create_app
    from dashboards.first_start import new_code
    from dashboards.gate import any_account

    with connect(as_web) as connection:
        code = None if any_account(connection) else _show_code(new_code(), host, port)
    uvicorn.run(
        create_app(as_web=as_web, listening_on=host, first_code=code),
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=3,
        **listening(configured.trusted_proxies.strip()),
    )


def listening(proxies: str) -> dict[str, Any]:
    """How uvicorn takes requests in; proxies: addresses whose X-Forwarded-* headers hold, "" = nobody's do."""
    return {
        # Access lines would hold what people looked at; the audit (not the log) is the place for that.
        "access_log": False,
        "server_header": False,
        # uvicorn's default believes whoever is on this machine.
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": proxies or None,
        "ws_max_size": 65_536,
        # h11 stops reading a request whose head is too long; httptools would take a stranger's gigabyte of headers.
        "http": "h11",
        "h11_max_incomplete_event_size": HEADERS_MAX,
    }


def _show_code(code: str, host: str, port: int) -> str | None:
    """Shows the code where a person sits before the terminal, and gives it back; None where output goes to a file."""
    if not sys.stderr.isatty():
        print(
            "还没有账号 / there is no account yet. 请建立管理员 / Make an admin: geoapp user add",
            file=sys.stderr,
            flush=True,
        )
        return None
    reached_at = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    print(
        f"\n  还没有账号 / There is no account yet.\n"
        f"  打开 / Open  http://{reached_at}:{port}/first-start\n"
        f"  一次性代码 / One-time code:  {code}\n",
        file=sys.stderr,
        flush=True,
    )
    return code
