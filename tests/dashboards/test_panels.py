"""Panels as plain functions: what they say about figures, gaps and what is not known."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboards import drawer, lenses, overview, search
from dashboards.board import cell_code, clock, number
from geoapp.access.caller import Caller, calling
from layers.registry import LENSES

ZONE = "Asia/Shanghai"
AT = datetime(2026, 11, 22, 9, 42, 10, tzinfo=UTC)


def words(part: Any) -> str:
    """All text of a component tree."""
    if part is None:
        return ""
    if isinstance(part, list | tuple):
        return " ".join(words(p) for p in part)
    if isinstance(part, Component):
        return words(getattr(part, "children", None))
    return str(part)


def figure(value: float | None, denominator: float | None = None) -> dict[str, Any]:
    return {"value": value, "numerator": value, "denominator": denominator, "unit": "", "as_of": AT}


def test_times_are_the_citys_and_missing_ones_are_said() -> None:
    assert clock(AT, ZONE, seconds=True) == "2026-11-22 17:42:10"
    assert clock(AT, ZONE, day=False) == "17:42"
    assert clock(None, ZONE) == "—"


def test_a_missing_figure_is_never_zero() -> None:
    assert number(None) == "—"
    shown = words(overview.figures({"key_risk_area_total": figure(379)}, "en", ZONE))
    assert "of 379 areas" in shown
    assert "0" not in shown.split("Open leads")[1].split("Red")[0]


def test_figures_carry_denominators_and_their_time() -> None:
    head = {
        "key_risk_area_seen_under_60": figure(41), "key_risk_area_total": figure(379), "sites_total": figure(3000),
        "sites_without_confirmed_lead": figure(395), "ground_in_no_cell_km2": figure(6.4583),
    }  # fmt: skip
    shown = words(overview.figures(head, "zh", ZONE))
    assert "41 共 379 个区域" in shown
    assert "395 共 3,000 家场所" in shown
    assert "6.46" in shown
    assert "11-22 17:42:10" in shown


def test_no_lead_is_not_all_clear() -> None:
    head = {"cameras_online": figure(3), "cameras_total": figure(400)}
    shown = words(overview.incident_list([], head, "en", ZONE))
    assert "not" in shown
    assert "3 of 400" in shown


def test_legend_shows_every_class_with_numeral_and_count() -> None:
    for lens in LENSES:
        counts = {one.id: 7 for one in lens.classes}
        made = overview.legend(
            {"lens": lens.id, "counts": counts, "as_of": AT.isoformat()}, lens.id, "zh", ZONE
        )
        shown = words(made)
        for one in lens.classes:
            assert one.name_zh in shown
        assert shown.count(" 7") == len(lens.classes)
        for by in lens.classings:
            assert by.name_zh in shown, "the reader may choose"
            told = {"lens": lens.id, "classing": by.id, "counts": {one.id: 9 for one in by.classes}}
            other = words(overview.legend(told, lens.id, "zh", ZONE))
            assert other.count(" 9") == len(by.classes)
            assert [one.name_zh for one in by.classes if one.name_zh not in other] == []
    risk = words(overview.legend(None, "risk", "en", ZONE))
    assert [n for n in ("I ", "II ", "III ", "IV ") if n not in risk] == []
    assert "—" in risk, "a count that has not come is not zero"


def test_coverage_legend_has_the_ground_in_no_cell_as_the_strip_has_it() -> None:
    head = {"ground_in_no_cell_km2": figure(6.4583), "sites_total": figure(3000)}
    rows = [*overview.legend(None, "coverage", "en", ZONE, head)[0].children]
    assert len(rows) == len(lenses.lens_classes("coverage")) + 1
    chip, name, shown = rows[-1].children
    assert words(name) == "Ground in no cell"
    assert words(shown) == "6.46 km²"
    assert words(shown).split()[0] in words(overview.figures(head, "en", ZONE))
    assert "hatched cross" in chip.className
    for km2, calm in ((6.4583, True), (6.1, False), (None, False)):
        known = overview.legend(
            None, "coverage", "en", ZONE, head | {"ground_declared_no_cell_km2": figure(km2)}
        )
        assert ("cross" not in [*known[0].children][-1].children[0].className) is calm
    unknown = [*overview.legend(None, "coverage", "zh", ZONE, {})[0].children][-1]
    assert words(unknown).split() == ["未划入网格的地面", "—"]
    for other in ("risk", "duty"):
        assert "Ground in no cell" not in words(overview.legend(None, other, "en", ZONE, head))


def test_what_coverage_does_not_know_stands_in_its_legend() -> None:
    lacks = [
        {"said_zh": "没有建筑图层：视域未按建筑裁剪", "said_en": "No buildings: sectors are not clipped"}
    ]
    for lang, said in (("zh", "未按建筑裁剪"), ("en", "not clipped")):
        told = {"lens": "coverage", "counts": {}, "lacks": lacks}
        assert said in words(overview.legend(told, "coverage", lang, ZONE))
        assert said not in words(overview.legend(told | {"lacks": []}, "coverage", lang, ZONE))


def test_the_maps_script_paints_undeclared_ground_in_the_legends_colour() -> None:
    script = (Path(overview.__file__).parent / "assets" / "20_symbols.js").read_text(encoding="utf-8")
    paint = script[script.index("function noCell") : script.index("const levels")]
    assert lenses.no_cell_class(declared=False)["color"] in paint


def test_a_town_without_outline_is_found_and_cannot_be_flown_to() -> None:
    town = {"kind": "town", "id": "310116103", "code": "310116103", "name_zh": "新镇", "name_en": ""}
    sides = ("west", "south", "east", "north")
    nowhere = search.option(town | dict.fromkeys(sides), "zh")
    assert nowhere["disabled"] is True
    assert "新镇" in nowhere["label"]
    placed = search.option(town | dict.fromkeys(sides, 121.3), "zh")
    assert "disabled" not in placed
    assert placed["value"] == "town:121.30000,121.30000,121.30000,121.30000"


def test_coverage_gaps_are_hatched_and_only_calm_classes_are_faint() -> None:
    for entry in lenses.lens_classes("coverage"):
        assert (entry["hatch"] is not None) == (entry["value"] != "clear")
    for entry in lenses.lens_classes("risk"):
        assert (entry["color"] == "") == (entry["value"] == "none")


def test_boxes_are_in_per_cent_of_the_frame() -> None:
    (box,) = drawer.boxes_of([{"class": "fire", "score": 0.9, "box": [64, 36, 128, 72]}], 640, 360)
    assert (box["left"], box["top"], box["width"], box["height"]) == (10, 10, 10, 10)
    assert drawer.boxes_of(None, 640, 360) == []


def test_what_was_typed_is_searched_literally() -> None:
    assert search.wanted("100%_")["like"] == "%100\\%\\_%"
    assert search.wanted("103204-0-003")["digits"] == "%1032040003%"
    assert search.wanted("3号车间")["digits"] == ""


def test_cell_codes_are_written_with_dashes() -> None:
    assert cell_code("310116103204000300") == "103204-0-003-00"
    assert cell_code(None) == "—"


def test_ids_of_each_page_are_unique() -> None:
    from dashboards import cameras, matrix
    from dashboards.state import ViewState

    class Still:
        """A board without a database: the city and nothing else."""

        def city(self) -> dict[str, Any]:
            return {
                "name_zh": "金山区", "name_en": "Jinshan", "code": "310116", "timezone": ZONE, "is_generated": True,
                "west": 121.0, "south": 30.7, "east": 121.4, "north": 30.9,
            }  # fmt: skip

        def shared(self, *_: object, **__: object) -> list[dict[str, Any]]:
            return []

    planner = Caller(1, "planner", "编制员", ("planner",), "district", "nobody")
    for page in (overview, matrix, cameras):
        with calling(planner):
            made = page.layout(ViewState(), Still())  # type: ignore[arg-type]
        ids = [str(c.id) for c in made._traverse() if getattr(c, "id", None)]
        assert len(ids) == len(set(ids)), page.__name__
        assert isinstance(made, html.Div)
        assert "样例城市" in words(made), "every page of a generated city says so"
        sources = [c for c in made._traverse() if isinstance(c, html.A) and words(c) == "源码"]
        assert len(sources) == 1
