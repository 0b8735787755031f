"""The command line as a person meets it: one clear message, the right exit status, no traceback."""

import os
import subprocess
import sys
from pathlib import Path

from geoapp.database.cluster import PrivateCluster


def geoapp(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "geoapp.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def test_every_command_of_the_contract_is_there() -> None:
    shown = geoapp("--help")
    assert shown.returncode == 0
    for name in ("db", "inspect", "load", "sample-city", "detect", "layers", "serve", "demo"):
        assert f" {name} " in shown.stdout, f"geoapp {name} is missing"


def test_wrong_usage_ends_with_2() -> None:
    assert geoapp("db", "sideways").returncode == 2


def test_a_database_that_does_not_answer_is_one_message() -> None:
    said = geoapp("db", "up", GEOAPP_DATABASE_URL="postgresql://nobody:secret-word@127.0.0.1:1/none")
    assert said.returncode == 1
    assert "does not answer" in said.stderr
    assert "Traceback" not in said.stderr + said.stdout
    assert "secret-word" not in said.stderr + said.stdout


def test_a_taken_port_names_the_setting(tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = geoapp("demo", GEOAPP_HOME=str(tmp_path), GEOAPP_PORT=str(port))
    assert said.returncode == 1
    assert str(port) in said.stderr
    assert "GEOAPP_PORT" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_wrong_setting_is_named_without_its_value(tmp_path: Path) -> None:
    for variable, value in (("GEOAPP_PORT", "secret-word"), ("GEOAPP_DATABASE_URL", "postgres secret-word")):
        said = geoapp("db", "up", **{"GEOAPP_HOME": str(tmp_path), variable: value})
        assert said.returncode == 1
        assert variable in said.stderr
        assert "Traceback" not in said.stderr
        assert "secret-word" not in said.stderr + said.stdout


def test_a_home_that_cannot_be_made_is_one_message() -> None:
    said = geoapp("db", "up", GEOAPP_HOME="/proc/nowhere")
    assert said.returncode == 1
    assert "GEOAPP_HOME" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_database_without_a_schema_and_an_unknown_revision_say_what_to_do(
    cluster: PrivateCluster, tmp_path: Path
) -> None:
    bare = cluster.url("template1")
    for arguments in (("layers", "refresh"), ("layers", "export", "cell", str(tmp_path / "cells.gpkg"))):
        said = geoapp(*arguments, GEOAPP_DATABASE_URL=bare)
        assert said.returncode == 1
        assert "geoapp db up" in said.stderr
        assert "Traceback" not in said.stderr
    said = geoapp("db", "migrate", "--to", "9999", GEOAPP_DATABASE_URL=bare)
    assert said.returncode == 1
    assert "9999" in said.stderr
    assert "Traceback" not in said.stderr
