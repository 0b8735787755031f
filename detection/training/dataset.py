"""Build one YOLO data set of the four classes from real folders and rendered frames.

Real folders are read by class *name* (their data.yaml, or names given by the caller), so a class
number that means something else elsewhere cannot slip in. Boxes of classes that are not ours are
dropped with the count reported. Nothing in the source folders is changed.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

CLASSES: tuple[str, ...] = ("fire", "smoke", "welding_arc", "sparks")
SYNONYMS: Mapping[str, str] = {"grinder_spark": "sparks", "welding": "welding_arc", "spark": "sparks"}
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True, slots=True)
class Sample:
    """An image file and its boxes: (class name, x centre, y centre, width, height), 0..1."""

    image: Path
    boxes: tuple[tuple[str, float, float, float, float], ...]


def class_names(folder: Path, names: Mapping[int, str] | None = None) -> dict[int, str]:
    """Class number to our class name, from the folder's data.yaml or from `names`.

    Raises ValueError where neither is there.
    """
    if names is None:
        file = folder / "data.yaml"
        if not file.is_file():
            raise ValueError(f"{folder}: no data.yaml, so the class numbers have no meaning")
        found = yaml.safe_load(file.read_text(encoding="utf-8"))["names"]
        names = dict(enumerate(found)) if isinstance(found, list) else dict(found)
    return {int(k): SYNONYMS.get(str(v), str(v)) for k, v in names.items()}


def read_labels(file: Path, names: Mapping[int, str]) -> tuple[tuple[str, float, float, float, float], ...]:
    """Boxes of one YOLO label file; a missing or empty file is a picture without boxes.

    Raises ValueError naming file and line where a line is not five numbers.
    """
    if not file.is_file():
        return ()
    boxes = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            parts = [float(part) for part in line.split()]
            if len(parts) < 5:
                raise ValueError
            if len(parts) > 5:  # a polygon: its bounding box
                xs, ys = parts[1::2], parts[2::2]
                x1, x2, y1, y2 = min(xs), max(xs), min(ys), max(ys)
                parts = [parts[0], (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
        except ValueError:
            raise ValueError(f"{file}, line {number}: not 'class x y w h'") from None
        boxes.append((names.get(int(parts[0]), "?"), parts[1], parts[2], parts[3], parts[4]))
    return tuple(boxes)


def label_file(image: Path) -> Path:
    """Where YOLO keeps the labels of an image: the last folder `images` becomes `labels`."""
    parts = list(image.parts)
    for i in range(len(parts) - 1, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def read_folder(folder: Path, split: str = "", names: Mapping[int, str] | None = None) -> list[Sample]:
    """All samples under folder/images/<split>, in name order, boxes of our classes only.

    Raises ValueError where the folder holds no image.
    """
    known = class_names(folder, names)
    images = sorted(p for p in (folder / "images" / split).rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise ValueError(f"{folder / 'images' / split}: no image there")
    samples = []
    for image in images:
        boxes = read_labels(label_file(image), known)
        samples.append(Sample(image, tuple(b for b in boxes if b[0] in CLASSES)))
    return samples


def write(samples: Iterator[Sample] | Sequence[Sample], out: Path, split: str) -> int:
    """Write samples to out/images/<split> (links, or copies where links fail) with labels."""
    images, labels = out / "images" / split, out / "labels" / split
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    count = 0
    for sample in samples:
        name = f"{sample.image.parent.parent.parent.name}_{sample.image.name}"
        target = images / name
        if target.exists():
            target.unlink()
        try:
            target.symlink_to(sample.image.resolve())
        except OSError:
            shutil.copyfile(sample.image, target)
        lines = [f"{CLASSES.index(n)} {x:.6f} {y:.6f} {w:.6f} {h:.6f}" for n, x, y, w, h in sample.boxes]
        (labels / name).with_suffix(".txt").write_text("\n".join(lines), encoding="utf-8")
        count += 1
    return count


def write_yaml(out: Path, file: str, train: str, val: str) -> Path:
    """A data.yaml of our four classes in `out`."""
    path = out / file
    path.write_text(
        yaml.safe_dump(
            {
                "path": str(out.resolve()),
                "train": train,
                "val": val,
                "names": dict(enumerate(CLASSES)),
            },
            sort_keys=False,
        ),
        encoding="utf-8",
    )
    return path


# Scenes of cctv_dev, told apart by looking: frame numbers of its img_* files and clip names. Frames
# of one place are in one part only. "tune" is for thresholds, "test" is only measured.
CCTV_SCENES: tuple[tuple[str, int, int, str], ...] = (
    ("img", 601, 699, "test"),
    ("img", 700, 799, "train"),
    ("img", 900, 911, "train"),
    ("img", 920, 934, "tune"),
    ("img", 935, 957, "train"),
    ("img", 958, 979, "test"),
    ("img", 980, 986, "train"),
    ("img", 987, 999, "test"),
    ("img", 1000, 1041, "test"),
    ("img", 1042, 1052, "drop"),
    ("img", 1053, 1062, "train"),
    ("img", 2036, 2051, "tune"),
    ("img", 2052, 2199, "train"),
    ("img", 3000, 3000, "tune"),
    ("pexels-alan-w-8365993_mp4", 0, 10**9, "train"),
    ("pexels-alan-w-8365989_mp4", 0, 10**9, "train"),
    ("smoke2_mp4", 0, 10**9, "train"),
    ("fire1_mp4", 0, 10**9, "train"),
    ("smoke1_mp4", 0, 10**9, "tune"),
    ("test1_mp4", 0, 10**9, "tune"),
    ("test2_mp4", 0, 10**9, "test"),
    ("test3_mp4", 0, 10**9, "test"),
)


def cctv_part(source_path: str) -> str:
    """Part (train, tune, test, drop) of a cctv_dev frame by its source name."""
    found = re.match(r"(.*?)[-_](\d+)_jpg", source_path.rsplit("/", 1)[-1])
    if found:
        for clip, first, last, part in CCTV_SCENES:
            if found[1] == clip and first <= int(found[2]) <= last:
                return part
    return "drop"


def read_cctv(folder: Path) -> dict[str, list[Sample]]:
    """Samples of cctv_dev by part."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        part = {row["file"]: cctv_part(row["source_path"]) for row in csv.DictReader(file)}
    parts: dict[str, list[Sample]] = {"train": [], "tune": [], "test": [], "drop": []}
    for sample in read_folder(folder):
        parts[part.get(sample.image.name, "drop")].append(sample)
    return parts
