"""Fine-tune a YOLO detector on the four classes, starting from weights that know some of them."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from detection.torchvision_shim import ensure_torchvision
from detection.training.dataset import CLASSES, SYNONYMS

os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_AUTOINSTALL", "false")


def widen_head(weights: Path, out: Path) -> Path:
    """Weights with a head of our four classes; every class known before keeps its filters.

    Class rows of the last convolutions are copied by class name; a class that is new starts from
    small random filters and the usual prior. Writes an ultralytics checkpoint to `out`.
    """
    ensure_torchvision()
    import torch
    from ultralytics import YOLO

    new = YOLO(str(weights)).model.float()
    known = {SYNONYMS.get(name, name): number for number, name in new.names.items()}
    head = new.model[-1]
    # Only the last layer of the class branch is replaced: rebuilding the head from its yaml would
    # give the branch another width with another number of classes, and lose what it learned.
    with torch.no_grad():
        for scale, branch in enumerate(head.cv3):
            before = branch[-1]
            after = torch.nn.Conv2d(before.in_channels, len(CLASSES), 1)
            torch.nn.init.normal_(after.weight, std=0.01)
            side = 640 / float(head.stride[scale])
            after.bias.fill_(math.log(5 / len(CLASSES) / side**2))
            for number, name in enumerate(CLASSES):
                if name in known:
                    after.weight[number] = before.weight[known[name]]
                    after.bias[number] = before.bias[known[name]]
            branch[-1] = after
    head.nc = len(CLASSES)
    head.no = head.nc + 4 * head.reg_max
    new.nc = len(CLASSES)
    new.yaml = dict(new.yaml, nc=len(CLASSES))
    new.names = dict(enumerate(CLASSES))
    new.args = {"task": "detect", "imgsz": 416}
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": -1, "model": new.half(), "train_args": dict(new.args)}, out)
    return out


def train(
    data_yaml: Path,
    weights: Path,
    out: Path,
    *,
    epochs: int,
    imgsz: int = 416,
    batch: int = 16,
    freeze: int = 6,
    lr: float = 0.0015,
    mosaic: float = 0.6,
    close_mosaic: int = 1,
    seed: int = 2,
    minutes: float | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Fine-tune on data_yaml on the CPU; returns the path of the trained checkpoint.

    freeze: leading layers that stay as they are (edges and textures learned on COCO).
    minutes: stop after this long whatever the epochs, and lower the learning rate by the clock,
    so that a shared machine of unknown speed still ends with small steps.
    extra: further ultralytics settings, for example fraction or workers.
    """
    ensure_torchvision()
    import torch
    from ultralytics import YOLO

    out = out.resolve()
    start = widen_head(weights, out / "start.pt")
    settings: dict[str, Any] = {
        "data": str(data_yaml),
        "epochs": epochs,
        "imgsz": imgsz,
        "batch": batch,
        "nbs": batch,
        "freeze": freeze,
        "optimizer": "AdamW",
        "lr0": lr,
        "lrf": 0.05,
        "cos_lr": True,
        "warmup_epochs": 0.3,
        "warmup_bias_lr": 0.001,
        "weight_decay": 0.0005,
        "mosaic": mosaic,
        "close_mosaic": close_mosaic,
        "scale": 0.35,
        "translate": 0.1,
        "hsv_h": 0.01,
        "hsv_s": 0.5,
        "hsv_v": 0.4,
        "erasing": 0.0,
        "cache": "ram",
        "workers": 1,
        "device": "cpu",
        "val": False,
        "plots": False,
        "seed": seed,
        "deterministic": False,
        "project": str(out),
        "name": "run",
        "exist_ok": True,
        "amp": False,
        "verbose": False,
    }
    settings.update(extra or {})
    model = YOLO(str(start))
    # ultralytics leaves one core idle on the CPU, which is half of a small machine.
    threads = max(1, os.cpu_count() or 1)
    model.add_callback("on_train_start", lambda trainer: torch.set_num_threads(threads))
    if minutes is not None:
        settings["time"] = minutes / 60
        model.add_callback("on_train_batch_start", _anneal_by_clock(lr, minutes * 60))
    model.add_callback("on_train_batch_end", _keep_checkpoint(out / "interim.pt", every_s=120))
    model.train(trainer=_keep_model(), **settings)
    return out / "run" / "weights" / "last.pt"


def _anneal_by_clock(lr: float, seconds: float) -> Callable[[Any], None]:
    """A callback that sets the learning rate by the share of the time that is spent (cosine to 3 %)."""

    def set_rate(trainer: Any) -> None:
        spent = min(1.0, (time.time() - trainer.train_time_start) / seconds)
        for group in trainer.optimizer.param_groups:
            group["lr"] = lr * (0.03 + 0.97 * (1 + math.cos(math.pi * spent)) / 2)

    return set_rate


def _keep_checkpoint(file: Path, every_s: float) -> Callable[[Any], None]:
    """A callback that writes the averaged model every so often: epochs are long on a CPU, and
    ultralytics writes nothing before the first one ends."""
    last = time.monotonic()

    def write(trainer: Any) -> None:
        nonlocal last
        if time.monotonic() - last < every_s:
            return
        import torch

        model = copy.deepcopy(trainer.ema.ema).half()
        part = file.with_suffix(".part")
        torch.save({"epoch": -1, "model": model, "train_args": {"task": "detect"}}, part)
        part.replace(file)
        last = time.monotonic()

    return write


def _keep_model() -> Any:
    """A trainer that trains the loaded model itself, where the usual one rebuilds its head."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    class KeepModel(DetectionTrainer):
        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            return weights.float() if weights is not None else super().get_model(cfg, weights, verbose)

    return KeepModel


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def publish(
    checkpoint: Path,
    target: Path,
    *,
    imgsz: int,
    thresholds: Mapping[str, float],
    trained_at: datetime,
    data: Mapping[str, Any],
    figures: Mapping[str, Any] | None = None,
) -> Path:
    """Write stripped fp16 weights and the json beside them (sha256, classes, thresholds, data).

    imgsz: longest side of the input at inference, pixels.
    thresholds: least confidence per class. Returns the path of the json.
    """
    import torch

    loaded = torch.load(checkpoint, map_location="cpu", weights_only=False)
    model = (loaded.get("ema") or loaded["model"]).half()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.args = {"task": "detect", "imgsz": imgsz}
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"epoch": -1, "model": model, "train_args": dict(model.args)}, target)
    card = target.with_suffix(".json")
    card.write_text(
        json.dumps(
            {
                "file": target.name,
                "sha256": sha256_of(target),
                "classes": [model.names[i] for i in sorted(model.names)],
                "imgsz": imgsz,
                "thresholds": dict(thresholds),
                "trained_at": trained_at.isoformat(),
                "licence": "AGPL-3.0",
                "data": dict(data),
                "figures": dict(figures or {}),
            },
            indent=2,
            ensure_ascii=False,
        )
        + "\n",
        encoding="utf-8",
    )
    return card
