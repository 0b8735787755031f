"""What is measured on a picture before anything is looked for in it. Pure functions, under 1 ms for 1920x1080."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# Small enough to be cheap, large enough that sensor noise survives the shrinking.
THUMBNAIL = (160, 90)
PATCHES = (5, 3)
"""Columns and rows of a thumbnail whose content is compared, each by itself."""
LEAST_TEXTURE = 6
"""Grey values between the darkest and the brightest of a patch: a burnt-out sky is always the same, and says nothing."""
STRIP = (480, 64)
"""Columns and rows in which edges are measured: detail that a model of 640 pixels cannot see does not matter."""
CELLS = (8, 8)
EDGE_REACH = 8
STRONG_EDGE, FAINT_EDGE = 24, 10
"""Grey values across EDGE_REACH columns. A line in thick fog is a faint edge, the grain of a daylight picture is none."""
FAINT_TO_NOISE = 6
"""A faint edge is higher than so many times the median step from column to column (four standard deviations of noise)."""
EDGE_SHARE = 0.01
FEWEST_CELLS = 7
"""Fewer cells with edges say nothing about the focus."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one picture. Grey values and colour 0..255.

    bright: below which 99 % of the grey values lie; spread: their standard deviation; colour: below which 95 % of the
    pixels' colour (largest minus smallest channel) lies; patches: a checksum of each patch, 0 where it has no texture;
    sharpness: how much of an edge's rise over 8 of 480 columns happens within one (1 = all; 0.125 = even), the median of
    the cells that have edges, None where too few do; edge_cells, faint_cells: of 48, those with strong, with any edges.
    """

    width_px: int
    height_px: int
    bright: float
    spread: float
    median: float
    colour: float
    patches: tuple[int, ...]
    sharpness: float | None
    edge_cells: int
    faint_cells: int


def measure(image: Image, size: tuple[int, int] | None = None) -> Measured:
    """Measures a picture, blue-green-red. size: its width and height, pixels, where the image is a smaller one of it."""
    # Nearest neighbour on purpose: averaging would hide the noise that tells a live picture from a frozen one.
    thumbnail = cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_NEAREST)
    grey = cv2.cvtColor(thumbnail, cv2.COLOR_BGR2GRAY)
    blue, green, red = cv2.split(thumbnail)
    colour = cv2.subtract(cv2.max(cv2.max(blue, green), red), cv2.min(cv2.min(blue, green), red))
    _, spread = cv2.meanStdDev(grey)
    sharpness, edge_cells, faint_cells = _edges(image)
    return Measured(
        width_px=image.shape[1] if size is None else size[0],
        height_px=image.shape[0] if size is None else size[1],
        bright=_quantile(grey, 0.99),
        spread=float(spread[0, 0]),
        median=_quantile(grey, 0.5),
        colour=_quantile(colour, 0.95),
        patches=_patches(grey),
        sharpness=sharpness,
        edge_cells=edge_cells,
        faint_cells=faint_cells,
    )


def _quantile(values: NDArray[np.uint8], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    counts = cv2.calcHist([values], [0], None, [256], [0, 256])
    return float(np.searchsorted(np.cumsum(counts), share * values.size))


def _patches(grey: NDArray[np.uint8]) -> tuple[int, ...]:
    """Row by row. 0: without texture, whether live or not."""
    columns, rows = PATCHES
    width, height = THUMBNAIL[0] // columns, THUMBNAIL[1] // rows
    blocks = np.ascontiguousarray(grey.reshape(rows, height, columns, width).swapaxes(1, 2)).reshape(
        rows * columns, -1
    )
    textured = blocks.max(axis=1) - blocks.min(axis=1) >= LEAST_TEXTURE
    return tuple(
        zlib.crc32(block.tobytes()) or 1 if has else 0
        for block, has in zip(blocks, textured.tolist(), strict=True)
    )


def _edges(image: Image) -> tuple[float | None, int, int]:
    """Sharpness, cells with strong edges, cells with any: along rows only, which is cheap and enough for a lens."""
    strip = _strip(image)
    if strip.shape[1] < 4 * EDGE_REACH or strip.shape[0] < CELLS[1]:
        return None, 0, 0
    single = cv2.absdiff(strip[:, 1:], strip[:, :-1])
    rise = cv2.absdiff(strip[:, EDGE_REACH:], strip[:, :-EDGE_REACH])
    # The steepest single step within each rise.
    step = cv2.dilate(single, np.ones((1, EDGE_REACH), np.uint8), anchor=(0, 0))[:, : rise.shape[1]]
    strong = cv2.compare(rise, STRONG_EDGE, cv2.CMP_GE)
    has_edges = _cells(strong) >= 255 * EDGE_SHARE
    # A sensor at its limit is noisier than a faint edge is high.
    faint = cv2.compare(rise, max(FAINT_EDGE, FAINT_TO_NOISE * _quantile(single, 0.5)), cv2.CMP_GE)
    faint_cells = int(np.count_nonzero(_cells(faint) >= 255 * EDGE_SHARE))
    edge_cells = int(np.count_nonzero(has_edges))
    if edge_cells < FEWEST_CELLS:
        return None, edge_cells, faint_cells
    # The median over the cells: a sharp clock written over a blurred picture fills few of them.
    steepness = (
        _cells(cv2.bitwise_and(step, strong))[has_edges] / _cells(cv2.bitwise_and(rise, strong))[has_edges]
    )
    return min(1.0, float(np.median(steepness))), edge_cells, faint_cells


def _strip(image: Image) -> NDArray[np.uint8]:
    """The green channel of every so many rows, averaged along the rows."""
    height, width = image.shape[:2]
    columns, rows = min(STRIP[0], width), min(STRIP[1], height)
    every = max(1, height // rows)
    first = (height - (rows - 1) * every) // 2
    green = cv2.extractChannel(image[first : first + (rows - 1) * every + 1 : every], 1)
    if green.shape[1] == columns:
        return np.asarray(green, np.uint8)
    return np.asarray(cv2.resize(green, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)


def _cells(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Means of a grid of cells, 0..255, without its first and last row: there cameras write clock and name."""
    corners, areas = _grid(*values.shape)
    sums = cv2.integral(values)[corners]
    means = (sums[1:, 1:] - sums[:-1, 1:] - sums[1:, :-1] + sums[:-1, :-1]) / areas
    return np.asarray(means[1:-1])


@lru_cache(maxsize=64)
def _grid(height: int, width: int) -> tuple[tuple[NDArray[np.intp], ...], NDArray[np.int64]]:
    """Where the cells' corners lie, and how many values are in each."""
    rows = np.linspace(0, height, CELLS[1] + 1).astype(int)
    columns = np.linspace(0, width, CELLS[0] + 1).astype(int)
    return np.ix_(rows, columns), np.outer(np.diff(rows), np.diff(columns))
