"""Least confidence per class, chosen on tuning scenes that are used for nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detection.training.dataset import CLASSES
from detection.training.evaluate import Scored

LOWEST, HIGHEST = 0.15, 0.7


def choose_thresholds(tuned: Sequence[Scored], false_alarms: float = 0.02) -> dict[str, float]:
    """Per class the confidence that at most `false_alarms` of the frames without the class reach.

    Kept within 0.15..0.7: below, a box is noise on the next camera; above, a class would be mute.
    Raises ValueError where no frame is without the class.
    """
    chosen = {}
    for name in CLASSES:
        scores, positive = zip(*(one.frame_scores([name]) for one in tuned), strict=True)
        quiet = np.sort(np.concatenate(scores)[~np.concatenate(positive)])[::-1]
        if len(quiet) == 0:
            raise ValueError(f"no tuning frame is without {name}")
        # One step above the loudest frame that must stay quiet.
        level = float(quiet[min(int(false_alarms * len(quiet)), len(quiet) - 1)]) + 0.01
        chosen[name] = round(float(np.clip(level, LOWEST, HIGHEST)), 2)
    return chosen
