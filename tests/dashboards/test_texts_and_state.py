"""The catalogue of texts and the address that is the view."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dashboards.state import LENSES, SHOWN_AT_FIRST, TOGGLES, WINDOWS, ViewState
from dashboards.texts import catalogue, t, word

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
# Groups whose last part is a value of the data: a lens, a reason, a class, a level.
VALUES = {
    "lens",
    "legend",
    "class",
    "state",
    "review",
    "placing",
    "reason",
    "gap",
    "role",
    "unknown",
    "level",
    "audit_action",
    "audit_subject",
    "scope",
    "sign_in_method",
    "token_scope",
    "field",
    "section",
    "import_state",
    "import_origin",
    "import_kind",
    "feed_kind",
    "blur_mode",
    "duty_office",
    "duty_state",
    "duty_meaning",
    "duty_why",
    "feed_state",
    "cause",
    "hazard_class",
    "shift_basis",
    "waits_for",
    "telling_topic",
    "telling_step",
    "receiver_kind",
    "receiver_state",
    "delivery_state",
    "mask_state",
    "verdict",
    "place_origin",
}


def sources() -> str:
    return "\n".join(p.read_text(encoding="utf-8") for p in sorted(DASHBOARDS.glob("*.py")))


def test_every_text_is_there_in_both_languages_with_the_same_fields() -> None:
    for key, entry in catalogue().items():
        assert set(entry) == {"zh", "en"}, key
        assert entry["zh"].strip(), key
        assert entry["en"].strip(), key
        fields = {lang: sorted(re.findall(r"\{(\w+)\}", entry[lang])) for lang in ("zh", "en")}
        assert fields["zh"] == fields["en"], key


def test_chinese_texts_are_chinese_and_english_ones_hold_none() -> None:
    for key, entry in catalogue().items():
        if key not in {"app.language", "app.licence"} and re.search(r"[A-Za-z]", entry["en"]):
            assert not re.search(r"[一-鿿]", entry["en"]), key
        if key not in {"app.language", "app.licence", "drawer.error_value"}:
            assert re.search(r"[一-鿿]", entry["zh"]) or "{" in entry["zh"], key


def test_every_text_that_the_code_names_exists() -> None:
    named = re.findall(r"""\bt\(\s*"([a-z_.0-9]+)\"""", sources())
    assert len(named) > 100
    assert not [key for key in named if key not in catalogue()]


def test_no_text_lies_about_unused() -> None:
    code = sources() + "\n".join(p.read_text(encoding="utf-8") for p in (DASHBOARDS / "assets").glob("*.js"))
    # A key is used where it stands whole, or where its last part stands (t(f"town.{column}")).
    unused = [
        key
        for key in catalogue()
        if key.split(".")[0] not in VALUES
        and f'"{key}"' not in code
        and not re.search(rf"\b{key.split('.', 1)[1].removeprefix('status_')}\b", code)
    ]
    assert not unused


def test_words_of_values_unknown_to_the_catalogue_are_shown_as_they_are() -> None:
    assert word("reason", "lens_fog", "en") == "lens_fog"
    assert word("reason", "not_connected", "zh") == "未接入"
    assert t("figures.of_sites", "en", n="3,000") == "of 3,000 sites"


states = st.builds(
    ViewState,
    lang=st.sampled_from(["zh", "en"]),
    theme=st.sampled_from(["", "light", "dark"]),
    lens=st.sampled_from(LENSES),
    layers=st.sets(st.sampled_from(TOGGLES)).map(lambda s: tuple(n for n in TOGGLES if n in s)),
    zoom=st.sampled_from([1, 9.5, 11, 13.5, 19]),
    lat=st.floats(-85, 85).map(lambda v: round(v, 5)),
    lon=st.floats(-180, 180).map(lambda v: round(v, 5)),
    selected=st.sampled_from(
        ["", "cell:310116103204000300", "camera:7", "incident:0b7e0f1a-1111-4222-8333-abcdefabcdef"]
    ),
    day=st.sampled_from(["", "2025-03-01"]),
    by=st.sampled_from([(), (("site", "category"),), (("key_risk_area", "joined"), ("site", "category"))]),
    window=st.sampled_from([*WINDOWS, "2025-01-01_2025-03-01"]),
)


@given(states)
def test_the_address_gives_the_same_view(state: ViewState) -> None:
    assert ViewState.from_query(state.to_query()) == state


@given(st.text(max_size=60))
def test_any_address_gives_some_view(text: str) -> None:
    state = ViewState.from_query("?" + text)
    assert state.lens in LENSES
    assert set(state.layers) <= set(TOGGLES)


def test_nonsense_in_the_address_is_left_at_its_default() -> None:
    state = ViewState.from_query("?lang=fr&lens=all&z=99&lat=x&lon=1&selected=<script>:1&theme=pink")
    assert state == ViewState()
    assert state.layers == SHOWN_AT_FIRST
    assert ViewState.from_query("?layers=").layers == ()
    odd = "?day=now&by=site:hazard_level.site:x.nowhere:y.zz&window=2025-03-01_2025-01-01&selected=nowhere:1"
    assert ViewState.from_query(odd) == ViewState(), (
        "the usual classing, an unknown one, a window upside down, no such layer"
    )


def test_every_reason_of_the_watch_has_its_words() -> None:
    from detection.types import Reason

    assert [reason.value for reason in Reason if f"reason.{reason.value}" not in catalogue()] == []


def test_a_lens_by_another_classing_and_one_kind_of_event_are_in_the_address() -> None:
    query = "?lang=en&lens=duty&layers=event_heat&by=duty:state&window=7d&kind=fire"
    state = ViewState.from_query(query)
    assert (state.by, state.kind, state.layers) == ((("duty", "state"),), "fire", ("event_heat",))
    assert ViewState.from_query(state.to_query()) == state
    # The usual classing is not said, and what nobody knows is left alone.
    odd = ViewState.from_query("?by=duty:share.risk:state.nowhere:x&kind=fire'--")
    assert (odd.by, odd.kind) == ((), "")
