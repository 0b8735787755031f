"""The map draws what is declared: nothing of a layer is written in a script."""

import json
import re
from pathlib import Path

import pytest
from test_panels import words

from dashboards import map_layers
from dashboards.map_area import _layers_panel
from dashboards.state import SHOWN_AT_FIRST, SHOWN_TO_FIRM, TOGGLES, ViewState
from dashboards.texts import LANGUAGES, t
from layers.declaration import GROUPS, Classing, Layer, LegendClass, Style
from layers.registry import LAYERS

ASSETS = Path(map_layers.__file__).parent / "assets"
# Scripts of the map. Live leads have markers of their own, in the one file that may name them.
SCRIPTS = ("10_canvas_tiles", "24_declared", "40_map", "42_names", "46_legend", "47_heat", "48_past")


@pytest.mark.parametrize("name", list(LAYERS))
def test_a_layer_is_told_whole_in_both_languages(name: str) -> None:
    layer = LAYERS[name]
    for lang in LANGUAGES:
        told = json.loads(json.dumps(map_layers.told(layer, lang)))
        assert re.search(r"[一-鿿]", told["name"]) if lang == "zh" else told["name"][0].isupper()
        assert [one["id"] for one in told["classings"]] == [one.id for one in layer.classings]
        for classing, declared in zip(told["classings"], layer.classings, strict=True):
            for shown, one in zip(classing["classes"], declared.classes, strict=True):
                assert re.fullmatch(r"#[0-9a-f]{6}", shown["color"]), (
                    "every class has a colour, none is faint"
                )
                assert (shown["hatch"] is not None) == bool(one.hatch)
                assert shown["name"]
            if declared.empty:
                (empty,) = [one for one in declared.classes if one.id == declared.empty]
                assert empty.hatch or empty.id == "none", "what is not known is hatched"


def test_symbols_that_are_declared_are_drawn() -> None:
    script = (ASSETS / "20_symbols.js").read_text(encoding="utf-8")
    exported = re.search(r"symbols: \{([^}]*)\}", script)
    assert exported
    drawn = {name.split(":")[0].strip() for name in exported[1].split(",")}
    declared = {
        layer.style.symbol for layer in LAYERS.values() if layer.kind == "tiles" and layer.style.symbol
    }
    assert declared <= drawn
    assert declared, "the hand-drawn ones are declared too"


def test_no_script_names_a_layer() -> None:
    for stem in SCRIPTS:
        script = (ASSETS / f"{stem}.js").read_text(encoding="utf-8")
        named = {name for name in LAYERS if f'"{name}"' in script or re.search(rf"tiles\.{name}\b", script)}
        # Levels and kinds of the base map are values in the data, not layers.
        assert not named, stem


def test_a_layer_that_is_declared_tomorrow_has_a_switch() -> None:
    new = Layer(
        id="hydrant", name_zh="消火栓", name_en="hydrants", group="watch", source="analysis.hydrant", kind="tiles", key="id",
        geometry="point", fields={"state": "状态 / state"}, versions=("site",), style=Style("point"), order=55,
        classings=(
            Classing("state", "状态", "State", "state", (LegendClass("dry", "#B3001B", "无水", "dry", "", "x"),), empty="dry"),
        ),
    )  # fmt: skip
    told = map_layers.told(new, "en")
    assert (told["name"], told["fixed"], told["pickable"], told["window"]) == ("Hydrants", False, True, False)
    assert told["classings"][0]["classes"][0]["hatch"] == {"cross": True}
    assert "#B3001B" in map_layers.swatch(new).style["--sample"]


def test_every_switched_layer_is_in_the_panel_once_under_its_group() -> None:
    for lang in LANGUAGES:
        panel = _layers_panel(ViewState(lang=lang))
        boxes = [one for one in panel._traverse() if type(one).__name__ == "Checkbox"]
        assert sorted(one.value for one in boxes) == sorted(TOGGLES)
        for one in boxes:
            assert map_layers.named(LAYERS[one.value], lang) in words(one.label)
            goes_back = map_layers.goes_back(LAYERS[one.value])
            assert (t("layers.today_only", lang) in words(one.label)) is not goes_back
        for group in {LAYERS[name].group for name in TOGGLES}:
            assert GROUPS[group][0 if lang == "zh" else 1] in words(panel)


def test_what_is_shown_at_first_follows_from_the_declarations() -> None:
    assert set(SHOWN_AT_FIRST) == {name for name in TOGGLES if LAYERS[name].visible_by_default}
    assert {"site", "incident"} <= set(SHOWN_TO_FIRM)
    assert "no_cell" not in SHOWN_TO_FIRM
    assert not {"base", "cell", "unit_label"} & set(TOGGLES), "always drawn"


def test_scripts_draw_with_symbols_that_are_there() -> None:
    """A name that is gone draws nothing and says nothing."""
    scripts = {p.name: p.read_text(encoding="utf-8") for p in ASSETS.glob("*.js")}
    made = re.search(r"symbols: \{([^}]*)\}", scripts["20_symbols.js"])
    assert made is not None
    known = {part.split(":")[0].strip() for part in made[1].split(",")}
    for name, text in scripts.items():
        used = set(re.findall(r"\bsymbols\.(\w+)", text))
        for short in re.findall(r"\b(\w+) = window\.geoapp\.symbols", text):
            used |= set(re.findall(rf"(?<![\w.]){short}\.(\w+)", text))
        assert used <= known, name
