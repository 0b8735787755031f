"""A picture made fit to leave: persons, or all but the incident, unrecognisable for good; nothing hidden in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from detection.gate import decode
from detection.privacy.persons import PersonFinder
from detection.types import Image, Unobserved
from geoapp.errors import Refused

Mode = Literal["persons", "all"]
"""persons: only they are blurred. all: everything but the boxes of the incident, and persons inside those."""

# Boxes cut off hair and hands: they are made larger by this share of their sides, and by so many pixels at least.
ENLARGE, ENLARGE_PX = 0.15, 6
# A person is left as so many fields across the longer side: seven heads a body, so a head is one field.
FIELDS = 7
# Of the whole picture, longer side: a person of a tenth of the width is two fields wide.
FIELDS_OF_ALL = 24
JPEG_QUALITY = 92


@dataclass(frozen=True, slots=True)
class Blurred:
    """data: a JPEG without metadata. persons: how many were found and blurred."""

    data: bytes
    mode: Mode
    persons: int


def mode_for(site_id: int | None) -> Mode:
    """In a public place, on nobody's site, only the incident itself is shown; on a site's ground all but persons."""
    return "all" if site_id is None else "persons"


def blurred_jpeg(
    data: bytes, finder: PersonFinder, mode: Mode, incident_boxes: Sequence[tuple[float, ...]], note: str = ""
) -> Blurred:
    """A frame made fit to leave. incident_boxes: x1, y1, x2, y2 in pixels. note: ASCII, put into the file as its comment.

    Raises Refused for bytes that are no picture: what cannot be blurred does not leave.
    """
    image = decode(data)
    if isinstance(image, Unobserved):
        raise Refused(
            "画面无法解码，不能脱敏，不予导出 / the frame cannot be decoded, so not blurred: it does not leave."
        )
    persons = finder.persons(image)
    ready = blur(image, [p.corners for p in persons], mode, incident_boxes)
    done, encoded = cv2.imencode(".jpg", ready, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise Refused("画面无法编码 / the blurred frame cannot be encoded.")
    return Blurred(_with_note(encoded.tobytes(), note), mode, len(persons))


def blur(
    image: Image,
    persons: Sequence[tuple[float, ...]],
    mode: Mode,
    incident_boxes: Sequence[tuple[float, ...]] = (),
) -> Image:
    """A copy with persons (mode persons), or all but the incident (mode all), pixelated and smeared. The input stays."""
    height, width = image.shape[:2]
    ready = image.copy()
    if mode == "all":
        ready = _smeared(image, FIELDS_OF_ALL)
        for box in incident_boxes:
            x1, y1, x2, y2 = _inside(box, width, height)
            ready[y1:y2, x1:x2] = image[y1:y2, x1:x2]
    for box in persons:
        x1, y1, x2, y2 = _inside(enlarged(box), width, height)
        if x2 > x1 and y2 > y1:
            ready[y1:y2, x1:x2] = _smeared(image[y1:y2, x1:x2], FIELDS)
    return ready


def enlarged(box: Sequence[float]) -> tuple[float, float, float, float]:
    """The part of a picture that is blurred for a person's box."""
    x1, y1, x2, y2 = box
    across = max(ENLARGE_PX, ENLARGE * (x2 - x1))
    down = max(ENLARGE_PX, ENLARGE * (y2 - y1))
    return x1 - across, y1 - down, x2 + across, y2 + down


def _inside(box: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Whole pixels, outwards, within the picture. A box outside is empty: -1 as an end would be nearly all of it."""
    x1, x2 = (min(max(int(v), 0), width) for v in (np.floor(box[0]), np.ceil(box[2])))
    y1, y2 = (min(max(int(v), 0), height) for v in (np.floor(box[1]), np.ceil(box[3])))
    return x1, y1, x2, y2


def _smeared(part: Image, fields: int) -> Image:
    """The means of a few fields, drawn large without their edges: nothing else of the part is left to undo."""
    height, width = part.shape[:2]
    scale = min(1.0, fields / max(height, width))
    few = (max(1, round(width * scale)), max(1, round(height * scale)))
    means = cv2.resize(part, few, interpolation=cv2.INTER_AREA)
    smeared: Image = cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR)
    return smeared


def _with_note(jpeg: bytes, note: str) -> bytes:
    """The JPEG with a comment right after its start marker."""
    if not note:
        return jpeg
    text = note.encode("ascii")
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def boxes_of(stored: Sequence[dict[str, object]]) -> list[tuple[float, ...]]:
    """Corners of watch.evidence.boxes."""
    return [tuple(float(v) for v in one["box"]) for one in stored]  # type: ignore[attr-defined]
