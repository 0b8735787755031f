"""Picture health: what it costs, how often it calls a healthy picture ill, and how often it sees a fault.

    python -m benchmarks.picture_health [--real FOLDER [--only-real]]

Each camera first shows healthy pictures until its usual is known; then every weather and every fault once per repeat.
Without --real only the demo farm's rendered scenes are used; with it the videos and the CCTV frames of that folder too.
Prints a table in Markdown; times are of one thread.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from detection.config import GateConfig
from detection.farm import lens
from detection.farm.background import LIGHTS
from detection.farm.layout import INDOOR, SCENE_KINDS
from detection.farm.scenes import Scene, render
from detection.gate import Gate, decode_in_detail
from detection.picture_health.measure import measure
from detection.pose import Pose
from detection.types import Camera, Frame, Image, Picture, Unobserved

PERIOD_S = 30.0
REPEATS = 3
# The input of the shipped weights: as in the watch, a large JPEG is decoded at half or a quarter of its sides for it.
INPUT_PX = 640
GATE = Gate(GateConfig(), INPUT_PX)
WEATHERS: dict[str, Callable[[Image, int], Image]] = {
    "clear": lambda f, n: f,
    "fog, half the contrast": lambda f, n: lens.fog(f, veil=0.5, seed=n),
    "fog, 30 % of the contrast": lambda f, n: lens.fog(f, veil=0.7, seed=n),
    "fog, 15 % of the contrast": lambda f, n: lens.fog(f, veil=0.85, seed=n),
    "heavy rain": lens.rain,
    "drops on the glass": lens.drops_on_glass,
}
FAULTS: dict[str, Callable[[Image, int], Image]] = {
    "black": lambda f, n: np.zeros_like(f),
    "cloth": lens.under_cloth,
    "bag": lens.in_a_bag,
    "paint": lens.painted,
    "out of focus, 2 px of 960": lambda f, n: lens.out_of_focus(f, blur=2.0),
    "out of focus, 3 px of 960": lambda f, n: lens.out_of_focus(f, blur=3.0),
    "out of focus, 4 px of 960": lambda f, n: lens.out_of_focus(f, blur=4.0),
    "out of focus, 8 px of 960": lambda f, n: lens.out_of_focus(f, blur=8.0),
    "fogged lens": lambda f, n: lens.fogged_lens(f),
}


class Watched:
    """One camera as the gate sees it, look after look."""

    def __init__(self, width: int, height: int) -> None:
        self.camera = Camera(1, "1" * 20, "", "", PERIOD_S, 0, 0, 4549, width_px=width, height_px=height)
        self.at = datetime(2026, 11, 27, tzinfo=UTC)

    def look(self, image: Image, *, keep: bool = True) -> str | None:
        """The reason it is refused for, or None."""
        self.at += timedelta(seconds=PERIOD_S)
        data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()
        seen = GATE.examine(self.camera, Frame(data, self.at, self.at))
        if keep:
            self.camera = replace(self.camera, picture=seen.picture)
        return seen.result.reason.value if isinstance(seen.result, Unobserved) else None


def with_clock(frame: Image) -> Image:
    """The camera's own clock, written over whatever the lens shows."""
    if frame.max() > 0:
        cv2.putText(
            frame, "2026-11-27 18:00:00", (14, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.62, (235, 235, 235), 1
        )
    return frame


def farm_streams() -> Iterator[tuple[str, list[Image]]]:
    """A stream of 12 + REPEATS frames for each kind of scene and light, 30 s apart, two people walking about."""
    rng = np.random.default_rng(5)
    for number, kind in enumerate(SCENE_KINDS):
        inside = kind in INDOOR
        pose = Pose(
            float(rng.uniform(3.5, 6) if inside else rng.uniform(5, 11)),
            0.0,
            float(rng.uniform(14, 28) if inside else rng.uniform(10, 25)),
            float(rng.uniform(55, 85)),
            960,
            540,
        )
        for light in LIGHTS:
            scene = Scene(pose, kind, 100 + number, light, f"CAM {number}", 2)
            yield light, [render(scene, 1.7e9 + PERIOD_S * n, [])[0] for n in range(12 + REPEATS)]


def real_streams(folder: Path) -> Iterator[tuple[str, list[Image]]]:
    """The street videos (a frame a second) and the numbered CCTV scenes of more than a dozen frames."""
    for path in sorted((folder / "videos").glob("*.mp4")):
        video, frames = cv2.VideoCapture(str(path)), list[Image]()
        every = max(1, round(video.get(cv2.CAP_PROP_FPS) / 2))
        count = 0
        while True:
            done, frame = video.read()
            if not done:
                break
            if count % every == 0:
                frames.append(np.asarray(frame, np.uint8))
            count += 1
        if len(frames) > 12:
            yield f"video {path.stem}", frames
    scenes: dict[str, list[tuple[int, Path]]] = {}
    for line in (folder / "cctv_dev" / "manifest.csv").read_text(encoding="utf-8").splitlines()[1:]:
        _, name, source, _ = line.split(",")
        found = re.match(r"(.+)_mp4-(\d+)_", Path(source).name)
        files = list((folder / "cctv_dev" / "images").rglob(name)) if found else []
        if found and files:
            scenes.setdefault(found[1], []).append((int(found[2]), files[0]))
    for scene, numbered in sorted(scenes.items()):
        if len(numbered) > 12:
            frames = [cv2.imread(str(path)) for _, path in sorted(numbered)]
            yield f"cctv {scene}", [np.asarray(frame, np.uint8) for frame in frames if frame is not None]


class Figures:
    """Looks and refusals by what was shown."""

    def __init__(self) -> None:
        self.looks: Counter[str] = Counter()
        self.reasons: dict[str, Counter[str]] = {}

    def add(self, what: str, reason: str | None) -> None:
        self.looks[what] += 1
        if reason is not None:
            self.reasons.setdefault(what, Counter())[reason] += 1

    def tell(self, title: str) -> None:
        print(f"\n| {title} | looks | refused | as |\n|---|---|---|---|")
        for what, looks in self.looks.items():
            reasons = self.reasons.get(what, Counter())
            named = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common())
            print(f"| {what} | {looks:,} | {sum(reasons.values()) / looks:.1%} | {named or '–'} |")


def examine(streams: Iterator[tuple[str, list[Image]]], title: str) -> None:
    healthy, by_light, ill = Figures(), Figures(), Figures()
    for light, frames in streams:
        watched = Watched(frames[0].shape[1], frames[0].shape[0])
        for frame in frames[:12]:
            reason = watched.look(frame)
            by_light.add(light, reason)
        for number, frame in enumerate(frames[12:]):
            reason = watched.look(frame)
            by_light.add(light, reason)
            if number < REPEATS:
                for name, weather in WEATHERS.items():
                    healthy.add(name, watched.look(with_clock(weather(frame.copy(), number)), keep=False))
                for name, fault in FAULTS.items():
                    ill.add(name, watched.look(with_clock(fault(frame.copy(), number)), keep=False))
    by_light.tell(f"{title}: healthy, as it is")
    healthy.tell(f"{title}: healthy, weather")
    ill.tell(f"{title}: faults, first look")


def cost() -> None:
    """Milliseconds for a picture of 1920x1080: decoding, measuring, the whole gate."""
    rng = np.random.default_rng(1)
    rough = cv2.resize(rng.integers(0, 255, (135, 240, 3), dtype=np.uint8), (1920, 1080))
    image = np.asarray(cv2.add(rough, rng.integers(0, 9, rough.shape, dtype=np.uint8)), np.uint8)
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    half = decode_in_detail(data.tobytes(), INPUT_PX)
    assert isinstance(half, Picture)
    print("| 1920x1080 | median ms | least ms |\n|---|---|---|")
    for what, work in (
        ("decode in full", lambda: cv2.imdecode(data, cv2.IMREAD_COLOR)),
        (f"decode for {INPUT_PX} px", lambda: decode_in_detail(data.tobytes(), INPUT_PX)),
        ("measure in full", lambda: measure(image)),
        (f"measure what is decoded for {INPUT_PX} px", lambda: measure(half.image)),
    ):
        took = []
        for _ in range(200):
            began = time.perf_counter()
            work()
            took.append((time.perf_counter() - began) * 1000)
        print(f"| {what} | {np.median(took):.2f} | {min(took):.2f} |")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.picture_health", description=__doc__)
    parser.add_argument("--real", type=Path, help="folder of real data (videos/, cctv_dev/)")
    parser.add_argument("--only-real", action="store_true", help="leave the farm out")
    asked = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    cost()
    if not asked.only_real:
        examine(farm_streams(), "farm")
    if asked.real is not None:
        examine(real_streams(asked.real), "real")


if __name__ == "__main__":
    main(sys.argv[1:])
