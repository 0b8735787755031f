"""What evaluation says about sets small enough to work out by hand, and reading by class name."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from detection.training import dataset
from detection.training.evaluate import (
    Prediction,
    Scored,
    auc,
    average_precision,
    images_of,
    iou,
    match,
    recall_at_far,
    summarise,
)
from detection.training.thresholds import choose_thresholds

BOX = np.array([[10.0, 10.0, 30.0, 30.0]])


def found(*rows: tuple[str, float, list[float]]) -> Prediction:
    return Prediction(
        np.array([r[2] for r in rows], float).reshape(-1, 4),
        np.array([r[1] for r in rows], float),
        tuple(r[0] for r in rows),
    )


def test_iou_by_hand() -> None:
    a = np.array([[0.0, 0.0, 10.0, 10.0]])
    b = np.array([[5.0, 0.0, 15.0, 10.0], [20.0, 20.0, 30.0, 30.0], [0.0, 0.0, 10.0, 10.0]])
    assert iou(a, b)[0] == pytest.approx([50 / 150, 0.0, 1.0])


def test_a_true_box_is_found_once() -> None:
    twice = np.vstack([BOX, BOX + 1])
    assert match(twice, np.array([0.5, 0.9]), BOX, 0.5).tolist() == [False, True]
    assert match(BOX + 40, np.array([0.9]), BOX, 0.5).tolist() == [False]


def test_average_precision_by_hand() -> None:
    # Found in order: hit, miss, hit, of two true boxes: precision 1 up to recall 0.5, then 2/3.
    ap = average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    assert ap == pytest.approx((51 * 1.0 + 50 * 2 / 3) / 101)
    assert average_precision(np.array([0.9]), np.array([True]), 2) == pytest.approx(51 / 101)
    assert average_precision(np.array([]), np.array([], bool), 3) == 0.0


def test_auc_and_recall_at_few_false_alarms() -> None:
    scores = np.array([0.9, 0.8, 0.3, 0.7, 0.2, 0.1])
    positive = np.array([True, True, True, False, False, False])
    assert auc(scores, positive) == pytest.approx(8 / 9)
    # 5 % of three frames is none: only what beats the best of them counts.
    assert recall_at_far(scores, positive) == pytest.approx(2 / 3)
    assert recall_at_far(scores, positive, rate=0.34) == pytest.approx(1.0)
    assert auc(scores[:3], positive[:3]) is None
    assert recall_at_far(scores[:3], positive[:3]) is None
    # All the same score: no better than chance, and no recall without a false alarm.
    assert auc(np.zeros(6), positive) == 0.5
    assert recall_at_far(np.zeros(6), positive) == 0.0


def test_summary_of_a_tiny_set() -> None:
    scored = Scored(
        truths=[{"fire": BOX}, {"fire": BOX, "smoke": BOX * 2}, {}, {}],
        predictions=[
            found(("fire", 0.9, [10, 10, 30, 30])),
            found(("smoke", 0.6, [20, 20, 60, 60]), ("fire", 0.3, [80, 80, 90, 90])),
            found(("fire", 0.2, [0, 0, 5, 5])),
            found(("sparks", 0.95, [0, 0, 5, 5])),
        ],
        names=("fire", "smoke"),
    )
    figures = summarise(scored, {"fire": 0.5, "smoke": 0.5, "sparks": 0.9})
    assert figures["per_class"]["smoke"] == {"ap50": 1.0, "ap50_95": 1.0, "boxes": 1}
    assert figures["per_class"]["fire"]["ap50"] == pytest.approx(51 / 101)
    assert figures["map50"] == pytest.approx((1 + 51 / 101) / 2)
    # Sparks are no class of this set, so its frame scores 0; both frames with boxes score above 0.2.
    assert figures["auc"] == 1.0
    assert figures["recall_at_5_far"] == 1.0
    assert figures["alarms"] == {"with_boxes": 1.0, "without_boxes": 0.5}


def folder(root: Path, names: object, label: str) -> Path:
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    cv2.imwrite(str(root / "images" / "a.jpg"), np.zeros((8, 8, 3), np.uint8))
    (root / "labels" / "a.txt").write_text(label, encoding="utf-8")
    (root / "data.yaml").write_text(yaml.safe_dump({"path": ".", "val": "images", "names": names}))
    return root


def test_classes_go_by_name_not_by_number(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {0: "grinder_spark", 1: "fire", 2: "cat"}, "0 .5 .5 .2 .2\n2 .5 .5 1 1\n")
    (sample,) = dataset.read_folder(one)
    assert sample.boxes == (("sparks", 0.5, 0.5, 0.2, 0.2),)
    out = tmp_path / "out"
    assert dataset.write([sample], out, "train") == 1
    (label,) = (out / "labels" / "train").iterdir()
    assert label.read_text().split()[0] == str(dataset.CLASSES.index("sparks"))
    images, names = images_of(one / "data.yaml")
    assert [p.name for p in images] == ["a.jpg"]
    assert names[0] == "sparks"


def test_polygons_become_boxes_and_bad_lines_are_named(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("1 0.1 0.1 0.3 0.1 0.3 0.5\n\n", encoding="utf-8")
    assert dataset.read_labels(file, {1: "smoke"})[0] == pytest.approx(("smoke", 0.2, 0.3, 0.2, 0.4))
    file.write_text("0 .5 .5 .1 .1\n0 .5 oops\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        dataset.read_labels(file, {0: "fire"})
    assert dataset.read_labels(tmp_path / "none.txt", {}) == ()


def test_a_set_without_images_or_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no data\.yaml"):
        dataset.class_names(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(ValueError, match="no image"):
        dataset.read_folder(tmp_path, names={0: "fire"})


def test_no_scene_of_the_cctv_set_is_in_two_parts() -> None:
    frames = [f"x/img-{n}_jpg.rf.0.jpg" for n in range(600, 3001)]
    parts = {name: dataset.cctv_part(name) for name in frames}
    # The loading bay is only tested, its neighbours by number are other places.
    assert {parts[f"x/img-{n}_jpg.rf.0.jpg"] for n in range(958, 976)} == {"test"}
    assert {parts[f"x/img-{n}_jpg.rf.0.jpg"] for n in (926, 932, 2040, 2050)} == {"tune"}
    assert dataset.cctv_part("x/unknown_mp4-3_jpg.rf.0.jpg") == "drop"


def test_thresholds_leave_few_false_alarms() -> None:
    quiet = [found(("smoke", i / 200, [0, 0, 5, 5])) for i in range(100)]
    loud = [found(("smoke", 0.9, [0, 0, 5, 5]), ("fire", 0.01, [0, 0, 5, 5]))]
    scored = Scored([{}] * 100 + [{"smoke": BOX}], quiet + loud, dataset.CLASSES)
    chosen = choose_thresholds([scored], false_alarms=0.05)
    # 5 of 100 frames without smoke may reach it: those from 0.475 up.
    assert chosen["smoke"] == pytest.approx(0.48, abs=0.006)
    assert sum(q.confidence[0] >= chosen["smoke"] for q in quiet) <= 5
    assert chosen["fire"] == chosen["sparks"] == 0.15, "never below the floor"
    assert set(chosen) == set(dataset.CLASSES)
