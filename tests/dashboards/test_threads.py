"""A slow panel keeps nobody else waiting: callbacks run in threads, as the caller of their own request."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dash
import pytest
from screens import Site
from test_web import PAGE, asked

from dashboards import board
from dashboards.board import Board, Row
from dashboards.threads import in_thread
from geoapp.access.caller import Caller, calling, current_caller

SLOW_S = 2.0


@pytest.fixture
def slow_towns(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of towns takes SLOW_S, with a connection in hand (no role of the application's may call pg_sleep)."""
    plain = Board.rows

    def slow(board: Board, name: str, **parameters: object) -> list[Row]:
        if name == "town_list":
            with board.pool.connection():
                time.sleep(SLOW_S)
        return plain(board, name, **parameters)

    monkeypatch.setattr(Board, "rows", slow)


def test_while_one_waits_for_a_panel_all_others_are_answered(site: Site, slow_towns: None) -> None:
    waiting, other, stranger = site.client("committee"), site.client("duty_officer"), site.client(None)
    paths = ("/tiles/cell/11/1713/839.mvt", "/lens/risk.json", "/layers.json", "/assets/app.css")
    for path in paths:  # what is made at a first question is no part of this
        other.get(path)
    asked(other, "figures.children", {"slow-tick.data": {}}, PAGE)
    with ThreadPoolExecutor(1) as aside:
        started = time.monotonic()
        panel = aside.submit(asked, waiting, "town-list.children", {"slow-tick.data": {}}, PAGE)
        time.sleep(0.2)
        took: dict[str, float] = {}
        for path in ("/healthz", *paths):
            before = time.monotonic()
            assert (stranger if path == "/healthz" else other).get(path).status_code in (200, 204)
            took[path] = time.monotonic() - before
        before = time.monotonic()
        assert asked(other, "figures.children", {"slow-tick.data": {}}, PAGE)
        took["another's panel"] = time.monotonic() - before
        assert not panel.done(), "the slow panel was still being asked for, so the times above mean something"
        assert panel.result()
        assert time.monotonic() - started >= SLOW_S
    assert {name: s for name, s in took.items() if s > 0.5} == {}


def _caller(login: str) -> Caller:
    return Caller(1, login, login, ("committee",), "district", "nobody")


def test_in_its_thread_a_panel_knows_its_caller_and_what_it_raises_is_raised() -> None:
    @in_thread
    def who() -> str:
        time.sleep(0.05)
        return current_caller().login

    @in_thread
    def nothing_new() -> Any:
        raise dash.exceptions.PreventUpdate

    async def both() -> list[str]:
        async def one(login: str) -> str:
            with calling(_caller(login)):
                return str(await who())

        with pytest.raises(dash.exceptions.PreventUpdate):
            await nothing_new()
        return await asyncio.gather(*(one(f"caller{i}") for i in range(40)))

    assert asyncio.run(both()) == [f"caller{i}" for i in range(40)]


def test_a_panel_that_fails_keeps_what_it_shows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before the threads: the fault is logged, the browser is told that nothing has changed."""
    plain = board.read_sql
    broken = "SELECT 1 AS nothing_of_a_lead"
    monkeypatch.setattr(
        board, "read_sql", lambda name: broken if name == "screens/incident_list" else plain(name)
    )
    body = {
        "output": "..incident-list.children...incident-count.children..",
        "outputs": [
            {"id": "incident-list", "property": "children"},
            {"id": "incident-count", "property": "children"},
        ],
        "inputs": [
            {"id": "live-tick", "property": "data", "value": {}},
            {"id": "slow-tick", "property": "data", "value": {}},
        ],
        "changedPropIds": ["live-tick.data"],
        "state": [{"id": "page-state", "property": "data", "value": PAGE["page-state.data"]}],
    }
    answer = site.client("committee").post("/_dash-update-component", json=body)
    assert answer.status_code in (200, 204), answer.text
    assert "incident-row" not in answer.text
    assert "nothing_of_a_lead" not in answer.text
