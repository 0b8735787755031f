"""Measure weights on a labelled set: boxes (mAP) and whole frames (AUC, recall at few false alarms)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from detection.torchvision_shim import ensure_torchvision
from detection.training.dataset import IMAGE_SUFFIXES, SYNONYMS, label_file, read_labels

Float = NDArray[np.float64]
LEAST_CONFIDENCE = 0.001


@dataclass(frozen=True, slots=True)
class Prediction:
    """Boxes found in one image: xyxy in pixels (n, 4), confidence (n,), class names."""

    xyxy: Float
    confidence: Float
    names: tuple[str, ...]


def images_of(data_yaml: Path, split: str = "val") -> tuple[list[Path], dict[int, str]]:
    """Image files of a data.yaml's split and its class names (by our names).

    Raises ValueError where the file lacks the split, or no image is there.
    """
    data = yaml.safe_load(data_yaml.read_text(encoding="utf-8"))
    if split not in data or "names" not in data:
        raise ValueError(f"{data_yaml}: needs '{split}' and 'names'")
    root = Path(data.get("path", "."))
    root = root if root.is_absolute() else (data_yaml.parent / root)
    found = data["names"]
    names = dict(enumerate(found)) if isinstance(found, list) else dict(found)
    parts = data[split] if isinstance(data[split], list) else [data[split]]
    images = [
        p for part in parts for p in sorted((root / part).rglob("*")) if p.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not images:
        raise ValueError(f"{data_yaml}: no image under {root} for '{split}'")
    return images, {int(k): SYNONYMS.get(str(v), str(v)) for k, v in names.items()}


def predictor(weights: Path, imgsz: int | tuple[int, int]) -> Any:
    """A function image (H, W, 3) uint8 BGR -> Prediction, by the weights at a least confidence."""
    ensure_torchvision()
    from ultralytics import YOLO

    model = YOLO(str(weights), task="detect")

    def predict(image: NDArray[np.uint8]) -> Prediction:
        result = model.predict(
            image, imgsz=imgsz, conf=LEAST_CONFIDENCE, iou=0.6, max_det=100, verbose=False, device="cpu"
        )[0]
        boxes = result.boxes
        names = tuple(SYNONYMS.get(result.names[int(c)], result.names[int(c)]) for c in boxes.cls)
        return Prediction(
            boxes.xyxy.cpu().numpy().astype(float), boxes.conf.cpu().numpy().astype(float), names
        )

    return predict


def iou(a: Float, b: Float) -> Float:
    """Intersection over union of boxes (n, 4) and (m, 4), shape (n, m)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    union: Float = area_a[:, None] + area_b[None, :] - inner
    return inner / np.maximum(union, 1e-9)


def average_precision(confidence: Float, hit: NDArray[np.bool_], truths: int) -> float:
    """Area under the precision-recall curve (101 points, as COCO), 0..1."""
    if truths == 0:
        return float("nan")
    order = np.argsort(-confidence, kind="stable")
    true = np.cumsum(hit[order])
    recall = true / truths
    precision = true / np.arange(1, len(true) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, np.linspace(0, 1, 101))
    return float(np.mean(np.append(precision, 0.0)[np.minimum(at, len(precision))]))


def match(found: Float, confidence: Float, truth: Float, least_iou: float) -> NDArray[np.bool_]:
    """For each found box whether it is the best unmatched one over a true box."""
    hit = np.zeros(len(found), bool)
    if len(found) == 0 or len(truth) == 0:
        return hit
    overlap = iou(found, truth)
    taken = np.zeros(len(truth), bool)
    for i in np.argsort(-confidence, kind="stable"):
        candidates = np.where(taken, -1.0, overlap[i])
        best = int(np.argmax(candidates))
        if candidates[best] >= least_iou:
            hit[i] = taken[best] = True
    return hit


def auc(scores: Float, positive: NDArray[np.bool_]) -> float | None:
    """Chance that a frame with something scores above one without; None where a kind is missing."""
    p, n = scores[positive], scores[~positive]
    if len(p) == 0 or len(n) == 0:
        return None
    return float(np.mean((p[:, None] > n[None, :]) + 0.5 * (p[:, None] == n[None, :])))


def recall_at_far(scores: Float, positive: NDArray[np.bool_], rate: float = 0.05) -> float | None:
    """Share of frames with something that score above all but `rate` of the frames without."""
    p, n = scores[positive], np.sort(scores[~positive])[::-1]
    if len(p) == 0 or len(n) == 0:
        return None
    allowed = int(np.floor(rate * len(n)))
    return float(np.mean(p > n[allowed])) if allowed < len(n) else 1.0


@dataclass(frozen=True, slots=True)
class Scored:
    """Everything measured on a set before it is summed up: per image truth and predictions."""

    truths: list[dict[str, Float]]
    predictions: list[Prediction]
    names: tuple[str, ...]

    def frame_scores(self, only: Sequence[str] | None = None) -> tuple[Float, NDArray[np.bool_]]:
        """Best confidence over classes per frame, and whether the frame holds any of them."""
        classes = set(only or self.names)
        scores = np.array(
            [
                max((c for c, n in zip(p.confidence, p.names, strict=True) if n in classes), default=0)
                for p in self.predictions
            ],
            float,
        )
        positive = np.array([any(n in classes and len(b) for n, b in t.items()) for t in self.truths])
        return scores, positive


def score(
    data_yaml: Path, weights: Path, *, imgsz: int | tuple[int, int] = 640, split: str = "val"
) -> Scored:
    """Run the weights over a set. Raises ValueError where an image cannot be read."""
    images, names = images_of(data_yaml, split)
    predict = predictor(weights, imgsz)
    truths, predictions = [], []
    for path in images:
        image = cv2.imread(str(path))
        if image is None:
            raise ValueError(f"{path}: not a readable image")
        h, w = image.shape[:2]
        truth: dict[str, list[list[float]]] = {}
        for name, x, y, bw, bh in read_labels(label_file(path), names):
            truth.setdefault(name, []).append(
                [(x - bw / 2) * w, (y - bh / 2) * h, (x + bw / 2) * w, (y + bh / 2) * h]
            )
        truths.append({name: np.array(rows) for name, rows in truth.items()})
        predictions.append(predict(image))
    return Scored(truths, predictions, tuple(names.values()))


def evaluate(
    data_yaml: Path,
    weights: Path,
    *,
    imgsz: int | tuple[int, int] = 640,
    split: str = "val",
    thresholds: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Figures of the weights on a labelled set; classes are compared by name.

    map50, map50_95: mean over the classes that the set has boxes of (a class that the weights do
    not know counts as 0). per_class: {name: {ap50, ap50_95, boxes}}. auc, recall_at_5_far: by
    frame, score = best confidence over the set's classes; null where the set has only frames with
    or only frames without. With thresholds also alarms: share of frames with and without boxes
    where any class reaches its threshold.

    Raises ValueError where the set has no image or is malformed.
    """
    scored = score(data_yaml, weights, imgsz=imgsz, split=split)
    return summarise(scored, thresholds)


def summarise(scored: Scored, thresholds: Mapping[str, float] | None = None) -> dict[str, Any]:
    """The figures of `evaluate` from what `score` measured."""
    per_class: dict[str, dict[str, float]] = {}
    levels = np.arange(0.5, 0.96, 0.05)
    for name in dict.fromkeys(scored.names):
        count = sum(len(t.get(name, ())) for t in scored.truths)
        if count == 0:
            continue
        found = []
        for truth, p in zip(scored.truths, scored.predictions, strict=True):
            pick = np.array([n == name for n in p.names], bool)
            boxes = truth.get(name, np.empty((0, 4)))
            found.append((p.xyxy[pick], p.confidence[pick], boxes))
        confidence = np.concatenate([c for _, c, _ in found])
        aps = [
            average_precision(confidence, np.concatenate([match(b, c, t, level) for b, c, t in found]), count)
            for level in levels
        ]
        per_class[name] = {"ap50": aps[0], "ap50_95": float(np.mean(aps)), "boxes": count}
    scores, positive = scored.frame_scores()
    figures: dict[str, Any] = {
        "images": len(scored.truths),
        "map50": _mean([v["ap50"] for v in per_class.values()]),
        "map50_95": _mean([v["ap50_95"] for v in per_class.values()]),
        "per_class": per_class,
        "auc": auc(scores, positive),
        "recall_at_5_far": recall_at_far(scores, positive),
    }
    if thresholds is not None:
        alarm = np.array(
            [
                any(c >= thresholds.get(n, 1.1) for c, n in zip(p.confidence, p.names, strict=True))
                for p in scored.predictions
            ],
            bool,
        )
        figures["alarms"] = {
            "with_boxes": float(alarm[positive].mean()) if positive.any() else None,
            "without_boxes": float(alarm[~positive].mean()) if (~positive).any() else None,
        }
    return figures


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
