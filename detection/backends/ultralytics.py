"""ultralytics itself: for machines where OpenVINO does not run, and to compare with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from detection.backends.decode import suppress
from detection.backends.weights import KEEP_SHARE, Weights, map_classes, thresholds_of
from detection.config import DetectorConfig
from detection.torchvision_shim import ensure_torchvision
from detection.types import Box, Image
from geoapp.errors import Refused


class UltralyticsDetector:
    """The .pt file as it is. Not safe for threads: one model, one thread at a time."""

    def __init__(self, weights: Weights, config: DetectorConfig, home: Path) -> None:
        os.environ["YOLO_OFFLINE"] = "1"
        os.environ["YOLO_AUTOINSTALL"] = "false"
        folder = home / "models"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("YOLO_CONFIG_DIR", str(folder))
        ensure_torchvision()
        import torch
        from ultralytics import YOLO

        torch.set_num_threads(config.threads)
        try:
            self._model = YOLO(str(weights.path), task="detect")
            names = {int(k): str(v) for k, v in self._model.names.items()}
        except Exception as fault:
            raise Refused(f"{weights.path}: 权重读不了 / the weights cannot be read: {fault}") from None
        self.model_hash = weights.sha256
        self.thresholds = thresholds_of(weights, config)
        self._names = map_classes(names, weights.path)
        self._nms_iou = config.nms_iou
        self.input_px = weights.imgsz or int(self._model.model.args.get("imgsz", 640))
        self.detect([np.full((360, 640, 3), 114, np.uint8)])

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        floor = min(self.thresholds[name] * KEEP_SHARE for name in self._names.values())
        found = []
        for image in images:
            (result,) = self._model.predict(
                image, imgsz=self.input_px, conf=floor, iou=self._nms_iou, verbose=False, save=False
            )
            rows = result.boxes.data.cpu().numpy()
            boxes = [
                Box(self._names[int(n)], float(score), float(x1), float(y1), float(x2), float(y2))
                for x1, y1, x2, y2, score, n in rows[np.argsort(-rows[:, 4], kind="stable")]
                if int(n) in self._names and score >= self.thresholds[self._names[int(n)]] * KEEP_SHARE
            ]
            found.append(suppress(boxes, self._nms_iou))
        return found
