"""What follows from a picture's measures and what is kept of the camera: whether it can be used, and what is noted.

The numbers are of GateConfig; how they were measured: docs/picture-health.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from detection.config import GateConfig
from detection.picture_health.measure import Measured
from detection.picture_health.memory import Light, Note, PictureMemory, Usual
from detection.types import Camera, Reason, Unobserved

MAX_ASPECT_CHANGE = 0.02


def seen_again(before: PictureMemory | None, now: Measured, at: datetime, rules: GateConfig) -> PictureMemory:
    """What is kept after this look whatever comes of it: the picture's fingerprint and since when it is the same one.

    What was usual with another size of picture is no longer known.
    """
    if before is None or (before.width_px, before.height_px) != (now.width_px, now.height_px):
        notes = frozenset[Note]() if before is None else before.notes
        return PictureMemory(now.width_px, now.height_px, now.patches, at, 1, at, {}, None, notes)
    if _is_same(before.patches, now.patches, rules):
        return replace(before, patches=now.patches, seen_at=at, same_looks=before.same_looks + 1)
    return replace(before, patches=now.patches, seen_at=at, same_looks=1, same_since=at)


def fault_of(
    camera: Camera, before: PictureMemory | None, now: Measured, kept: PictureMemory, rules: GateConfig
) -> Unobserved | None:
    """Why the picture cannot be used, with the number measured; None where it can. kept: as `seen_again` gave it."""
    if now.bright <= rules.black_p99:
        return Unobserved(
            Reason.BLACK, f"最亮 1% 灰度 {now.bright:.0f} / brightest 1% at grey {now.bright:.0f}"
        )
    if now.spread <= rules.covered_std and now.faint_cells <= rules.covered_cells:
        return Unobserved(
            Reason.COVERED, f"灰度差异 {now.spread:.1f} / grey values spread by {now.spread:.1f}"
        )
    if _size_changed(camera, before, now):
        # For one scan: the next one is compared with the new size, and placed with what still holds.
        return Unobserved(
            Reason.RESOLUTION_CHANGED,
            f"现为 {now.width_px}x{now.height_px} / now {now.width_px}x{now.height_px}",
        )
    frozen_s = (kept.seen_at - kept.same_since).total_seconds()
    if kept.same_looks >= rules.frozen_looks and frozen_s >= rules.frozen_s:
        return Unobserved(Reason.FROZEN, f"同一画面 {frozen_s:.0f} 秒 / same picture for {frozen_s:.0f} s")
    fields = _known(kept.faint_cells, rules)
    # In the dark a free lens shows no outlines either.
    is_lit = now.median >= rules.covered_median
    if (
        is_lit
        and fields is not None
        and fields >= rules.covered_usual
        and now.faint_cells <= rules.covered_cells
    ):
        return Unobserved(
            Reason.COVERED,
            f"48 格中 {now.faint_cells} 格有轮廓，平时 {fields:.0f}"
            f" / outlines in {now.faint_cells} of 48 fields, usually {fields:.0f}",
        )
    return _blurred(now, _known(kept.sharpness.get(light_of(now, kept, rules)), rules), rules)


def light_of(now: Measured, kept: PictureMemory, rules: GateConfig) -> Light:
    """The light of a picture. One that was grey is called so a little longer, so that the verdict does not flicker."""
    was_grey = Note.NIGHT_MODE in kept.notes
    if now.colour <= rules.night_colour * (2 if was_grey else 1):
        return Light.GREY
    return Light.DARK if now.median < rules.dark_median else Light.BRIGHT


def learned(kept: PictureMemory, now: Measured, passed_s: float, rules: GateConfig) -> PictureMemory:
    """With this usable picture, passed_s seconds after the one before, among what is usual for the camera."""
    light, sharpness = light_of(now, kept, rules), kept.sharpness
    if now.sharpness is not None:
        sharpness = sharpness | {light: _learn(sharpness.get(light), now.sharpness, passed_s)}
    return replace(kept, sharpness=sharpness, faint_cells=_learn(kept.faint_cells, now.faint_cells, passed_s))


def noted(
    kept: PictureMemory, now: Measured, clock_offset_s: float | None, rules: GateConfig, *, is_usable: bool
) -> PictureMemory:
    """With the notes in force now. A picture that cannot be used says nothing about colour, and a camera that does not
    tell its time nothing about its clock: what was noted before stays."""
    notes = set(kept.notes)
    if is_usable:
        notes.discard(Note.NIGHT_MODE)
        if light_of(now, kept, rules) is Light.GREY:
            notes.add(Note.NIGHT_MODE)
    if clock_offset_s is not None:
        limit_s = rules.clock_off_s * (0.8 if Note.CLOCK_OFF in notes else 1.0)
        notes.discard(Note.CLOCK_OFF)
        if abs(clock_offset_s) > limit_s:
            notes.add(Note.CLOCK_OFF)
    return replace(kept, notes=frozenset(notes))


def note_details(
    notes: frozenset[Note], before: frozenset[Note], now: Measured, clock_offset_s: float | None
) -> str:
    """The numbers behind notes that are new, each "中文 / English", joined by "; "; empty where none is."""
    told = []
    if Note.NIGHT_MODE in notes - before:
        told.append(f"色彩 {now.colour:.0f}/255 / colour {now.colour:.0f} of 255")
    if Note.CLOCK_OFF in notes - before and clock_offset_s is not None:
        told.append(f"时钟 {clock_offset_s:+.0f} 秒 / clock {clock_offset_s:+.0f} s")
    return "; ".join(told)


def _blurred(now: Measured, usual: float | None, rules: GateConfig) -> Unobserved | None:
    if now.sharpness is None:
        return None
    if usual is not None and now.sharpness <= rules.blurred_share * usual:
        return Unobserved(
            Reason.BLURRED,
            f"清晰度 {now.sharpness:.2f}，平时 {usual:.2f} / sharpness {now.sharpness:.2f}, usually {usual:.2f}",
        )
    if now.sharpness <= rules.blurred_below:
        return Unobserved(Reason.BLURRED, f"清晰度 {now.sharpness:.2f} / sharpness {now.sharpness:.2f}")
    return None


def _is_same(before: tuple[int, ...], now: tuple[int, ...], rules: GateConfig) -> bool:
    if len(before) != len(now):
        return False
    textured = [(a, b) for a, b in zip(before, now, strict=True) if a or b]
    # Not all of them: a recorder writes its running clock over the picture of a camera that stands still.
    same = sum(a == b for a, b in textured)
    return len(textured) >= rules.frozen_patches and same >= rules.frozen_share * len(textured)


def _known(usual: Usual | None, rules: GateConfig) -> float | None:
    """What is usual, once enough looks have shown it."""
    return usual.value if usual is not None and usual.looks >= rules.learn_looks else None


def _learn(usual: Usual | None, value: float, passed_s: float) -> Usual:
    return Usual(value, 1) if usual is None else usual.learned(value, passed_s)


def _size_changed(camera: Camera, before: PictureMemory | None, now: Measured) -> bool:
    if before is not None:
        return (before.width_px, before.height_px) != (now.width_px, now.height_px)
    if camera.width_px is None or camera.height_px is None:
        return False
    return abs((now.width_px / now.height_px) / (camera.width_px / camera.height_px) - 1) > MAX_ASPECT_CHANGE
