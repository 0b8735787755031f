"""A private PostgreSQL with PostGIS: initdb and pg_ctl of the system's server, for this installation alone.

It listens on 127.0.0.1 and a socket, asks a scram password kept in a 0600 file, and runs as `postgres` when the
caller is root (PostgreSQL refuses root).
"""

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from geoapp.errors import Refused

SERVER_ACCOUNT = "postgres"
ROLE = "geoapp"
DATABASE = "geoapp"
# sun_path holds 107 bytes; the server appends "/.s.PGSQL.65535.lock".
SOCKET_FOLDER_MAX = 107 - len("/.s.PGSQL.65535.lock")
STATE_FOLDER = Path("/var/lib/geoapp")
INSTALL_LINE = "sudo apt-get install -y postgresql-15-postgis-3"

DURABLE = {
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "jit": "off",
    "shared_preload_libraries": "'postgis-3'",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "max_connections": "80",
    "random_page_cost": "1.1",
}
# For tests only: a crash may lose data, nothing waits for the disk.
THROWAWAY = DURABLE | {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "128MB",
}


def find_server(pg_bin: Path | None = None) -> Path:
    """Folder with initdb, pg_ctl and postgres, newest version first.

    Raises Refused, with the line to run, when PostgreSQL or its PostGIS files are not installed.
    """
    candidates = [pg_bin] if pg_bin else []
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    candidates += sorted(versions, key=lambda p: int(re.sub(r"\D", "", p.parent.name) or 0), reverse=True)
    if on_path := shutil.which("pg_ctl"):
        candidates.append(Path(on_path).resolve().parent)
    with_server = [p for p in candidates if (p / "initdb").exists() and (p / "pg_ctl").exists()]
    if not with_server:
        raise Refused(
            "没有找到 PostgreSQL 服务器 / No PostgreSQL server (initdb, pg_ctl) was found.\n"
            f"  Run: {INSTALL_LINE}\n  or set GEOAPP_PG_BIN to its bin folder, or GEOAPP_DATABASE_URL to a server of your own."
        )
    for folder in with_server:
        if has_postgis(folder):
            return folder
    raise Refused(
        f"PostgreSQL 在 {with_server[0]}，但没有 PostGIS / PostgreSQL is in {with_server[0]}, but PostGIS is not installed.\n"
        f"  Run: {INSTALL_LINE}"
    )


def has_postgis(bin_folder: Path) -> bool:
    """Whether the extension's control file lies where this server looks for it."""
    pg_config = bin_folder / "pg_config"
    if pg_config.exists():
        done = subprocess.run([pg_config, "--sharedir"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and (Path(done.stdout.strip()) / "extension/postgis.control").exists():
            return True
    version = bin_folder.parent.name
    return Path(f"/usr/share/postgresql/{version}/extension/postgis.control").exists()


def port_is_free(port: int) -> bool:
    """Whether nothing listens on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class PrivateCluster:
    """The server of one `home` folder.

    `home/database/` holds `password` (0600), `port`, `lock` and, unless the server's account cannot enter that
    folder, the cluster itself; then `cluster_path` points to a folder in the system's state folder.
    """

    home: Path
    pg_bin: Path | None = None
    throwaway: bool = False
    _server: Path | None = field(default=None, repr=False)

    @property
    def server(self) -> Path:
        """bin folder of the system's PostgreSQL; raises Refused where it is missing."""
        if self._server is None:
            self._server = find_server(self.pg_bin)
        return self._server

    @property
    def _folder(self) -> Path:
        return self.home / "database"

    @property
    def root(self) -> Path:
        """Folder of the cluster: data, run and log."""
        pointer = self._folder / "cluster_path"
        if pointer.exists():
            return Path(pointer.read_text(encoding="utf-8").strip())
        return self._folder / "cluster"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.root / "data"

    @property
    def port(self) -> int:
        """The port of 127.0.0.1, as last started."""
        return int((self._folder / "port").read_text(encoding="utf-8"))

    @property
    def socket_folder(self) -> Path:
        """Folder of the socket; a short one elsewhere when the path would not fit into a socket address."""
        near = self.root / "run"
        if len(os.fsencode(near)) <= SOCKET_FOLDER_MAX:
            return near
        short = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(f"/tmp/geoapp-{short}")

    def url(self, database: str = DATABASE) -> str:
        """libpq URL with the password, for psql and drivers. Raises Refused when there is no cluster yet."""
        password_file = self._folder / "password"
        if not password_file.exists():
            raise Refused(f"{self.home} 里还没有数据库 / no database yet in {self.home}: run geoapp db up.")
        password = password_file.read_text(encoding="utf-8").strip()
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.port}/{database}"

    def is_running(self) -> bool:
        """Whether a server of this data folder accepts connections."""
        pid = self._server_pid()
        if pid is None or not self._is_our_server(pid):
            return False
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=3):
                return True
        except psycopg.OperationalError:
            return False

    def up(self) -> bool:
        """Starts the server, making it first where there is none; returns whether it had to be started.

        Safe to call at any time: a running server is left alone, a pid file left by a kill is removed, a busy port
        is replaced by a free one. Raises Refused with the reason and the log's last lines when it does not start.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise Refused(
                f"不能建立文件夹 {self._folder} / The folder {self._folder} cannot be made: {fault.strerror}.\n"
                "  Set GEOAPP_HOME to a folder that you may write to."
            ) from None
        with self._locked():
            if (self.data / "PG_VERSION").exists():
                self._check_version()
                if self.is_running():
                    self._make_database()  # a start that was killed may have come this far only
                    return False
            else:
                self._initialise()
            self._start()
            self._make_database()
            return True

    def down(self, *, mode: str = "fast") -> bool:
        """Stops the server and waits for it; returns whether one was running. `mode`: smart, fast or immediate."""
        if not (self.data / "PG_VERSION").exists():
            return False
        with self._locked():
            pid = self._server_pid()
            if pid is None or not self._is_our_server(pid):
                return False
            done = self._run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w", "-t", "60")
            if done.returncode != 0:
                raise Refused(
                    f"数据库停不下来 / The database did not stop: {done.stderr.strip() or done.stdout.strip()}"
                )
            return True

    def destroy(self) -> None:
        """Stops the server at once and deletes its folder (tests)."""
        self.down(mode="immediate")
        shutil.rmtree(self.root, ignore_errors=True)
        if self.socket_folder.parent != self.root:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    # --- steps -----------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One start or stop at a time: a second caller waits for the first."""
        with (self._folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _account(self) -> str | None:
        return SERVER_ACCOUNT if os.geteuid() == 0 else None

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a server program as the server's account, in a folder that the account may enter."""
        account = self._account()
        return subprocess.run(
            [str(self.server / program), *arguments],
            user=account,
            group=account,
            extra_groups=[] if account else None,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"},
            capture_output=True,
            text=True,
            check=False,
        )

    def _account_can_enter(self, folder: Path) -> bool:
        """Whether the server's account can pass every parent of `folder`."""
        account = self._account()
        if account is None:
            return True
        done = subprocess.run(
            ["test", "-x", str(folder)], user=account, group=account, extra_groups=[], cwd="/", check=False
        )
        return done.returncode == 0

    def _choose_root(self) -> Path:
        pointer = self._folder / "cluster_path"
        if pointer.exists() or self._account_can_enter(self._folder):
            return self.root
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        root = STATE_FOLDER / name
        pointer.write_text(f"{root}\n", encoding="utf-8")
        return root

    def _initialise(self) -> None:
        if self._account() and SERVER_ACCOUNT not in {entry.pw_name for entry in pwd.getpwall()}:
            raise Refused(
                f"没有系统账户 {SERVER_ACCOUNT} / no system account {SERVER_ACCOUNT}: run {INSTALL_LINE}"
            )
        root = self._choose_root()
        root.mkdir(parents=True, exist_ok=True)
        # initdb writes PG_VERSION early: made beside and renamed when whole, a cut-off one is never taken for a cluster.
        draft = root / "data.draft"
        for unfinished in (draft, self.data):  # no PG_VERSION in data, so nothing was ever stored in it
            if unfinished.exists():
                shutil.rmtree(unfinished)
        account = self._account()
        if account:
            shutil.chown(root, account, account)
        root.chmod(0o700)

        password = secrets.token_urlsafe(24)
        password_file = self._folder / "password"
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(password)
        handed = root / "initdb_password"  # the server's account may not read ours
        descriptor = os.open(handed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(password)
        if account:
            shutil.chown(handed, account, account)
        try:
            done = self._run(
                "initdb", "-D", str(draft), "-U", ROLE, "--pwfile", str(handed), "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C.UTF-8", *(["--no-sync"] if self.throwaway else []),
            )  # fmt: skip
        finally:
            handed.unlink(missing_ok=True)
        if done.returncode != 0:
            raise Refused(f"initdb 失败 / initdb failed in {draft}: {done.stderr.strip()}")
        draft.rename(self.data)

    def _check_version(self) -> None:
        stored = (self.data / "PG_VERSION").read_text(encoding="utf-8").strip()
        done = self._run("postgres", "--version")
        found = re.search(r"(\d+)", done.stdout)
        if found and found.group(1) != stored:
            raise Refused(
                f"{self.data} 由 PostgreSQL {stored} 建立，而系统是 {found.group(1)} / was made by PostgreSQL {stored}, "
                f"this system has {found.group(1)}.\n"
                f"  Install postgresql-{stored}-postgis-3, or set GEOAPP_PG_BIN; the data is untouched."
            )

    def _server_pid(self) -> int | None:
        try:
            return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _is_our_server(self, pid: int) -> bool:
        """A pid may have been given to another program since the server was killed: its working folder tells."""
        try:
            return Path(f"/proc/{pid}/cwd").resolve() == self.data.resolve()
        except OSError:
            return False

    def _start(self) -> None:
        pid = self._server_pid()
        if pid is not None and not self._is_our_server(pid):
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        port_file = self._folder / "port"
        port = int(port_file.read_text(encoding="utf-8")) if port_file.exists() else free_port()
        folder = self.socket_folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        account = self._account()
        # The short folder lies where anybody may make one: a stranger's would see our connections.
        owners = {os.geteuid()} | ({pwd.getpwnam(account).pw_uid} if account else set())
        if folder.lstat().st_uid not in owners or folder.is_symlink():
            raise Refused(
                f"{folder} 属于别人 / {folder} belongs to somebody else.\n"
                "  Remove it, or set GEOAPP_HOME to a shorter path; the data is untouched."
            )
        folder.chmod(0o700)
        if account:
            shutil.chown(folder, account, account)

        last = ""
        # After kill -9 the old server's children hold its memory for a moment; a port may be taken meanwhile.
        for attempt in range(12):
            if not port_is_free(port):
                port = free_port()
            port_file.write_text(str(port), encoding="utf-8")
            self._write_configuration(port, folder)
            done = self._run(
                "pg_ctl", "start", "-D", str(self.data), "-l", str(self.root / "log"), "-w", "-t", "60"
            )  # fmt: skip
            if done.returncode == 0:
                return
            last = self._log_tail()
            if "in use" not in last and "already exists" not in last and "could not bind" not in last:
                break
            time.sleep(0.25 * (attempt + 1))
        raise Refused(
            f"数据库没有启动 / The database did not start ({self.data}).\n  {last}\n  Log: {self.root / 'log'}"
        )

    def _write_configuration(self, port: int, socket_folder: Path) -> None:
        values = dict(THROWAWAY if self.throwaway else DURABLE)
        values |= {
            "listen_addresses": "'127.0.0.1'",
            "port": str(port),
            "unix_socket_directories": f"'{socket_folder}'",
            "unix_socket_permissions": "0700",
        }
        text = "# Written by geoapp db up at each start.\n" + "".join(
            f"{k} = {v}\n" for k, v in values.items()
        )
        target = self.data / "geoapp.conf"
        target.write_text(text, encoding="utf-8")
        main = self.data / "postgresql.conf"
        if "geoapp.conf" not in main.read_text(encoding="utf-8"):
            with main.open("a", encoding="utf-8") as handle:
                handle.write("\ninclude_if_exists = 'geoapp.conf'\n")
        account = self._account()
        if account:
            shutil.chown(target, account, account)

    def _log_tail(self, lines: int = 4) -> str:
        try:
            text = (self.root / "log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n  ".join(text.strip().splitlines()[-lines:])

    def _make_database(self) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=10) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
