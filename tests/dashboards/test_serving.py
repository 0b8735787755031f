"""`geoapp serve` beside a database that it does not own: the owner's address is neither asked for nor needed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboards import serving
from geoapp.access import web_role
from geoapp.access.accounts import add_account
from geoapp.access.web_role import web_url
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings


@pytest.fixture
def alone(empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The owner's address, of which the web process knows nothing: whoever asks for it fails. An admin is there."""
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GEOAPP_DATABASE_URL", raising=False)
    settings.cache_clear()
    as_web = web_url(empty_url)
    with connect(empty_url) as owner:
        add_account(owner, "li.ming", "李明", ["admin"])
    monkeypatch.setenv("GEOAPP_WEB_DATABASE_URL", as_web)
    settings.cache_clear()

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the owner's connection was asked for")

    for module in (serving, web_role):
        monkeypatch.setattr(module, "database_url", never)
    monkeypatch.setattr(web_role, "make_login", never)
    for name in ("migrate", "stored_srid"):
        monkeypatch.setattr(serving.migrations, name, never)
    monkeypatch.setattr(serving, "refuse_taken_port", lambda *_: None)
    yield empty_url
    settings.cache_clear()


def test_it_serves_with_its_own_login_alone(alone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr(serving.uvicorn, "run", lambda app, **_: served.append(app))
    serving.serve_map("127.0.0.1", 8050)
    with TestClient(served[0], base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        health = client.get("/healthz")
        assert (health.status_code, health.json()["status"]) == (200, "ok")
        assert client.get("/signin").status_code == 200
    with connect(settings().web_database_url.get_secret_value()) as web:  # type: ignore[union-attr]
        row = web.execute(
            "SELECT current_user::text AS who, rolsuper FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row is not None
    assert row["who"].startswith("geoapp_web_")
    assert row["rolsuper"] is False


def test_another_revision_is_refused_with_what_to_run(alone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving.uvicorn, "run", lambda *_, **__: pytest.fail("served an old schema"))
    with connect(alone) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '0001'")
    with pytest.raises(Refused, match=r"(?s)0001.*GEOAPP_DATABASE_URL=… geoapp db up"):
        serving.serve_map("127.0.0.1", 8050)
    with connect(alone) as owner:
        owner.execute("DROP FUNCTION access.health")
    with pytest.raises(Refused, match="geoapp db up"):
        serving.serve_map("127.0.0.1", 8050)


def test_a_database_that_does_not_let_it_in_is_named_without_the_password(
    alone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOAPP_WEB_DATABASE_URL", "postgresql://web:S3cret@127.0.0.1:9/jin")
    settings.cache_clear()
    with pytest.raises(Refused, match="GEOAPP_WEB_DATABASE_URL") as said:
        serving.serve_map("127.0.0.1", 8050)
    assert "S3cret" not in str(said.value)
