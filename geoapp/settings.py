"""Settings from the environment (`GEOAPP_*`) and `.env`."""

from functools import lru_cache
from pathlib import Path

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from geoapp.errors import Refused

REPOSITORY = Path(__file__).resolve().parent.parent
SQL_ROOT = REPOSITORY / "sql"


class Settings(BaseSettings):
    """One installation. Paths are made absolute on use, times are seconds, the zone is the city's (EPSG code)."""

    model_config = SettingsConfigDict(env_prefix="GEOAPP_", env_file=".env", extra="ignore")

    home: Path = Path(".geoapp")
    database_url: SecretStr | None = None
    # The web process's own login, where it may not know the owner's (default: made by the owner, see access/service_role.py).
    web_database_url: SecretStr | None = None
    # The same for the watch.
    watch_database_url: SecretStr | None = None
    pg_bin: Path | None = None
    metric_srid: int = 4549
    host: str = "127.0.0.1"
    port: int = 8050
    farm_port: int = 8051
    # Names under which the map may be asked for, separated by commas (default: loopback names and `host`; * = any).
    allowed_hosts: str = ""
    # Addresses of reverse proxies whose X-Forwarded-* headers are believed, separated by commas (default: none).
    trusted_proxies: str = ""
    # A browser's session ends after so many minutes that nobody used it, and after so many hours in any case.
    session_idle_minutes: int = Field(default=120, ge=5, le=1440)
    session_hours: int = Field(default=12, ge=1, le=24)
    # Set by `geoapp demo` for the processes that it starts: sign-in with one click, on this machine only.
    demo: bool = False
    # Sign-in at an OpenID Connect provider, offered when issuer and client are set.
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_name: str = ""
    basemap_url: str | None = None
    basemap_attribution: str = ""
    basemap_approval_number: str = ""
    real_data: Path | None = None
    model: Path | None = None
    # YOLO weights that know persons: without them no frame leaves (default: detection/weights/person-yolo11n.pt, where it is).
    person_model: Path | None = None
    # Outside the database and outside its backups: what is sealed in the database opens with this file only.
    key_file: Path | None = None
    # Scheduled imports: certificates of authorities that are believed besides the public ones (PEM), and the largest download.
    feed_ca_file: Path | None = None
    feed_most_mb: int = Field(default=2048, ge=1)
    # Where people open the map, https://example.org: links in messages lead there (default: messages hold no link).
    public_url: str | None = Field(default=None, pattern=r"^(https?://[^\s()<>]+)?$")
    # The AGPL offer: by default the running program hands out its own source.
    source_url: str = "/source.tar.gz"

    @property
    def home_path(self) -> Path:
        """The installation's folder, absolute."""
        return self.home.expanduser().resolve()

    @property
    def evidence_path(self) -> Path:
        """Folder of evidence frames; `watch.evidence.path` is relative to it."""
        return self.home_path / "evidence"

    @property
    def key_path(self) -> Path:
        """The installation's key file, absolute."""
        if self.key_file is not None:
            return self.key_file.expanduser().resolve()
        return self.home_path / "keys" / "installation.key"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once. Raises Refused, naming the setting but not its value, for a wrong one."""
    try:
        found = Settings()
    except ValidationError as fault:
        wrong = "\n  ".join(f"GEOAPP_{str(e['loc'][0]).upper()}: {e['msg']}" for e in fault.errors())
        raise Refused(
            f"设置有误（环境变量或 .env）/ A setting is wrong (environment or .env):\n  {wrong}"
        ) from None
    if found.database_url is not None:
        try:
            conninfo_to_dict(found.database_url.get_secret_value())
        except ProgrammingError:  # its text would quote the password
            raise Refused(
                "GEOAPP_DATABASE_URL 不是 PostgreSQL 地址 / is not a PostgreSQL address.\n"
                "  Write postgresql://user:password@host:5432/database; special characters in the password as %XX."
            ) from None
    return found
