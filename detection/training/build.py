"""Put the training set and the evaluation sets together from a data root and rendered frames."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np

from detection.training.dataset import (
    CLASSES,
    Sample,
    read_cctv,
    read_folder,
    write,
    write_yaml,
)
from detection.training.rendered import paint_on_photo, render_part

FIRE_SMOKE = {0: "fire", 1: "smoke"}
WELDING = {0: "welding_arc", 1: "grinder_spark"}


def build(
    data_root: Path,
    out: Path,
    *,
    scenes: int = 380,
    frames: int = 4,
    painted: int = 260,
    more: int = 900,
    seed: int = 2,
    processes: int = 2,
) -> dict[str, int]:
    """Write data.yaml (training) and eval_*.yaml into `out`; returns how many images each holds.

    data_root: folder with fire_train, fire_train_more, fire_extra_fireonly, cctv_dev and
    welding_eval (the last for evaluation only). scenes x frames rendered training frames, `painted`
    real pictures with a rendered arc or sparks, `more` of fire_train_more.
    """
    rng = np.random.default_rng(seed)
    own = out / "rendered"
    fire_train = read_folder(data_root / "fire_train", "train")
    cctv = read_cctv(data_root / "cctv_dev")
    train: list[Sample] = list(fire_train)
    extra = read_folder(data_root / "fire_train_more", "", FIRE_SMOKE)
    train += [extra[i] for i in rng.permutation(len(extra))[:more]]
    train += cctv["train"]
    # Smoke is visible but not labelled there: only pictures that are nearly all flame are used.
    indoor = read_folder(data_root / "fire_extra_fireonly", "", {0: "fire"})
    train += [s for s in indoor if sum(b[3] * b[4] for b in s.boxes if b[0] == "fire") > 0.25]
    train += render_part("train", scenes, frames, own / "train", crop=True, processes=processes)
    for i, at in enumerate(rng.integers(0, len(fire_train), painted)):
        sample = paint_on_photo(fire_train[int(at)], own / "painted", f"painted_{i}", int(at) * 7 + i)
        if sample is not None:
            train.append(sample)
    tune = render_part("tune", 60, 4, own / "tune", crop=False, processes=processes)
    test = render_part("test", 60, 4, own / "test", crop=False, processes=processes)
    sets = {
        "train": train,
        "val_fire_train": read_folder(data_root / "fire_train", "val"),
        "cctv_tune": cctv["tune"],
        "cctv_test": cctv["test"],
        "rendered_tune": tune,
        "rendered_test": test,
        "welding_eval": read_folder(data_root / "welding_eval", "", WELDING),
    }
    counts = {}
    for name, samples in sets.items():
        counts[name] = write(samples, out, name)
        if name != "train":
            write_yaml(out, f"eval_{name}.yaml", "images/train", f"images/{name}")
    # Ultralytics validates once at the end; a small part keeps that short.
    write(tune[:64], out, "val_small")
    write_yaml(out, "data.yaml", "images/train", "images/val_small")
    boxes = Counter(b[0] for s in train for b in s.boxes)
    summary = {
        "images": counts,
        "train_boxes": {name: boxes[name] for name in CLASSES},
        "train_without_boxes": sum(not s.boxes for s in train),
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    return counts
