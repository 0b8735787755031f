"""Exports weights to OpenVINO and compares the answers. Run as a process: python -m detection.backends.export PT FOLDER.

A process of its own, so that torch's 400 MB leave with it and the watch starts without torch.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIDE = 32
# Cameras are 16:9; a square input would spend 44 % of its pixels on grey bars.
ASPECT = 9 / 16
MAX_CORNER_DIFFERENCE_PX = 1.0
MAX_SCORE_DIFFERENCE = 0.02


def export(weights: Path, folder: Path, imgsz: int | None) -> dict[str, Any]:
    """Writes model.xml, model.bin and description.json into `folder`; returns the description.

    imgsz: longest side of the input in pixels, the weights' own training size where None.
    Raises ValueError where OpenVINO answers otherwise than the weights.
    """
    from detection.torchvision_shim import ensure_torchvision

    ensure_torchvision()
    import openvino
    import torch
    from ultralytics import YOLO
    from ultralytics.utils import LOGGER

    LOGGER.setLevel("ERROR")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "model.pt"
        shutil.copyfile(weights, copy)  # the exporter writes beside its input
        model = YOLO(str(copy), task="detect")
        trained = int(model.model.args.get("imgsz", 640))
        width = _to_stride(imgsz or trained)
        height = _to_stride(width * ASPECT)
        made = Path(
            model.export(format="openvino", imgsz=(height, width), batch=1, dynamic=False, verbose=False)
        )
        found = next(made.glob("*.xml"))
        shutil.copyfile(found, folder / "model.xml")
        shutil.copyfile(found.with_suffix(".bin"), folder / "model.bin")
        names = {int(number): str(name) for number, name in model.names.items()}
        network = YOLO(str(copy), task="detect").model.eval()

    compiled = openvino.Core().compile_model(
        str(folder / "model.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    worst_px, worst_score = 0.0, 0.0
    for picture in _test_pictures(height, width):
        with torch.no_grad():
            answer = network(torch.from_numpy(picture))
        expected = (answer[0] if isinstance(answer, (tuple, list)) else answer).numpy()[0]
        got = compiled([picture])[0][0]
        if got.shape != expected.shape:
            raise ValueError(f"exported model answers {got.shape}, the weights {expected.shape}")
        worst_px = max(worst_px, float(np.abs(got[:4] - expected[:4]).max()))
        worst_score = max(worst_score, float(np.abs(got[4:] - expected[4:]).max()))
    if worst_px > MAX_CORNER_DIFFERENCE_PX or worst_score > MAX_SCORE_DIFFERENCE:
        raise ValueError(
            f"exported model differs from the weights by {worst_px:.2f} px and {worst_score:.3f} of score"
        )
    said = {
        "names": names,
        "width": width,
        "height": height,
        "worst_difference_px": round(worst_px, 4),
        "worst_difference_score": round(worst_score, 5),
    }
    (folder / "description.json").write_text(json.dumps(said, ensure_ascii=False), encoding="utf-8")
    return said


def _test_pictures(height: int, width: int) -> list[NDArray[np.float32]]:
    """Noise, a gradient, and a bright blob on dark ground: (1, 3, height, width), 0..1."""
    rng = np.random.default_rng(11)
    noise = rng.random((1, 3, height, width), np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    slope = np.stack([x / width, y / height, 1 - x / width])[None]
    blob = np.exp(-(((x - width / 2) / 30) ** 2 + ((y - height / 2) / 45) ** 2))
    flame = np.stack([blob, blob * 0.6, blob * 0.1])[None]
    return [noise, np.ascontiguousarray(slope, np.float32), np.ascontiguousarray(flame, np.float32)]


def _to_stride(pixels: float) -> int:
    return max(STRIDE, int(-(-pixels // STRIDE)) * STRIDE)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("weights", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--imgsz", type=int)
    asked = parser.parse_args()
    try:
        export(asked.weights, asked.folder, asked.imgsz)
    except Exception as fault:  # the caller shows the last line to a person
        print(f"{type(fault).__name__}: {fault}".splitlines()[0], file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
