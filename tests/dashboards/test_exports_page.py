"""The page of exports: who has it, what it offers, and that each choice of it is one that the route takes."""

import re

import pytest
from screens import Site
from test_account_pages import body_of

from dashboards.exports_page import ENCODINGS, FORMATS, FRAMES, export_form
from geoapp.territory.frames import parse_frame
from layers.export import registers_for
from layers.export.order import FORMATS as ENDINGS

EXPORTING = ("committee", "planner", "analyst", "enterprise")
HTML = {"Accept": "text/html"}


@pytest.mark.parametrize("role", [*EXPORTING, "duty_officer", "inspector", "admin"])
def test_the_page_is_for_those_who_may_export(site: Site, role: str) -> None:
    client = site.client(role)
    may = role in EXPORTING
    assert client.get("/exports", headers=HTML).status_code == (200 if may else 403)
    shown = body_of(client, "/exports", "?lang=en")
    assert ('"register"' in shown) == may
    assert ('href": "/exports' in body_of(client, "/account")) == may


def test_its_choices_are_taken_by_the_route(site: Site) -> None:
    client = site.client("analyst")
    for one in FORMATS:
        answer = client.get(f"/export/hazards.{one}", params={"reason": "页面测试"})
        assert answer.status_code == (422 if one == "fgb" else 200), (one, answer.text[:200])
    for frame in FRAMES:
        answer = client.get("/export/units.gpkg", params={"frame": frame})
        assert answer.status_code == 200, answer.text
        named = re.search(
            r"geoapp-units(-[a-z0-9]+)?-[0-9a-f]{12}\.gpkg", answer.headers["content-disposition"]
        )
        assert named
        assert (named[1] or "-").removeprefix("-") == ("" if frame in ("", "metric") else frame)


def test_choices_are_known_names() -> None:
    assert {f".{one}" for one in FORMATS} <= set(ENDINGS)
    assert [parse_frame(one).name for one in FRAMES[2:]] == list(FRAMES[2:])
    assert ENCODINGS == ("utf-8", "gbk")
    for lang in ("zh", "en"):
        form = str(export_form(registers_for(("planner",)), lang))  # type: ignore[arg-type]
        assert "grid_cells" in form
