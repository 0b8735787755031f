"""The weights file and what is known about it: digest, classes, input size, thresholds."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from detection.config import DetectorConfig
from detection.types import CLASSES
from geoapp.errors import Refused
from geoapp.settings import Settings

SHIPPED = Path(__file__).resolve().parent.parent / "weights" / "geoapp-yolo11n.pt"
# Data sets name one thing in several ways. Numbers mean nothing across data sets: only names are mapped.
_SYNONYMS = {
    "flame": "fire",
    "welding": "welding_arc",
    "arc": "welding_arc",
    "spark": "sparks",
    "grinder_spark": "sparks",
    "grinder_sparks": "sparks",
}
# Of a box that the hysteresis may still use to keep an incident alive.
KEEP_SHARE = 0.5


class _Sidecar(BaseModel):
    """The .json beside the weights; it may say more than the watch needs."""

    model_config = ConfigDict(extra="ignore")

    sha256: str | None = None
    classes: list[str] | None = None
    imgsz: int | None = None
    thresholds: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Weights:
    """path: the .pt file. sha256: of its bytes. imgsz: longest input side in pixels, None where only the file
    itself knows. thresholds: by class name, may be empty."""

    path: Path
    sha256: str
    imgsz: int | None
    thresholds: dict[str, float]


def find_weights(configured: Settings) -> Weights:
    """GEOAPP_MODEL, else the shipped weights. Raises Refused where the file is missing or not what its .json says."""
    path = configured.model or SHIPPED
    if not path.is_file():
        hint = "GEOAPP_MODEL" if configured.model else "git checkout -- detection/weights"
        raise Refused(f"{path}: 没有模型权重 / the model weights are missing ({hint}).")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return Weights(path, digest, None, {})
    try:
        said = _Sidecar.model_validate_json(beside.read_bytes())
    except ValidationError as fault:
        raise Refused(f"{beside}: 读不懂 / cannot be understood: {fault.errors()[0]['msg']}") from None
    if said.sha256 is not None and said.sha256 != digest:
        raise Refused(
            f"{path}: 权重文件损坏或被替换 / the weights are damaged or replaced: SHA-256 {digest[:12]}…, "
            f"{beside.name} says {said.sha256[:12]}…"
        )
    return Weights(path, digest, said.imgsz, said.thresholds)


def class_name_of(name: str) -> str | None:
    """The house's name of a model's class, or None where the watch does not know it."""
    plain = name.strip().lower().replace(" ", "_").replace("-", "_")
    plain = _SYNONYMS.get(plain, plain)
    return plain if plain in CLASSES else None


def map_classes(names: dict[int, str], path: Path) -> dict[int, str]:
    """Model class number to the house's class name. Raises Refused where nothing of use is left."""
    mapped = {number: known for number, name in names.items() if (known := class_name_of(name))}
    if not mapped:
        raise Refused(f"{path}: 模型不认识任何类别 / the model knows none of {', '.join(CLASSES)}: {names}")
    return mapped


def thresholds_of(weights: Weights, config: DetectorConfig) -> dict[str, float]:
    """Threshold of each class: configuration, else the weights' own .json, else the default.

    Raises Refused for one that is out of range or of an unknown class.
    """
    found = dict.fromkeys(CLASSES, config.default_threshold) | weights.thresholds | config.thresholds
    wrong = [n for n, t in found.items() if n not in CLASSES or not config.min_threshold <= t < 1]
    if wrong:
        raise Refused(
            f"{weights.path.name}: 阈值有误 / thresholds must be {config.min_threshold:g}..1 "
            f"of {', '.join(CLASSES)}; wrong: {', '.join(wrong)}"
        )
    return found
