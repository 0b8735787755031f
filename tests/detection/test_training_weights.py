"""The shipped weights: what their json says, and that they see the four classes and keep quiet.

Real inference on freshly rendered scenes whose seeds occur nowhere in training, at the shipped
thresholds and input size.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from detection.farm.effects import MISLEADING
from detection.farm.scenes import Effect, Scene, render, stands_free
from detection.pose import Pose
from detection.training.dataset import CLASSES
from detection.training.evaluate import predictor
from detection.training.train import sha256_of

WEIGHTS = Path(__file__).resolve().parents[2] / "detection" / "weights" / "geoapp-yolo11n.pt"
CARD = json.loads(WEIGHTS.with_suffix(".json").read_text(encoding="utf-8"))
T = 1_761_000_000.0


@pytest.fixture(scope="module")
def predict() -> Any:
    return predictor(WEIGHTS, CARD["imgsz"])


def scene(seed: int, kind: str, light: str) -> Scene:
    return Scene(Pose(6.0, 75.0, 17.0, 66.0, 960, 540), kind, seed, light, "CAM 9", 1)  # type: ignore[arg-type]


def place(where: Scene, away: float) -> tuple[float, float]:
    for step in range(40):
        turn = math.radians(where.pose.azimuth_deg + (-1) ** step * step)
        at = (away * math.sin(turn), away * math.cos(turn))
        if stands_free(where.kind, where.seed, where.pose, *at):
            return at
    raise AssertionError(f"no free place {away} m away in {where}")


def alarms(predict: Any, frame: Any) -> set[str]:
    found = predict(frame)
    return {
        name
        for name, score in zip(found.names, found.confidence, strict=True)
        if score >= CARD["thresholds"][name]
    }


PLACES = [
    (7_000_001, "yard", "day"),
    (7_000_002, "gate", "overcast"),
    (7_000_003, "shed", "day"),
    (7_000_004, "workshop", "day"),
    (7_000_005, "tank_farm", "dusk"),
    (7_000_006, "road", "night"),
]


def test_json_describes_the_file() -> None:
    assert CARD["sha256"] == sha256_of(WEIGHTS)
    assert CARD["classes"] == list(CLASSES)
    assert set(CARD["thresholds"]) == set(CLASSES)
    assert all(0.05 <= v <= 0.9 for v in CARD["thresholds"].values())
    assert WEIGHTS.stat().st_size <= 6_000_000


@pytest.mark.parametrize("name", CLASSES)
def test_each_class_is_found_in_unseen_scenes(predict: Any, name: str) -> None:
    hits = tries = 0
    for number, (seed, kind, light) in enumerate(PLACES):
        if name == "smoke" and light == "night":
            continue
        where = scene(seed, kind, light)
        effect = Effect(name, *place(where, 13.0), seed=seed + 11 * number)  # type: ignore[arg-type]
        for step in range(2):
            frame, boxes = render(where, T + step * 8.3, [effect])
            if boxes:
                tries += 1
                hits += name in alarms(predict, frame)
    assert tries >= 6
    assert hits / tries >= 0.6, f"{name}: {hits} of {tries} frames"


def test_misleading_and_empty_scenes_stay_quiet(predict: Any) -> None:
    loud = []
    tries = 0
    for number, (seed, kind, light) in enumerate(PLACES):
        where = scene(seed, kind, light)
        sets: list[list[Effect]] = [[]]
        for turn in range(2):
            misleading = MISLEADING[(number + 3 * turn) % len(MISLEADING)]
            sets.append([Effect(misleading, *place(where, 15.0), seed=seed + turn)])
        for effects in sets:
            frame, _ = render(where, T, effects)
            tries += 1
            found = alarms(predict, frame)
            if found:
                loud.append((kind, light, [e.kind for e in effects], found))
    assert len(loud) <= tries * 0.15, loud


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data.yaml over a dozen rendered frames, the class numbers in another order than ours."""
    from detection.training.rendered import render_part

    root = tmp_path_factory.mktemp("tiny")
    samples = render_part("test", 4, 3, root, crop=False, processes=1)
    names = ["sparks", "welding_arc", "smoke", "fire"]
    for sample in samples:
        lines = [f"{names.index(n)} {x} {y} {w} {h}" for n, x, y, w, h in sample.boxes]
        label = root / "labels" / f"{sample.image.stem}.txt"
        label.parent.mkdir(exist_ok=True)
        label.write_text("\n".join(lines), encoding="utf-8")
    data = root / "data.yaml"
    data.write_text(json.dumps({"path": ".", "val": "images", "names": names}), encoding="utf-8")
    return data


def test_evaluate_command_gives_the_figures_of_the_contract(tiny: Path) -> None:
    from typer.testing import CliRunner

    from detection.training.commands import app

    asked = ["evaluate", str(tiny), "--weights", str(WEIGHTS), "--json"]
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0, said.output
    figures = json.loads(said.stdout)
    assert {"map50", "map50_95", "per_class", "auc", "recall_at_5_far"} <= set(figures)
    assert figures["images"] == 12
    assert 0.15 <= figures["map50"] <= 1.0
    assert 0 <= figures["map50_95"] <= figures["map50"]


def test_evaluate_refuses_what_is_not_there(tiny: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from detection.training.commands import app
    from geoapp.errors import Refused

    run = CliRunner().invoke
    missing = run(app, ["evaluate", str(tmp_path / "none.yaml")])
    assert isinstance(missing.exception, Refused)
    empty = tmp_path / "data.yaml"
    empty.write_text("{path: ., val: images, names: [fire]}", encoding="utf-8")
    nothing = run(app, ["evaluate", str(empty), "--weights", str(WEIGHTS)])
    assert isinstance(nothing.exception, Refused)
    assert "no image" in str(nothing.exception)
