"""Engines that run the weights, by name. Explicit: a new one is a new line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from detection.backends.base import Detector
from detection.backends.weights import Weights
from detection.config import DetectorConfig

Builder = Callable[[Weights, DetectorConfig, Path], Detector]


def _openvino(weights: Weights, config: DetectorConfig, home: Path) -> Detector:
    from detection.backends.openvino import OpenVinoDetector

    return OpenVinoDetector(weights, config, home)


def _ultralytics(weights: Weights, config: DetectorConfig, home: Path) -> Detector:
    from detection.backends.ultralytics import UltralyticsDetector

    return UltralyticsDetector(weights, config, home)


BACKENDS: dict[str, Builder] = {"openvino": _openvino, "ultralytics": _ultralytics}


def open_detector(weights: Weights, config: DetectorConfig, *, home: Path) -> Detector:
    """The engine named by config.backend, ready and warm. `home` keeps exported models. Raises Refused."""
    if config.imgsz is not None:
        weights = replace(weights, imgsz=config.imgsz)
    return BACKENDS[config.backend](weights, config, home)
