"""Export weights to OpenVINO with a fixed input shape and check them against PyTorch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from detection.torchvision_shim import ensure_torchvision
from detection.training.evaluate import iou, predictor


def export(
    weights: Path,
    out_dir: Path,
    *,
    imgsz: tuple[int, int] = (384, 640),
    check: list[Any] | None = None,
    least_confidence: float = 0.2,
) -> dict[str, Any]:
    """Write out_dir/<name>_openvino_model for pictures of imgsz (height, width), one at a time.

    check: pictures (H, W, 3) uint8 BGR for the comparison; rendered ones where None.
    Returns {path, checked, boxes, worst_confidence_difference}.
    Raises ValueError where a box that PyTorch finds above least_confidence is missing or differs
    in confidence by more than 0.05: such an export must not be used.
    """
    ensure_torchvision()
    from ultralytics import YOLO

    out_dir.mkdir(parents=True, exist_ok=True)
    # The exporter writes beside its input, which may lie in a read-only place.
    copy = out_dir / weights.name
    shutil.copyfile(weights, copy)
    written = Path(
        YOLO(str(copy)).export(format="openvino", imgsz=list(imgsz), dynamic=False, half=False, batch=1)
    )
    copy.unlink()
    pictures = check if check is not None else _pictures()
    torch_says, exported_says = predictor(weights, imgsz), predictor(written, imgsz)
    worst, boxes = 0.0, 0
    for number, picture in enumerate(pictures):
        a, b = torch_says(picture), exported_says(picture)
        overlap = iou(a.xyxy, b.xyxy) if len(a.xyxy) and len(b.xyxy) else np.zeros((len(a.xyxy), 0))
        for i in np.flatnonzero(a.confidence >= least_confidence):
            same = [
                abs(float(a.confidence[i] - b.confidence[j]))
                for j in range(len(b.confidence))
                if b.names[j] == a.names[i] and overlap[i, j] > 0.9
            ]
            boxes += 1
            if not same or min(same) > 0.05:
                raise ValueError(
                    f"export of {weights.name} differs from PyTorch on picture {number}: "
                    f"{a.names[i]} at {a.confidence[i]:.2f} is "
                    f"{'missing' if not same else f'{min(same):.2f} off'}; do not use it"
                )
            worst = max(worst, min(same))
    return {
        "path": str(written),
        "checked": len(pictures),
        "boxes": boxes,
        "worst_confidence_difference": worst,
    }


def _pictures() -> list[Any]:
    from detection.farm.scenes import render
    from detection.training.rendered import random_effects, random_scene

    pictures = []
    for seed in range(4_000_000, 4_000_008):
        scene = random_scene(seed)
        effects = random_effects(scene, np.random.default_rng(seed))
        pictures.append(render(scene, 1_760_000_000.0, effects)[0])
    return pictures
