"""Cameras for tests of the farm: all kinds of scene, poses as on real poles and walls."""

from __future__ import annotations

import numpy as np

from detection.farm.layout import INDOOR, SCENE_KINDS
from detection.farm.script import FarmCamera
from detection.pose import Pose


def farm_cameras(count: int = 60, seed: int = 5) -> list[FarmCamera]:
    rng = np.random.default_rng(seed)
    cameras = []
    for i in range(count):
        kind = SCENE_KINDS[i % len(SCENE_KINDS)]
        inside = kind in INDOOR
        pose = Pose(
            float(rng.uniform(3.5, 6) if inside else rng.uniform(5, 11)),
            float(rng.uniform(0, 360)),
            float(rng.uniform(14, 28) if inside else rng.uniform(10, 25)),
            float(rng.uniform(55, 85)),
            960,
            540,
        )
        cameras.append(FarmCamera(f"3101160000132{i:07d}", pose, kind, 100 + i, f"CAM {i:02d}"))
    return cameras
