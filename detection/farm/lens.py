"""What goes wrong before a camera's lens, and what only looks as if: each from a good frame to a frame. For the farm's
faults, tests and the false alarm figures in docs/picture-health.md."""

from __future__ import annotations

import cv2
import numpy as np

from detection.farm.textures import Image


def out_of_focus(frame: Image, *, blur: float = 4.0) -> Image:
    """A lens out of focus or fogged. blur: standard deviation in pixels of a picture 960 pixels wide."""
    return _image(cv2.GaussianBlur(frame, (0, 0), blur * frame.shape[1] / 960))


def fogged_lens(frame: Image) -> Image:
    """Dew on the glass: blurred, and a veil over it."""
    return _image(out_of_focus(frame, blur=5.0) * 0.55 + 90.0)


def under_cloth(frame: Image, seed: int = 0) -> Image:
    """A cloth over the camera: light that fades from one side to the other, and the noise of a sensor at its limit."""
    across = np.linspace(40, 130, frame.shape[1], dtype=np.float32)[None, :, None]
    return _noisy(np.broadcast_to(across, frame.shape), 5.0, seed)


def in_a_bag(frame: Image, seed: int = 0) -> Image:
    """A translucent bag over the camera: brightness comes through, outlines do not."""
    return _noisy(out_of_focus(frame, blur=60.0) * np.float32(0.5) + np.float32(60), 4.0, seed)


def painted(frame: Image, seed: int = 0) -> Image:
    """Paint sprayed on the glass."""
    return _noisy(out_of_focus(frame, blur=40.0) * np.float32(0.25) + np.float32(20), 3.0, seed)


def fog(frame: Image, *, veil: float = 0.7, seed: int = 0) -> Image:
    """Fog before a clean lens. veil: the share of its contrast that a picture loses."""
    return _noisy(frame * np.float32(1 - veil) + np.float32(200 * veil), 1.5, seed)


def rain(frame: Image, seed: int = 0) -> Image:
    """Heavy rain: streaks, and less contrast."""
    rng = np.random.default_rng([seed, 81])
    height, width = frame.shape[:2]
    streaks = np.zeros((height, width), np.float32)
    for _ in range(900):
        x, y, long = int(rng.integers(0, width)), int(rng.integers(0, height)), int(rng.integers(10, 40))
        cv2.line(streaks, (x, y), (x + long // 6, y + long), 1.0, 1)
    light = cv2.GaussianBlur(streaks, (0, 0), 0.8)[..., None] * np.float32(0.35)
    return _noisy((frame * np.float32(0.8) + 30) * (1 - light) + 210 * light, 1.5, seed)


def drops_on_glass(frame: Image, seed: int = 0) -> Image:
    """Rain drops on the glass: round places out of focus, the rest as it was."""
    rng = np.random.default_rng([seed, 82])
    height, width = frame.shape[:2]
    wet = np.zeros((height, width), np.float32)
    for _ in range(60):
        at = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.circle(wet, at, int(rng.integers(8, 30)), 1.0, -1)
    share = cv2.GaussianBlur(wet, (0, 0), 2)[..., None]
    return _image(frame * (1 - share) + out_of_focus(frame, blur=12.0) * share)


def _noisy(frame: np.typing.NDArray[np.float32], level: float, seed: int) -> Image:
    rng = np.random.default_rng([seed, 83])
    return _image(frame + level * rng.standard_normal(frame.shape, np.float32))


def _image(values: object) -> Image:
    return np.clip(np.asarray(values), 0, 255).astype(np.uint8)
