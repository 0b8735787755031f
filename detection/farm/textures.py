"""Procedural surfaces: tileable noise and small BGR textures, all by a numpy Generator."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Float = NDArray[np.float32]
Colour = tuple[int, int, int]
"""Blue, green, red, 0..255."""


@lru_cache(maxsize=4)
def noise_tile(size: int = 256, seed: int = 0, octaves: int = 6) -> Float:
    """Fractal noise that tiles, shape (size, size), spread evenly over 0..1."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = 4 * 2**octave
        if cells > size:
            break
        grid = rng.random((cells, cells), dtype=np.float32)
        # One wrapped cell on each side, so that the interpolation tiles.
        wrapped = np.pad(grid, 2, mode="wrap")
        step = size // cells
        large = cv2.resize(wrapped, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        total += large[2 * step : 2 * step + size, 2 * step : 2 * step + size] * 0.55**octave
    ranks = np.empty(total.size, np.float32)
    ranks[np.argsort(total, axis=None)] = np.linspace(0, 1, total.size, dtype=np.float32)
    return ranks.reshape(total.shape)


def sample_noise(x: Float, y: Float, seed: int = 0) -> Float:
    """Tileable noise at (x, y) in tile units (1 = one whole tile), 0..1."""
    tile = noise_tile(seed=seed)
    size = tile.shape[0]
    # Turned, so that the tile's grid does not show along the axes of the scene.
    x, y = 0.8 * x + 0.6 * y, 0.8 * y - 0.6 * x
    return cv2.remap(
        tile,
        np.mod(x * size, size).astype(np.float32),
        np.mod(y * size, size).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )


def plain(rng: np.random.Generator, colour: Colour, size: int = 96, rough: float = 0.12) -> Image:
    """One colour with stains and grain."""
    tile = noise_tile(seed=1)
    dy, dx = rng.integers(0, 256, 2)
    stain = np.roll(tile, (dy, dx), (0, 1))[:size, :size]
    grain = rng.normal(0, 0.03, (size, size)).astype(np.float32)
    factor = 1 + (stain - 0.5) * 2 * rough + grain
    return np.clip(np.array(colour, np.float32) * factor[..., None], 0, 255).astype(np.uint8)


def corrugated(rng: np.random.Generator, colour: Colour, waves: int = 24) -> Image:
    """Profiled sheet metal: vertical ribs, dirt running down."""
    image = plain(rng, colour, 128, 0.1).astype(np.float32)
    ribs = 1 + 0.16 * np.sin(np.arange(128) / 128 * waves * 2 * np.pi)
    streaks = cv2.GaussianBlur(rng.random((128, 128)).astype(np.float32), (3, 61), 0)
    dirt = np.clip((streaks - streaks.mean()) * 1.6, -0.12, 0.08)
    return np.clip(image * (ribs[None, :, None] + dirt[..., None]), 0, 255).astype(np.uint8)


def bricks(rng: np.random.Generator, colour: Colour = (70, 85, 140)) -> Image:
    image = plain(rng, colour, 128, 0.2)
    joint = tuple(int(c * 0.5 + 90) for c in colour)
    for row in range(0, 128, 8):
        cv2.line(image, (0, row), (127, row), joint, 1)
        for column in range((row // 8 % 2) * 8, 128, 16):
            cv2.line(image, (column, row), (column, row + 8), joint, 1)
    return image


def facade(rng: np.random.Generator, colour: Colour, columns: int, floors: int, lit: bool) -> Image:
    """Plastered wall with windows; some shine where lit."""
    image = cv2.resize(plain(rng, colour, 96, 0.08), (256, 192), interpolation=cv2.INTER_CUBIC)
    w, h = 256 // columns, 192 // floors
    for floor in range(floors):
        for column in range(columns):
            x, y = column * w + w // 5, floor * h + h // 4
            glass: Colour = (95, 85, 70) if rng.random() < 0.6 else (140, 125, 105)
            if lit and rng.random() < 0.25:
                glass = (150, 215, 245)
            cv2.rectangle(image, (x, y), (x + 3 * w // 5, y + h // 2), glass, -1)
            cv2.rectangle(image, (x, y), (x + 3 * w // 5, y + h // 2), (200, 200, 200), 1)
            cv2.line(image, (x + w * 3 // 10, y), (x + w * 3 // 10, y + h // 2), (190, 190, 190), 1)
    cv2.rectangle(image, (0, 0), (255, 3), tuple(int(c * 0.6) for c in colour), -1)
    return image


def shutter(rng: np.random.Generator, colour: Colour) -> Image:
    """Roller door."""
    image = plain(rng, colour, 96, 0.06)
    for row in range(0, 96, 5):
        cv2.line(image, (0, row), (95, row), tuple(int(c * 0.75) for c in colour), 1)
    cv2.rectangle(image, (0, 0), (95, 95), (60, 60, 60), 3)
    return image


def rack(rng: np.random.Generator) -> Image:
    """Shelf seen from the front: uprights, beams, cartons of several colours."""
    image = np.full((120, 192, 3), (38, 40, 42), np.uint8)
    cartons: list[Colour] = [
        (90, 130, 170),
        (110, 145, 185),
        (70, 100, 140),
        (180, 180, 175),
        (150, 90, 60),
        (60, 60, 150),
        (60, 130, 70),
        (40, 150, 200),
    ]
    for level in range(3):
        floor = 40 * level + 37
        x = 3
        while x < 186:
            w, h = int(rng.integers(16, 44)), int(rng.integers(16, 33))
            if rng.random() < 0.82:
                base = cartons[int(rng.choice(8, p=[0.25, 0.22, 0.18, 0.12, 0.08, 0.04, 0.06, 0.05]))]
                shade = float(rng.uniform(0.7, 1.1))
                colour = tuple(int(min(255, c * shade)) for c in base)
                cv2.rectangle(image, (x, floor - h), (x + w, floor), colour, -1)
                cv2.rectangle(image, (x, floor - h), (x + w, floor), (40, 45, 50), 1)
                cv2.line(image, (x, floor - h // 2), (x + w, floor - h // 2), (150, 165, 180), 1)
            x += w + int(rng.integers(1, 5))
        cv2.rectangle(image, (0, floor), (191, floor + 3), (30, 100, 200), -1)
    for x in (0, 62, 125, 186):
        cv2.rectangle(image, (x, 0), (x + 5, 119), (140, 80, 30), -1)
    return image


def foliage(rng: np.random.Generator) -> Image:
    """Tree crown as BGRA."""
    size = 128
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    offset = rng.random(2)
    n = sample_noise(x * 0.8 + offset[0], y * 0.8 + offset[1], 1)
    radius = np.hypot((x - 0.5) * 1.05, (y - 0.45) * 1.1)
    alpha = np.clip((0.42 + 0.22 * (n - 0.5) - radius) * 30, 0, 1) * 255
    trunk = (np.abs(x - 0.5) < 0.025) & (y > 0.6)
    light = (0.45 + 0.8 * n * (1.15 - y))[..., None]
    image = np.array([38, 85, 62], np.float32) * light * rng.uniform(0.8, 1.2)
    image[trunk & (alpha < 128)] = (45, 55, 65)
    alpha[trunk] = 255
    return np.dstack([np.clip(image, 0, 255), alpha]).astype(np.uint8)


def mesh(posts: int = 8) -> Image:
    """Chain-link fence as BGRA: mostly see-through."""
    image = np.zeros((64, 512, 4), np.uint8)
    image[..., :3] = 150
    image[..., 3] = 46
    for i in range(posts + 1):
        x = min(511, i * 512 // posts)
        image[:, max(0, x - 2) : x + 3, 3] = 255
    image[:4, :, 3] = 220
    image[-3:, :, 3] = 200
    return image


def striped(a: Colour, b: Colour, bands: int = 8) -> Image:
    """Diagonal warning stripes."""
    y, x = np.mgrid[0:32, 0:256]
    pick = ((x + y) * bands // 128) % 2 == 0
    return np.where(pick[..., None], np.array(a), np.array(b)).astype(np.uint8)


SURFACES: dict[str, Callable[[np.random.Generator, Colour], Image]] = {
    "plain": plain,
    "corrugated": corrugated,
    "bricks": bricks,
    "shutter": shutter,
}
