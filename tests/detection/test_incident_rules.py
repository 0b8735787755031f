"""States, votes and association as properties: whatever a camera shows, these hold."""

import itertools
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watching import T0, THRESHOLDS

from detection.association import FAMILY, Group, carry_extent, group_boxes, match_score
from detection.backends.decode import iou, suppress
from detection.config import IncidentConfig
from detection.incidents import Hit, LiveIncident, plan
from detection.types import CLASSES, Box, GroundFix
from detection.votes import looks_of
from geoapp.watch.incident_state import State, StateRules, Transition, empty_run, next_state, transition

RULES = StateRules()
CONFIG = IncidentConfig()
looks = st.lists(st.booleans(), min_size=1, max_size=60)
coordinate = st.floats(0, 900, allow_nan=False)
size = st.floats(4, 300, allow_nan=False)


@st.composite
def boxes(draw: st.DrawFn, *, class_name: str | None = None) -> Box:
    x, y, w, h = draw(coordinate), draw(coordinate), draw(size), draw(size)
    name = class_name or draw(st.sampled_from(CLASSES))
    return Box(name, draw(st.floats(0.05, 1)), x, y, x + w, y + h)


def moved(box: Box, dx: float, dy: float = 0.0, *, score: float | None = None) -> Box:
    return Box(box.class_name, score or box.score, box.x1 + dx, box.y1 + dy, box.x2 + dx, box.y2 + dy)


def fix(x: float = 0.0, y: float = 0.0) -> GroundFix:
    return GroundFix("pose_ray", x, y, 2.0, 1.0, 0.0)


def play(seen: list[bool], rules: StateRules = RULES, step_s: float = 10.0) -> list[State]:
    """States of an incident that the first look began, after each of the looks."""
    state, history, states, silent_s = State.CANDIDATE, [], [], 0.0
    for hit in [True, *seen]:
        history.insert(0, hit)
        silent_s = 0.0 if hit else silent_s + step_s
        state = next_state(state, tuple(history[: rules.memory]), silent_s, rules)
        states.append(state)
    return states


@given(looks)
def test_closed_is_the_end_and_open_needs_two_of_three(seen: list[bool]) -> None:
    states = play(seen)
    if State.CLOSED in states:
        first = states.index(State.CLOSED)
        assert set(states[first:]) == {State.CLOSED}
    if State.OPEN in states:
        at = states.index(State.OPEN)
        window = [True, *seen][max(0, at - 2) : at + 1]
        assert sum(window) >= 2


@given(looks)
def test_every_step_has_a_name(seen: list[bool]) -> None:
    states = [State.CANDIDATE, *play(seen)]
    for before, after in itertools.pairwise(states):
        assert (transition(before, after) is None) == (before is after)


@given(looks, st.integers(1, 20))
def test_a_look_that_sees_it_never_calms_it(seen: list[bool], more: int) -> None:
    states = play(seen)
    if states[-1] is State.CLOSED:
        return
    after = play([*seen, *[True] * more])
    assert after[-1] in (State.CANDIDATE, State.OPEN)
    assert more < 2 or after[-1] is State.OPEN


@given(st.integers(0, 200))
def test_empty_looks_end_every_incident(lead: int) -> None:
    states = play([*[True] * lead, *[False] * RULES.close_after])
    assert states[-1] is State.CLOSED


def test_time_closes_a_quiet_one_only_at_a_look() -> None:
    quiet = next_state(State.QUIET, (False, False, False, False), 901.0, RULES)
    assert quiet is State.CLOSED
    assert next_state(State.OPEN, (False, True), 9000.0, RULES) is State.OPEN
    with pytest.raises(ValueError, match="look"):
        next_state(State.QUIET, (), 9000.0, RULES)


@pytest.mark.parametrize(
    "wrong",
    [{"open_votes": 4}, {"open_votes": 0}, {"quiet_after": 12}, {"drop_after": 0}, {"close_after_s": 0.0}],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        StateRules(**wrong)  # type: ignore[arg-type]


@given(looks)
def test_empty_run_counts_back_from_the_newest(seen: list[bool]) -> None:
    run = empty_run(seen)
    assert not any(seen[:run])
    assert run == len(seen) or seen[run]


@given(st.lists(boxes(), max_size=12))
def test_groups_hold_every_box_once_and_one_family(found: list[Box]) -> None:
    groups = group_boxes(found, THRESHOLDS)
    assert sorted(b.corners for g in groups for b in g.boxes) == sorted(b.corners for b in found)
    for group in groups:
        assert len({FAMILY[b.class_name] for b in group.boxes}) == 1
        assert group.lead in group.boxes


@given(boxes(), boxes())
def test_boxes_far_apart_are_never_one_event(a: Box, b: Box) -> None:
    gap = 3 * max(a.x2 - a.x1, a.y2 - a.y1, b.x2 - b.x1, b.y2 - b.y1)
    b = moved(b, a.x2 + gap - b.x1)
    assert len(group_boxes([a, b], THRESHOLDS)) == 2
    assert match_score(Group(a, (a,)), fix(), b, 0.0, 0.0, "pose_ray", 50.0) < CONFIG.min_match


@given(boxes(), st.floats(-0.4, 0.4), st.floats(-0.4, 0.4))
def test_a_jittering_box_stays_the_same_event(box: Box, dx: float, dy: float) -> None:
    jitter = moved(box, dx * (box.x2 - box.x1), dy * (box.y2 - box.y1))
    assert match_score(Group(jitter, (jitter,)), fix(), box, 0.0, 0.0, "pose_ray", 2.0) >= CONFIG.min_match


@given(boxes(), boxes())
def test_other_families_never_match(a: Box, b: Box) -> None:
    score = match_score(Group(a, (a,)), fix(), b, 0.0, 0.0, "pose_ray", 2.0)
    assert 0 <= score <= 1
    if FAMILY[a.class_name] != FAMILY[b.class_name]:
        assert score == 0


def live(box: Box, **changes: object) -> LiveIncident:
    values = {
        "id": uuid4(),
        "class_name": box.class_name,
        "state": State.OPEN,
        "box": box,
        "x": 0.0,
        "y": 0.0,
        "method": "pose_ray",
        "semi_major_m": 2.0,
        "last_seen_at": T0,
        "peak_score": 0.8,
        "looks": looks_of((True, True), (T0, T0 - timedelta(seconds=10))),
    } | changes
    return LiveIncident(**values)  # type: ignore[arg-type]


def hit(box: Box) -> Hit:
    return Hit(Group(box, (box,)), fix())


FIRE = Box("fire", 0.8, 100, 100, 140, 160)


def test_an_outsized_box_does_not_steal_anothers_incident() -> None:
    """Both fires go on; a box over half the picture that touches them all continues neither."""
    other = moved(FIRE, 400)
    huge = Box("fire", 0.9, 0, 0, 900, 500)
    changes = plan(
        [hit(huge), hit(FIRE), hit(other)],
        [live(FIRE), live(other)],
        at=T0 + timedelta(seconds=10),
        thresholds=THRESHOLDS,
        config=CONFIG,
    )
    seen = [c.hit.box for c in changes if c.incident is not None and c.hit is not None]
    assert seen == [FIRE, other]


def test_the_better_match_wins_not_the_first() -> None:
    near, far = live(moved(FIRE, 30)), live(FIRE)
    (change,) = [
        c
        for c in plan(
            [hit(moved(FIRE, 2))],
            [near, far],
            at=T0 + timedelta(seconds=5),
            thresholds=THRESHOLDS,
            config=CONFIG,
        )
        if c.hit
    ]
    assert change.incident is far


def test_weak_boxes_keep_alive_but_begin_nothing() -> None:
    weak = moved(FIRE, 1, score=0.35)  # above 0.8 * 0.4, below 0.4
    (kept,) = plan(
        [hit(weak)], [live(FIRE)], at=T0 + timedelta(seconds=5), thresholds=THRESHOLDS, config=CONFIG
    )
    assert kept.hit is not None
    assert plan([hit(weak)], [], at=T0, thresholds=THRESHOLDS, config=CONFIG) == []
    too_weak = moved(FIRE, 1, score=0.31)
    for state, expected in ((State.CANDIDATE, False), (State.QUIET, False), (State.OPEN, True)):
        (change,) = plan(
            [hit(too_weak)],
            [live(FIRE, state=state)],
            at=T0 + timedelta(seconds=5),
            thresholds=THRESHOLDS,
            config=CONFIG,
        )
        assert (change.hit is not None) == expected, state
    faint = moved(FIRE, 1, score=0.2)
    (missed,) = plan(
        [hit(faint)], [live(FIRE)], at=T0 + timedelta(seconds=5), thresholds=THRESHOLDS, config=CONFIG
    )
    assert missed.hit is None


def test_a_fire_seen_in_changing_pieces_is_one_incident() -> None:
    """Boxes as an engine gave them for one fire: left foot, right foot, its smoke, in turns."""
    left, right = Box("fire", 0.6, 234, 333, 297, 392), Box("fire", 0.6, 330, 354, 396, 392)
    smoke = Box("smoke", 0.5, 271, 146, 372, 340)
    looks = [[right], [left, right], [left, smoke], [smoke], [right, smoke], [left], [smoke], [right]]
    incident = None
    for i, found in enumerate(looks):
        groups = group_boxes(found, THRESHOLDS)
        changes = plan(
            [Hit(group, fix()) for group in groups],
            [] if incident is None else [incident],
            at=T0 + timedelta(seconds=10 * i),
            thresholds=THRESHOLDS,
            config=CONFIG,
        )
        (change,) = changes
        assert change.hit is not None, f"look {i} continues it"
        extent = change.hit.group.extent
        box = extent if incident is None else carry_extent(incident.box, extent)
        incident = live(
            replace(box, class_name=change.class_name), last_seen_at=T0 + timedelta(seconds=10 * i)
        )


@given(boxes(class_name="fire"), boxes(class_name="fire"))
def test_the_extent_grows_at_once_and_shrinks_slowly(before: Box, now: Box) -> None:
    after = carry_extent(before, now)
    assert after.x1 <= now.x1
    assert after.y1 <= now.y1
    assert after.x2 >= now.x2
    assert after.y2 >= now.y2
    assert after.x1 >= min(before.x1, now.x1)
    assert after.x2 <= max(before.x2, now.x2)


def test_after_a_long_gap_it_is_another_event() -> None:
    changes = plan(
        [hit(FIRE)],
        [live(FIRE, looks=looks_of((False,) * 5, [T0 + timedelta(minutes=15 - i) for i in range(5)]))],
        at=T0 + timedelta(minutes=16),
        thresholds=THRESHOLDS,
        config=CONFIG,
    )
    assert [c.transition for c in changes] == [Transition.QUIET, None]
    assert changes[1].incident is None


@given(st.lists(boxes(), max_size=8), st.lists(boxes(), max_size=5))
def test_every_incident_gets_one_change_and_every_strong_event_a_home(
    found: list[Box], held: list[Box]
) -> None:
    incidents = [live(box) for box in held]
    hits = [Hit(group, fix()) for group in group_boxes(found, THRESHOLDS)]
    changes = plan(hits, incidents, at=T0 + timedelta(seconds=10), thresholds=THRESHOLDS, config=CONFIG)
    assert [c.incident for c in changes[: len(incidents)]] == incidents
    begun = [c.hit for c in changes[len(incidents) :]]
    assert all(h is not None and h.is_strong(THRESHOLDS) for h in begun)
    for one in hits:
        if one.is_strong(THRESHOLDS) and not incidents:
            assert one in begun


@given(st.lists(boxes(), max_size=15))
def test_suppression_keeps_the_best_and_no_two_alike(found: list[Box]) -> None:
    ranked = sorted(found, key=lambda b: -b.score)
    kept = suppress(ranked, 0.5)
    assert not ranked or kept[0] == ranked[0]
    for i, a in enumerate(kept):
        for b in kept[i + 1 :]:
            assert iou(a, b) <= (0.5 if a.class_name == b.class_name else 0.7)
