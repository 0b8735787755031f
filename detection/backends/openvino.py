"""OpenVINO on CPU: the default engine. Needs no torch at run time; the export runs once, in a process of its own."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino.preprocess import ColorFormat, PrePostProcessor

from detection.backends.decode import decode_yolo, letterbox
from detection.backends.weights import KEEP_SHARE, Weights, map_classes, thresholds_of
from detection.config import DetectorConfig
from detection.types import Box, Image
from geoapp.errors import Refused

EXPORT_LIMIT_S = 300
DESCRIPTION = "description.json"


class OpenVinoDetector:
    """A static-shape YOLO11 detection model, safe for as many threads at once as it has streams.

    A picture a stream, each on one core: no batches, which do not help on a CPU, and no core waits for another
    (1.5 to 2 times the pictures a second of one stream on all cores).
    """

    def __init__(self, weights: Weights, config: DetectorConfig, home: Path) -> None:
        folder = exported_model(weights, home)
        said = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        self.model_hash = weights.sha256
        self.thresholds = thresholds_of(weights, config)
        self._names = map_classes({int(k): v for k, v in said["names"].items()}, weights.path)
        self._nms_iou = config.nms_iou
        core = openvino.Core()
        compiled = core.compile_model(
            model_of_pictures(folder),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": config.threads,
                "NUM_STREAMS": config.threads,
                # Some CPUs would run bf16 by default and answer differently from the weights that were evaluated.
                "INFERENCE_PRECISION_HINT": "f32",
            },
        )
        _, self._height, self._width, _ = compiled.input(0).shape
        self.input_px = max(self._height, self._width)
        self.at_once = config.threads
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self.at_once):
            self._idle.put(compiled.create_infer_request())
            self.detect([np.full((self._height, self._width, 3), 114, np.uint8)])

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        return [self._detect_one(image) for image in images]

    def _detect_one(self, image: Image) -> tuple[Box, ...]:
        tensor, fit = letterbox(image, self._width, self._height)
        floors = {n: self.thresholds[name] * KEEP_SHARE for n, name in self._names.items()}
        request = self._idle.get()
        try:
            request.infer({0: tensor})
            return decode_yolo(request.get_output_tensor(0).data[0], fit, self._names, floors, self._nms_iou)
        finally:
            self._idle.put(request)


def model_of_pictures(folder: Path) -> openvino.Model:
    """An exported model whose input is a picture as OpenCV holds it: (1, height, width, 3), blue-green-red, 0..255.

    Planes, colours and scale are part of the network then: a millisecond and a half less of Python's time a picture.
    """
    model = openvino.Core().read_model(str(folder / "model.xml"))
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(
        openvino.Layout("NHWC")
    ).set_color_format(ColorFormat.BGR)
    steps.input().preprocess().convert_element_type(openvino.Type.f32).convert_color(ColorFormat.RGB).scale(
        255.0
    )
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    return steps.build()


def exported_model(weights: Weights, home: Path) -> Path:
    """Folder with model.xml and its description, exported at the first call and kept under home/models by digest.

    Raises Refused where the export fails or its answers differ from the weights' own.
    """
    version = openvino.__version__.split("-")[0]
    folder = home / "models" / f"{weights.sha256[:16]}-{weights.imgsz or 'own'}-openvino-{version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Two watch processes that start together must not both export.
    with (folder.parent / "export.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / DESCRIPTION).is_file():
            _export(weights, folder)
    return folder


def _export(weights: Weights, folder: Path) -> None:
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    command = [sys.executable, "-m", "detection.backends.export", str(weights.path), str(draft)]
    if weights.imgsz is not None:
        command += ["--imgsz", str(weights.imgsz)]
    # CI=true is how OpenVINO's converter is told to send no usage statistics.
    environment = os.environ | {
        "YOLO_OFFLINE": "1",
        "YOLO_AUTOINSTALL": "false",
        "YOLO_CONFIG_DIR": str(folder.parent),
        "CI": "true",
    }
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=EXPORT_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"{weights.path}: 模型转换超时 / the export took over {EXPORT_LIMIT_S} s") from None
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise Refused(f"{weights.path}: 模型转换失败 / the weights cannot be exported: {last}")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
