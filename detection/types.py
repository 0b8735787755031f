"""What passes through the watch: frames, boxes, results and places. Frozen values, no behaviour to speak of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from detection.picture_health.memory import PictureMemory
from detection.pose import Pose

Image = NDArray[np.uint8]
"""A decoded picture, shape (height, width, 3), blue-green-red as OpenCV has it."""

CLASSES = ("fire", "smoke", "welding_arc", "sparks")


class Reason(StrEnum):
    """Why a camera could not be looked through. Stored as it is in watch.observation.reason."""

    CONNECTION_REFUSED = "connection_refused"
    UNREACHABLE = "unreachable"
    NAME_NOT_FOUND = "name_not_found"
    CONNECT_TIMEOUT = "connect_timeout"
    # Nothing came in time; too_slow: something came, but not all of it.
    TIMEOUT = "timeout"
    TOO_SLOW = "too_slow"
    BROKEN_OFF = "broken_off"
    BAD_ADDRESS = "bad_address"
    # Ours, not the camera's: its host is asked as often as it may be, or every reader of streams is taken.
    HOST_BUSY = "host_busy"
    READERS_BUSY = "readers_busy"
    HTTP_REDIRECT = "http_3xx"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    # Asked for an account and none is stored; unauthorized: the stored one was refused.
    HTTP_401 = "http_401"
    UNAUTHORIZED = "unauthorized"
    CREDENTIALS_UNREADABLE = "credentials_unreadable"
    HTTP_403 = "http_403"
    HTTP_404 = "http_404"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    # RTSP: silent after the connection; refused by its status; no such stream; described, and no picture came.
    RTSP_SILENT = "rtsp_silent"
    RTSP_REFUSED = "rtsp_refused"
    RTSP_NO_STREAM = "rtsp_no_stream"
    RTSP_NO_PICTURE = "rtsp_no_picture"
    ONVIF_FAULT = "onvif_fault"
    PLATFORM_NOT_SET = "platform_not_set"
    PLATFORM_REFUSED = "platform_refused"
    FILE_MISSING = "file_missing"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    NOT_AN_IMAGE = "not_an_image"
    DAMAGED_IMAGE = "damaged_image"
    BLACK = "black"
    COVERED = "covered"
    BLURRED = "blurred"
    FROZEN = "frozen"
    RESOLUTION_CHANGED = "resolution_changed"
    DETECTOR_FAILED = "detector_failed"


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture as the camera sent it. captured_at: when it was asked for; received_at: when its last byte came.

    clock_offset_s: the camera's clock minus ours, seconds; None where it does not say.
    """

    data: bytes
    captured_at: datetime
    received_at: datetime
    clock_offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, blue-green-red. width_px, height_px: as the camera sent it; the image may be a smaller one of it."""

    image: Image
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Box:
    """One detection. class_name is one of CLASSES, score 0..1, corners in pixels of the original picture."""

    class_name: str
    score: float
    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        return self.x1, self.y1, self.x2, self.y2

    @property
    def area(self) -> float:
        """Square pixels."""
        return max(0.0, self.x2 - self.x1) * max(0.0, self.y2 - self.y1)

    def scaled(self, by: float) -> Box:
        """The box in a picture whose sides are `by` times as long."""
        return (
            self
            if by == 1
            else replace(self, x1=self.x1 * by, y1=self.y1 * by, x2=self.x2 * by, y2=self.y2 * by)
        )

    def as_json(self) -> dict[str, object]:
        """For watch.observation.boxes: class, score, box [x1, y1, x2, y2] in pixels."""
        return {
            "class": self.class_name,
            "score": round(self.score, 4),
            "box": [round(v, 1) for v in self.corners],
        }


@dataclass(frozen=True, slots=True)
class Observed:
    """The camera was looked through; `boxes` may be empty. Only this result may make an incident quiet or closed."""

    boxes: tuple[Box, ...]
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Unobserved:
    """Nobody could look, and why. Never the same as an empty picture.

    detail: the numbers behind it for logs and screens, "中文 / English" (or what reads the same in both), without secrets;
    words of a device only through detection.sources.foreign.
    """

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """One scan's result. `frame` is None where none came.

    picture: to be kept of it until the camera's next look; None: what is kept stays. detail: the numbers behind the
    verdict or a new note, without secrets.
    """

    camera_id: int
    captured_at: datetime
    received_at: datetime
    result: Observed | Unobserved
    model_hash: str
    frame: Frame | None = None
    picture: PictureMemory | None = None
    detail: str = ""


def without_idle_picture(look: Observation) -> Observation:
    """The look without the bytes of a picture that shows nothing; what its camera's clock said is kept."""
    if look.frame is None or (isinstance(look.result, Observed) and look.result.boxes):
        return look
    return replace(look, frame=replace(look.frame, data=b""))


@dataclass(frozen=True, slots=True)
class GroundFix:
    """Where on the ground, and how well it is known.

    method: triangulated (rays of several cameras), pose_ray, bearing_sector or camera_point (the ladder, best first).
    x, y: the city's metric CRS, metres. semi_major_m, semi_minor_m: half axes of the 95 % ellipse, metres;
    rotation_deg: its major axis, degrees clockwise from grid north; ring: its outline, (x, y) in metres, open.
    All four are None where nothing is known about the error.
    """

    method: str
    x: float
    y: float
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    rotation_deg: float | None = None
    ring: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a camera is asked with. Held in memory only, for one scan; shows itself as ***."""

    username: SecretStr
    password: SecretStr


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera as the watch needs it. x, y: foot point, metres in the city's CRS `srid`; period in seconds.

    credentials: None where none are stored; Unobserved where they are stored and cannot be opened. picture: what is kept
    of its earlier pictures, None where nothing is.
    """

    id: int
    gb_id: str
    name_zh: str
    snapshot_url: str
    period_s: float
    x: float
    y: float
    srid: int
    pose: Pose | None = None
    max_range_m: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    credentials: Credentials | Unobserved | None = None
    picture: PictureMemory | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """A camera held for one scan. token: the fence, a completion with an older one writes nothing. lag_s: how late."""

    camera: Camera
    token: int
    lease_until: datetime
    lag_s: float
    burst_left: int
    attempts: int
    is_priority: bool = False
