"""Engines: the same weights through OpenVINO and ultralytics, and what happens with weights that are no good."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.backends import open_detector
from detection.backends.decode import decode_yolo, letterbox
from detection.backends.weights import (
    SHIPPED,
    Weights,
    class_name_of,
    find_weights,
    map_classes,
    thresholds_of,
)
from detection.config import DetectorConfig
from detection.types import CLASSES, Image
from geoapp.errors import Refused
from geoapp.settings import Settings

MAKE_WEIGHTS = """
import sys
from detection.torchvision_shim import ensure_torchvision
ensure_torchvision()
import torch
from ultralytics import YOLO
torch.manual_seed(1)
model = YOLO("yolo11n.yaml", task="detect")
model.model.names = {0: "fire", 1: "smoke", 2: "Welding Arc", 3: "grinder-spark"} | {n: f"thing {n}" for n in range(4, 80)}
model.model.args = {"imgsz": 320}
# Random weights fade to nothing and score all alike: let the normalisation see some noise, and spread the scores.
model.model.train()
for part in model.model.modules():
    if isinstance(part, torch.nn.BatchNorm2d):
        part.momentum = None
with torch.no_grad():
    for _ in range(4):
        model.model(torch.rand(2, 3, 192, 320))
for head in model.model.model[-1].cv3:
    head[-1].bias.data.fill_(-2.0)
    head[-1].weight.data *= 0.3
model.save(sys.argv[1])
"""


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """An untrained YOLO11n as a .pt file."""
    path = tmp_path_factory.mktemp("weights") / "random.pt"
    done = subprocess.run(
        [sys.executable, "-c", MAKE_WEIGHTS, str(path)],
        cwd=path.parent,
        env={
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "YOLO_OFFLINE": "1",
            "YOLO_AUTOINSTALL": "false",
            "YOLO_CONFIG_DIR": str(path.parent),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Weights(path, hashlib.sha256(path.read_bytes()).hexdigest(), 320, {})


def scene(width: int, height: int) -> Image:
    rng = np.random.default_rng(4)
    image = cv2.resize(
        rng.integers(0, 255, (9, 16, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    return np.ascontiguousarray(image, np.uint8)


def test_openvino_answers_as_ultralytics_does(random_weights: Weights, tmp_path: Path) -> None:
    config = DetectorConfig(threads=2, default_threshold=0.3)
    image = scene(640, 360)
    native = open_detector(random_weights, config, home=tmp_path)
    reference = open_detector(
        random_weights, config.model_copy(update={"backend": "ultralytics"}), home=tmp_path
    )
    assert native.model_hash == reference.model_hash == random_weights.sha256
    (got,), (expected,) = native.detect([image]), reference.detect([image])
    assert {b.class_name for b in got} <= set(CLASSES)
    assert len(got) > 0
    scores = [box.score for box in expected[:5]]
    assert len(set(scores)) == 5, "scores that differ, or the comparison is luck"
    for box in expected[:5]:
        twin = min(got, key=lambda b: sum(abs(p - q) for p, q in zip(b.corners, box.corners, strict=True)))
        assert twin.class_name == box.class_name
        assert twin.score == pytest.approx(box.score, abs=0.02)
        assert max(abs(p - q) for p, q in zip(twin.corners, box.corners, strict=True)) < 3.0
    (folder,) = (tmp_path / "models").glob("*-openvino-*")
    said = json.loads((folder / "description.json").read_text())
    assert said["worst_difference_px"] < 1.0
    stamp = (folder / "model.bin").stat().st_mtime_ns
    open_detector(random_weights, config, home=tmp_path)
    assert (folder / "model.bin").stat().st_mtime_ns == stamp, "exported once"


def test_weights_that_are_no_weights(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pt"
    bad.write_bytes(b"not weights")
    weights = Weights(bad, hashlib.sha256(b"not weights").hexdigest(), 320, {})
    with pytest.raises(Refused, match="cannot be exported") as told:
        open_detector(weights, DetectorConfig(), home=tmp_path)
    assert "Traceback" not in str(told.value)
    assert not list((tmp_path / "models").glob("*-openvino-*")), "nothing half made stays"


def test_sidecar_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"weights")
    good = hashlib.sha256(b"weights").hexdigest()
    configured = Settings(home=tmp_path, model=path)
    assert find_weights(configured) == Weights(path, good, None, {})
    beside = tmp_path / "w.json"
    beside.write_text(json.dumps({"sha256": good, "imgsz": 416, "thresholds": {"fire": 0.31}, "notes": "x"}))
    found = find_weights(configured)
    assert (found.imgsz, found.thresholds) == (416, {"fire": 0.31})
    thresholds = thresholds_of(found, DetectorConfig(default_threshold=0.5, thresholds={"smoke": 0.6}))
    assert thresholds == {"fire": 0.31, "smoke": 0.6, "welding_arc": 0.5, "sparks": 0.5}
    beside.write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(Refused, match="damaged or replaced"):
        find_weights(configured)
    beside.write_text("{")
    with pytest.raises(Refused, match="cannot be understood"):
        find_weights(configured)
    with pytest.raises(Refused, match="missing"):
        find_weights(Settings(home=tmp_path, model=tmp_path / "none.pt"))


def test_thresholds_out_of_range_are_refused() -> None:
    weights = Weights(Path("w.pt"), "0" * 64, None, {"fire": 0.0})
    with pytest.raises(Refused, match="fire"):
        thresholds_of(weights, DetectorConfig())
    with pytest.raises(Refused, match="dragon"):
        thresholds_of(Weights(Path("w.pt"), "0" * 64, None, {"dragon": 0.5}), DetectorConfig())


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("fire", "fire"),
        ("Welding Arc", "welding_arc"),
        ("grinder_spark", "sparks"),
        ("Grinder-Spark", "sparks"),
        ("cat", None),
    ],
)
def test_classes_are_mapped_by_name(name: str, known: str | None) -> None:
    assert class_name_of(name) == known


def test_a_model_of_cats_is_refused() -> None:
    with pytest.raises(Refused, match="knows none"):
        map_classes({0: "cat", 1: "dog"}, Path("coco.pt"))
    assert map_classes({0: "smoke", 7: "fire", 9: "cat"}, Path("x.pt")) == {0: "smoke", 7: "fire"}


@given(st.integers(40, 2000), st.integers(40, 2000), st.floats(0.05, 0.9), st.floats(0.05, 0.9))
def test_a_box_comes_back_from_the_input_where_it_was(width: int, height: int, fx: float, fy: float) -> None:
    """project and unproject through the letterbox: within a pixel of the input."""
    _, fit = letterbox(np.zeros((height, width, 3), np.uint8), 320, 192)
    truth = np.array([fx * width, fy * height, fx * width + 0.05 * width, fy * height + 0.05 * height])
    inner = truth * fit.scale + [fit.left, fit.top, fit.left, fit.top]
    raw = np.zeros((6, 1), np.float32)
    raw[:4, 0] = [
        (inner[0] + inner[2]) / 2,
        (inner[1] + inner[3]) / 2,
        inner[2] - inner[0],
        inner[3] - inner[1],
    ]
    raw[5, 0] = 0.9
    (box,) = decode_yolo(raw, fit, {0: "fire", 1: "smoke"}, {0: 0.2, 1: 0.2}, 0.5)
    assert box.class_name == "smoke"
    assert max(abs(np.array(box.corners) - truth)) < 0.01 + 1e-4 / fit.scale


def test_a_class_that_the_watch_does_not_use_is_not_its_second_best() -> None:
    _, fit = letterbox(np.zeros((192, 320, 3), np.uint8), 320, 192)
    raw = np.array([[100, 100, 40, 40, 0.6, 0.1, 0.8], [220, 100, 40, 40, 0.6, 0.1, 0.3]], np.float32).T
    (box,) = decode_yolo(raw, fit, {0: "fire", 1: "smoke"}, {0: 0.2, 1: 0.2}, 0.5)
    assert (box.class_name, box.x1) == ("fire", 200.0)


def test_letterbox_keeps_colours_and_shape() -> None:
    red = np.zeros((100, 200, 3), np.uint8)
    red[:, :, 2] = 255
    tensor, fit = letterbox(red, 320, 192)
    assert tensor.shape == (1, 192, 320, 3)
    assert (fit.scale, fit.left, fit.top) == (1.6, 0, 16)
    assert tensor[0, 96, 160].tolist() == [0, 0, 255], "red last, as OpenCV has it"
    assert tensor[0, 2, 2].tolist() == [114] * 3


@pytest.mark.long
@pytest.mark.skipif(not SHIPPED.is_file(), reason="the weights are not in this checkout")
def test_the_shipped_weights_know_all_classes(tmp_path: Path) -> None:
    weights = find_weights(Settings(home=tmp_path, model=None))
    detector = open_detector(weights, DetectorConfig(), home=tmp_path)
    (folder,) = (tmp_path / "models").glob("*-openvino-*")
    names = json.loads((folder / "description.json").read_text())["names"].values()
    assert {class_name_of(n) for n in names} >= set(CLASSES)
    assert detector.detect([np.random.default_rng(1).integers(0, 255, (540, 960, 3), dtype=np.uint8)]) == [()]
    assert SHIPPED.stat().st_size <= 12_000_000
