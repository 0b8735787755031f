"""The private PostGIS survives what happens to servers: kills, busy ports, second starts, closed parent folders."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from geoapp.database.cluster import PrivateCluster, find_server
from geoapp.errors import Refused


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="geoapp-cluster-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def started(home: Path) -> Iterator[PrivateCluster]:
    private = PrivateCluster(home, throwaway=True)
    private.up()
    yield private
    private.destroy()


def one(cluster: PrivateCluster, query: str) -> object:
    with psycopg.connect(cluster.url(), connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def server_pids(cluster: PrivateCluster) -> list[int]:
    """Every process whose working folder is this cluster's data folder: the server and its children."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").resolve() == cluster.data.resolve():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until(check: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not check():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def test_only_the_loopback_and_a_private_socket_answer(started: PrivateCluster) -> None:
    assert one(started, "SHOW listen_addresses") == "127.0.0.1"
    assert one(started, "SHOW unix_socket_permissions") == "0700"
    password_file = started.home / "database" / "password"
    assert password_file.stat().st_mode & 0o777 == 0o600
    wrong = started.url().replace(password_file.read_text(), "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    rules = one(started, "SELECT string_agg(DISTINCT auth_method, ',') FROM pg_hba_file_rules")
    assert rules == "scram-sha-256"


def test_the_url_is_what_psql_takes(started: PrivateCluster) -> None:
    done = subprocess.run(
        ["psql", started.url(), "-XAtc", "SELECT 1 + 1"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "2"


def test_a_second_start_changes_nothing(started: PrivateCluster) -> None:
    before = one(started, "SELECT pg_postmaster_start_time()::text")
    assert PrivateCluster(started.home, throwaway=True).up() is False
    assert one(started, "SELECT pg_postmaster_start_time()::text") == before


def test_kill_of_everything_leaves_the_data_and_the_next_start_works(started: PrivateCluster) -> None:
    with psycopg.connect(started.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        connection.commit()
        connection.execute("CHECKPOINT")
    for pid in server_pids(started):
        os.kill(pid, signal.SIGKILL)
    assert (started.data / "postmaster.pid").exists(), "a kill leaves the pid file behind"
    assert started.up() is True
    assert one(started, "SELECT answer FROM kept") == 42


def test_kill_of_the_server_alone_waits_for_its_children(started: PrivateCluster) -> None:
    pid = int((started.data / "postmaster.pid").read_text().split("\n", 1)[0])
    os.kill(pid, signal.SIGKILL)
    assert started.up() is True
    assert one(started, "SELECT 1") == 1


def test_a_pid_file_that_names_another_program_is_not_believed(started: PrivateCluster) -> None:
    pid_file = started.data / "postmaster.pid"
    text = pid_file.read_text()
    for pid in server_pids(started):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not server_pids(started))
    # The number was given to somebody else meanwhile: to this test, which must not be signalled.
    pid_file.write_text(text.replace(text.split("\n", 1)[0], str(os.getpid()), 1))
    assert started.down() is False
    assert started.up() is True
    assert one(started, "SELECT 1") == 1


def test_a_busy_port_is_replaced(started: PrivateCluster) -> None:
    port = started.port
    started.down()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before may linger
        other.bind(("127.0.0.1", port))
        other.listen()
        assert started.up() is True
        assert started.port != port
        assert one(started, "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")
def test_a_home_under_a_closed_parent_keeps_a_pointer() -> None:
    closed = Path(tempfile.mkdtemp(prefix="geoapp-closed-"))  # mode 0700: postgres may not pass
    private = PrivateCluster(closed / "home", throwaway=True)
    try:
        private.up()
        pointer = closed / "home" / "database" / "cluster_path"
        assert pointer.exists()
        assert not str(private.data).startswith(str(closed))
        assert one(private, "SELECT 1") == 1
        assert PrivateCluster(closed / "home", throwaway=True).up() is False
    finally:
        private.destroy()
        shutil.rmtree(closed, ignore_errors=True)


def test_a_path_too_long_for_a_socket_gets_a_short_one(home: Path) -> None:
    private = PrivateCluster(home / ("long" * 20), throwaway=True)
    try:
        private.up()
        assert len(os.fsencode(private.socket_folder)) < 90
        assert one(private, "SELECT 1") == 1
    finally:
        private.destroy()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that is somebody else's")
def test_a_strangers_socket_folder_is_refused(home: Path) -> None:
    private = PrivateCluster(home / ("long" * 20), throwaway=True)
    private.socket_folder.mkdir(mode=0o777)
    os.chown(private.socket_folder, 65534, 65534)
    try:
        with pytest.raises(Refused, match="belongs to somebody else"):
            private.up()
        os.chown(private.socket_folder, 0, 0)
        assert private.up() is True
        assert private.socket_folder.stat().st_mode & 0o777 == 0o700
    finally:
        private.destroy()
        shutil.rmtree(private.socket_folder, ignore_errors=True)


def test_an_initdb_that_was_cut_off_is_made_again(home: Path) -> None:
    private = PrivateCluster(home, throwaway=True)
    half = home / "database" / "cluster" / "data"
    half.mkdir(parents=True)
    (half / "base").mkdir()
    try:
        assert private.up() is True
        assert one(private, "SELECT 1") == 1
    finally:
        private.destroy()


def test_an_initdb_that_was_killed_after_its_version_file_is_made_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = PrivateCluster(home, throwaway=True)

    def killed(_program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        folder = Path(arguments[arguments.index("-D") + 1])
        folder.mkdir()
        (folder / "PG_VERSION").write_text("15\n")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(private, "_run", killed)
        with pytest.raises(KeyboardInterrupt):
            private.up()
    try:
        assert private.up() is True
        assert one(private, "SELECT 1") == 1
    finally:
        private.destroy()


def test_a_start_that_was_killed_before_the_database_was_made_is_completed(started: PrivateCluster) -> None:
    with psycopg.connect(started.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE geoapp")
    assert started.up() is False
    assert one(started, "SELECT 1") == 1


def test_data_of_another_postgresql_is_refused_and_untouched(started: PrivateCluster) -> None:
    started.down()
    version = started.data / "PG_VERSION"
    version.write_text("13\n")
    with pytest.raises(Refused, match="PostgreSQL 13") as refusal:
        started.up()
    assert "postgresql-13-postgis-3" in str(refusal.value)
    version.write_text("15\n")
    assert started.up() is True


def test_a_missing_server_says_which_line_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("geoapp.database.cluster.Path.glob", lambda *_: iter(()))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(Refused, match="apt-get install -y postgresql-15-postgis-3"):
        find_server()


def test_a_test_run_killed_with_9_leaves_no_server_behind(tmp_path: Path) -> None:
    told = tmp_path / "home"
    (tmp_path / "test_one.py").write_text(
        "import os, signal\n"
        "def test_dies(cluster):\n"
        f"    open({str(told)!r}, 'w').write(str(cluster.home))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    tests = Path(__file__).resolve().parent.parent
    (tmp_path / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(tests)!r})\n"
        f"import importlib.util as u\ns = u.spec_from_file_location('run_conftest', {str(tests / 'conftest.py')!r})\n"
        "m = u.module_from_spec(s)\ns.loader.exec_module(m)\ncluster = m.cluster\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            str(tmp_path),
            str(tmp_path),
        ],
        capture_output=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    killed = PrivateCluster(Path(told.read_text()), throwaway=True)
    wait_until(lambda: not server_pids(killed) and not killed.home.exists(), 20)


def test_nothing_is_left_after_destroy(home: Path) -> None:
    private = PrivateCluster(home, throwaway=True)
    private.up()
    assert server_pids(private)
    private.destroy()
    assert not server_pids(private)
    assert not private.data.exists()
