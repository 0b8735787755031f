"""Persons in a picture, found by a YOLO11 model that knows COCO's persons. Better one too many than one too few."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from detection.backends.decode import decode_yolo, letterbox
from detection.backends.weights import Weights
from detection.types import Box, Image
from geoapp.errors import Refused
from geoapp.settings import Settings

SHIPPED = Path(__file__).resolve().parent.parent / "weights" / "person-yolo11n.pt"
# Low, for a person that is missed is a face that leaves the house; what is taken for a person is only blurred.
LEAST_SCORE = 0.15
# Two that overlap are two persons more often than one: both are kept.
NMS_IOU = 0.8
# Pixels of the longest side: far persons are 20 pixels high in a frame of 1920.
INPUT_PX = 1280


class PersonFinder(Protocol):
    """Finds persons. model_hash: SHA-256 of its weights."""

    model_hash: str

    def persons(self, image: Image) -> tuple[Box, ...]:
        """Boxes of persons in pixels, the best score first."""


class YoloPersons:
    """The weights on OpenVINO. Safe for threads: one picture at a time."""

    def __init__(self, path: Path, home: Path) -> None:
        import openvino

        from detection.backends.openvino import DESCRIPTION, exported_model, model_of_pictures

        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        folder = exported_model(Weights(path, digest, INPUT_PX, {}), home)
        names = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))["names"]
        number = next((int(n) for n, name in names.items() if name == "person"), None)
        if number is None:
            raise Refused(f"{path}: 模型不认识人 / the model knows no class person.")
        self.model_hash = digest
        self._row = 4 + number
        compiled = openvino.Core().compile_model(
            model_of_pictures(folder), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        _, self._height, self._width, _ = compiled.input(0).shape
        self._request = compiled.create_infer_request()
        self._turn = threading.Lock()

    def persons(self, image: Image) -> tuple[Box, ...]:
        """Boxes of persons in pixels, the best score first."""
        tensor, fit = letterbox(image, self._width, self._height)
        with self._turn:
            self._request.infer({0: tensor})
            raw = self._request.get_output_tensor(0).data[0].copy()
        # The person's score alone counts, also where something else is likelier: a rider is not only a motorcycle.
        only = raw[[0, 1, 2, 3, self._row]]
        return decode_yolo(only, fit, {0: "person"}, {0: LEAST_SCORE}, NMS_IOU)


def person_weights(configured: Settings) -> Path:
    """GEOAPP_PERSON_MODEL, else detection/weights/person-yolo11n.pt. Raises Refused where there is none."""
    path = configured.person_model or SHIPPED
    if not path.is_file():
        raise Refused(
            f"{path}: 没有人员检测模型，画面无法脱敏，不予导出 / no model that finds persons: frames cannot be blurred and do not"
            " leave.\n  Set GEOAPP_PERSON_MODEL to YOLO weights that know the class person."
        )
    return path


def open_person_finder(configured: Settings) -> PersonFinder:
    """The finder, ready; one a process. Raises Refused where there is no model or it does not run."""
    return _opened(person_weights(configured).resolve(), configured.home_path)


@lru_cache(maxsize=1)
def _opened(path: Path, home: Path) -> PersonFinder:
    return YoloPersons(path, home)
