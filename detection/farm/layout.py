"""What stands where in a scene: solids in the camera's own ground frame.

The frame: x metres to the right of the optical axis, y metres forward along it on the ground,
z metres up, origin at the camera's foot point. A scene is thus independent of the azimuth.
Pure functions of (kind, seed, pose); nothing is drawn here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from detection.farm import textures
from detection.farm.textures import Colour, Image

SceneKind = Literal["yard", "gate", "road", "tank_farm", "shed", "workshop", "storeroom"]
SCENE_KINDS: tuple[SceneKind, ...] = get_args(SceneKind)
INDOOR: frozenset[str] = frozenset({"shed", "workshop", "storeroom"})

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Face:
    """A textured parallelogram: corner, edge along the texture's width, edge down its height.

    albedo_only faces (signs of light) are not lit; two_sided faces are billboards.
    """

    corner: Point
    along: Point
    down: Point
    texture: Image
    normal: Point
    glows: bool = False


@dataclass(frozen=True, slots=True)
class Solid:
    """Footprint of something that stands: centre, half sizes, yaw (radians), height, metres."""

    x: float
    y: float
    half_x: float
    half_y: float
    yaw: float
    top: float

    def holds(self, x: float, y: float, margin: float = 0.0) -> bool:
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        dx, dy = x - self.x, y - self.y
        along, across = c * dx + s * dy, -s * dx + c * dy
        return abs(along) <= self.half_x + margin and abs(across) <= self.half_y + margin

    def corners(self) -> list[tuple[float, float]]:
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
        return [
            (
                self.x + a * self.half_x * c - b * self.half_y * s,
                self.y + a * self.half_x * s + b * self.half_y * c,
            )
            for a, b in signs
        ]

    def blocks(self, eye_z: float, x: float, y: float, z: float) -> bool:
        """Whether the solid stands between the lens at (0, 0, eye_z) and the point (x, y, z)."""
        c, sn = math.cos(self.yaw), math.sin(self.yaw)
        enter, leave = 0.0, 0.999
        # Slabs of the footprint along the line of sight from (0, 0) to (x, y).
        for ox, oy, half in ((c, sn, self.half_x), (-sn, c, self.half_y)):
            start = -(self.x * ox + self.y * oy)
            run = x * ox + y * oy
            if abs(run) < 1e-9:
                if abs(start) > half:
                    return False
                continue
            a, b = sorted(((-half - start) / run, (half - start) / run))
            enter, leave = max(enter, a), min(leave, b)
        if enter >= leave:
            return False
        return min(eye_z + (z - eye_z) * enter, eye_z + (z - eye_z) * leave) < self.top


@dataclass(frozen=True, slots=True)
class Lamp:
    """A light: position, reach in metres (half brightness), colour BGR, strength."""

    x: float
    y: float
    z: float
    reach: float = 7.0
    colour: Colour = (170, 225, 255)
    strength: float = 1.0
    visible: bool = True


@dataclass(slots=True)
class Layout:
    """A scene's content. room is (left, right, far, height) of the hall for indoor kinds."""

    ground: str
    faces: list[Face] = field(default_factory=list)
    solids: list[Solid] = field(default_factory=list)
    lamps: list[Lamp] = field(default_factory=list)
    lines: list[tuple[float, float, float, float, float, Colour]] = field(default_factory=list)
    room: tuple[float, float, float, float] | None = None
    walkways: list[tuple[float, float, float, float]] = field(default_factory=list)


def build(kind: SceneKind, seed: int, height_m: float, tilt_deg: float, hfov_deg: float) -> Layout:
    """The layout of a scene; the same arguments give the same layout."""
    rng = np.random.default_rng([seed, SCENE_KINDS.index(kind)])
    half = math.tan(math.radians(hfov_deg) / 2)
    layout = BUILDERS[kind](rng, height_m, half)
    return layout


def box(
    layout: Layout,
    rng: np.random.Generator,
    x: float,
    y: float,
    size: tuple[float, float, float],
    surface: Image | Colour,
    *,
    yaw: float = 0.0,
    z: float = 0.0,
    top: Image | None = None,
    front: Image | None = None,
    solid: bool = True,
) -> None:
    """Add a cuboid (length along x, depth along y, height) standing at z."""
    w, d, h = size
    c, s = math.cos(yaw), math.sin(yaw)
    side = textures.plain(rng, surface, 48) if isinstance(surface, tuple) else surface

    def turned(px: float, py: float) -> tuple[float, float]:
        return x + px * c - py * s, y + px * s + py * c

    corners = [turned(a * w / 2, b * d / 2) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    for i in range(4):
        (ax, ay), (bx, by) = corners[i], corners[(i + 1) % 4]
        nx, ny = by - ay, ax - bx
        length = math.hypot(nx, ny) or 1.0
        # Only sides that look towards the camera at the origin can be seen.
        if nx * (0 - ax) + ny * (0 - ay) <= 0:
            continue
        texture = front if front is not None and i == 0 else side
        layout.faces.append(
            Face(
                (ax, ay, z + h),
                (bx - ax, by - ay, 0.0),
                (0.0, 0.0, -h),
                texture,
                (nx / length, ny / length, 0.0),
            )
        )
    (ax, ay), (bx, by), (dx, dy) = corners[0], corners[1], corners[3]
    cap = top if top is not None else (side[:24, :24] if side.shape[0] > 24 else side)
    layout.faces.append(
        Face((dx, dy, z + h), (bx - ax, by - ay, 0.0), (ax - dx, ay - dy, 0.0), cap, (0, 0, 1.0))
    )
    if solid:
        layout.solids.append(Solid(x, y, w / 2, d / 2, yaw, z + h))


def cylinder(
    layout: Layout,
    rng: np.random.Generator,
    x: float,
    y: float,
    radius: float,
    height: float,
    colour: Colour,
    *,
    sides: int = 14,
    band: Colour | None = None,
) -> None:
    """Add an upright cylinder as a prism, with one optional band of another colour."""
    texture = textures.plain(rng, colour, 48, 0.1)
    if band is not None:
        texture = texture.copy()
        texture[20:27] = band
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    for i in range(sides):
        a, b = angles[i], angles[(i + 1) % sides]
        ax, ay = x + radius * math.cos(a), y + radius * math.sin(a)
        bx, by = x + radius * math.cos(b), y + radius * math.sin(b)
        m = (a + (b if b > a else b + 2 * math.pi)) / 2
        nx, ny = math.cos(m), math.sin(m)
        if nx * -ax + ny * -ay <= 0:
            continue
        layout.faces.append(
            Face((ax, ay, height), (bx - ax, by - ay, 0), (0, 0, -height), texture, (nx, ny, 0.0))
        )
    r = radius * 0.98
    lid = np.dstack([texture[:32, :32], np.zeros((32, 32), np.uint8)])
    cv_y, cv_x = np.mgrid[0:32, 0:32]
    lid[..., 3] = np.where(np.hypot(cv_x - 15.5, cv_y - 15.5) <= 16, 255, 0)
    layout.faces.append(Face((x - r, y + r, height), (2 * r, 0, 0), (0, -2 * r, 0), lid, (0, 0, 1.0)))
    layout.solids.append(Solid(x, y, radius, radius, 0.0, height))


def billboard(layout: Layout, x: float, y: float, width: float, height: float, image: Image) -> None:
    """Add a flat picture (BGRA) that faces the camera."""
    away = math.hypot(x, y) or 1.0
    rx, ry = y / away, -x / away
    layout.faces.append(
        Face(
            (x - rx * width / 2, y - ry * width / 2, height),
            (rx * width, ry * width, 0.0),
            (0.0, 0.0, -height),
            image,
            (-x / away, -y / away, 0.3),
        )
    )
    layout.solids.append(Solid(x, y, width * 0.4, 0.2, math.atan2(ry, rx), height * 0.9))


def truck(layout: Layout, rng: np.random.Generator, x: float, y: float, yaw: float) -> None:
    """A lorry of about 8 m: red and orange ones are on purpose among the colours."""
    paint: list[Colour] = [(35, 35, 175), (30, 110, 215), (190, 190, 190), (140, 80, 30), (60, 120, 60)]
    cab, cargo = paint[int(rng.integers(0, 5))], paint[int(rng.integers(0, 5))]
    c, s = math.cos(yaw), math.sin(yaw)
    box(layout, rng, x, y, (5.6, 2.4, 2.4), textures.corrugated(rng, cargo, 30), yaw=yaw, z=0.9)
    box(layout, rng, x, y, (7.6, 2.0, 0.5), (40, 40, 40), yaw=yaw, z=0.45, solid=False)
    front = textures.plain(rng, cab, 48)
    front[8:24, 5:43] = (70, 60, 50)
    box(layout, rng, x + 3.9 * c, y + 3.9 * s, (1.8, 2.3, 2.5), front, yaw=yaw, z=0.5)
    for along in (-2.2, 0.6, 3.6):
        for across in (-1.1, 1.1):
            wx, wy = x + along * c - across * s, y + along * s + across * c
            box(layout, rng, wx, wy, (1.0, 0.25, 1.0), (25, 25, 25), yaw=yaw, solid=False)


def barrels(layout: Layout, rng: np.random.Generator, x: float, y: float) -> None:
    paint: list[Colour] = [(140, 80, 25), (30, 30, 160), (40, 120, 200), (60, 110, 40), (90, 90, 90)]
    colour = paint[int(rng.integers(0, 5))]
    for i in range(int(rng.integers(2, 6))):
        bx, by = x + (i % 3) * 0.68, y + (i // 3) * 0.68
        cylinder(layout, rng, bx, by, 0.3, 0.9, colour, sides=10, band=(200, 200, 200))


def pallets(layout: Layout, rng: np.random.Generator, x: float, y: float) -> None:
    yaw = float(rng.uniform(0, 3.1))
    wood: Colour = (85, 125, 160)
    tall = float(rng.uniform(0.3, 1.8))
    cover: list[Colour] = [wood, (200, 200, 200), (140, 110, 40), (40, 90, 230), (60, 150, 60)]
    box(layout, rng, x, y, (1.2, 1.0, 0.15), wood, yaw=yaw)
    colour = cover[int(rng.integers(0, 5))]
    box(layout, rng, x, y, (1.1, 0.95, tall), textures.plain(rng, colour, 48, 0.3), yaw=yaw, z=0.15)


def container(layout: Layout, rng: np.random.Generator, x: float, y: float, yaw: float) -> None:
    paint: list[Colour] = [(45, 60, 150), (130, 80, 30), (60, 110, 60), (150, 150, 145), (35, 100, 200)]
    surface = textures.corrugated(rng, paint[int(rng.integers(0, 5))], 40)
    levels = 1 + int(rng.random() < 0.3)
    for level in range(levels):
        box(layout, rng, x, y, (6.1, 2.45, 2.6), surface, yaw=yaw, z=2.6 * level)


def clutter(
    layout: Layout,
    rng: np.random.Generator,
    count: int,
    half: float,
    near: float,
    far: float,
    things: list[Callable[[Layout, np.random.Generator, float, float], None]],
) -> None:
    """Stand things left and right of a free middle lane, none inside another."""
    for _ in range(count * 3):
        if count <= 0:
            return
        y = float(rng.uniform(near, far))
        side = 1 if rng.random() < 0.5 else -1
        x = side * float(rng.uniform(0.3, 0.95)) * half * y
        if any(solid.holds(x, y, 2.0) for solid in layout.solids):
            continue
        things[int(rng.integers(0, len(things)))](layout, rng, x, y)
        count -= 1


def _truck_any(layout: Layout, rng: np.random.Generator, x: float, y: float) -> None:
    truck(layout, rng, x, y, float(rng.uniform(0, 6.28)))


def _container_any(layout: Layout, rng: np.random.Generator, x: float, y: float) -> None:
    container(layout, rng, x, y, float(rng.choice([0.0, 1.57, 0.3, 1.2])))


def backdrop(layout: Layout, rng: np.random.Generator, half: float, y: float) -> None:
    """A row of buildings and trees across the end of the view."""
    x = -half * y * 1.3
    while x < half * y * 1.3:
        w, h = float(rng.uniform(10, 28)), float(rng.uniform(4, 13))
        d = y + float(rng.uniform(0, 14))
        tone = float(rng.uniform(0.6, 1.1))
        base: Colour = [(175, 185, 190), (150, 170, 195), (190, 170, 150), (120, 140, 170)][
            int(rng.integers(0, 4))
        ]
        colour = (int(base[0] * tone), int(base[1] * tone), int(base[2] * tone))
        if rng.random() < 0.55:
            surface = textures.facade(rng, colour, int(w // 3) + 1, max(1, int(h // 3.2)), True)
        else:
            surface = textures.corrugated(rng, colour, int(w * 2))
        if rng.random() < 0.8:
            box(layout, rng, x + w / 2, d + 6, (w, 12, h), surface)
            if rng.random() < 0.5:
                door = textures.shutter(rng, (150, 140, 130))
                box(layout, rng, x + w / 2, d - 0.1, (4.5, 0.1, 4), door, solid=False)
        x += w + float(rng.uniform(0, 8))
    for _ in range(int(rng.integers(2, 9))):
        tx, ty = float(rng.uniform(-half, half)) * y, y - float(rng.uniform(1, 4))
        tall = float(rng.uniform(3, 8))
        billboard(layout, tx, ty, tall * 0.8, tall, textures.foliage(rng))


def fence(layout: Layout, rng: np.random.Generator, half: float, y: float) -> None:
    w = half * y * 2.4
    if rng.random() < 0.5:
        image = textures.mesh(int(w // 3) + 1)
        layout.faces.append(Face((-w / 2, y, 2.2), (w, 0, 0), (0, 0, -2.2), image, (0, -1.0, 0)))
    else:
        wall = textures.bricks(rng) if rng.random() < 0.5 else textures.plain(rng, (180, 185, 190))
        box(layout, rng, 0, y, (w, 0.3, 2.3), np.tile(wall, (1, 6, 1)))


def poles(layout: Layout, rng: np.random.Generator, half: float, far: float) -> None:
    for _ in range(int(rng.integers(1, 4))):
        y = float(rng.uniform(14, far))
        x = (1 if rng.random() < 0.5 else -1) * float(rng.uniform(0.55, 0.95)) * half * y
        tall = float(rng.uniform(6, 9))
        cylinder(layout, rng, x, y, 0.09, tall, (120, 120, 120), sides=8)
        warm = rng.random() < 0.6
        colour: Colour = (120, 190, 255) if warm else (255, 245, 235)
        layout.lamps.append(Lamp(x, y - 0.4, tall, 9.0, colour, 1.6))


def yard(rng: np.random.Generator, height: float, half: float) -> Layout:
    layout = Layout("concrete" if rng.random() < 0.6 else "asphalt")
    end = float(rng.uniform(55, 90))
    backdrop(layout, rng, half, end)
    if rng.random() < 0.7:
        fence(layout, rng, half, end - float(rng.uniform(4, 14)))
    if rng.random() < 0.6:
        side = 1 if rng.random() < 0.5 else -1
        colour: Colour = (160, 165, 165) if rng.random() < 0.5 else (190, 160, 120)
        surface = textures.corrugated(rng, colour, 60)
        box(layout, rng, side * (half * 22 + 9), 30, (12, 44, float(rng.uniform(5, 9))), surface)
    clutter(
        layout, rng, int(rng.integers(5, 12)), half, 12, end - 8,
        [_truck_any, _container_any, barrels, pallets, pallets, barrels],
    )  # fmt: skip
    poles(layout, rng, half, end - 10)
    layout.walkways.append((-half * 20, 20, half * 24, 28))
    layout.walkways.append((half * 8, 12, -half * 20, 38))
    return layout


def gate(rng: np.random.Generator, height: float, half: float) -> Layout:
    layout = Layout("asphalt")
    end = float(rng.uniform(50, 80))
    backdrop(layout, rng, half, end)
    lane = float(rng.uniform(3.0, 4.0))
    for x in (-lane, lane):
        layout.lines.append((x, 0, x, end, 0.15, (210, 210, 210)))
    for dash in np.arange(4, end, 6):
        layout.lines.append((0, float(dash), 0, float(dash) + 3, 0.13, (200, 210, 215)))
    at = float(rng.uniform(16, 26))
    side = 1 if rng.random() < 0.5 else -1
    hut = textures.facade(rng, (190, 190, 195), 3, 1, True)
    box(layout, rng, side * (lane + 2.4), at, (3, 3.2, 3), hut)
    arm = textures.striped((30, 30, 200), (230, 230, 230))
    box(layout, rng, side * 0.2, at, (lane * 1.9, 0.12, 0.14), arm, z=1.0, solid=False)
    for wing in (-1, 1):
        width = half * at * 1.2
        wall = textures.bricks(rng, (90, 100, 130))
        box(layout, rng, wing * (lane + 4.4 + width / 2), at + 2, (width, 0.4, 2.4), np.tile(wall, (1, 3, 1)))
    clutter(layout, rng, int(rng.integers(2, 6)), half, 12, end - 6, [_truck_any, pallets, barrels])
    poles(layout, rng, half, end - 8)
    layout.walkways.append((-lane - 1, 10, -lane - 1, 45))
    return layout


def road(rng: np.random.Generator, height: float, half: float) -> Layout:
    layout = Layout("asphalt")
    lane = 3.5
    for x, dash in ((-2 * lane, False), (-lane, True), (0.0, False), (lane, True), (2 * lane, False)):
        if dash:
            for at in np.arange(3, 90, 6):
                layout.lines.append((x, float(at), x, float(at) + 2.5, 0.14, (205, 205, 205)))
        else:
            layout.lines.append((x, 0, x, 110, 0.15, (90, 190, 215) if x == 0 else (205, 205, 205)))
    y = float(rng.uniform(8, 14))
    while y < 85:
        for side in (-1, 1):
            w, h = float(rng.uniform(7, 15)), float(rng.uniform(3.5, 12))
            tone = float(rng.uniform(0.6, 1.1))
            colour = (int(170 * tone), int(180 * tone), int(195 * tone))
            surface = textures.facade(rng, colour, 4, max(1, int(h // 3)), True)
            box(layout, rng, side * (2 * lane + 4.5 + 4), y + w / 2, (8, w, h), surface)
            board: Colour = [(40, 40, 190), (160, 90, 30), (60, 140, 60), (40, 160, 220)][
                int(rng.integers(0, 4))
            ]
            sign = textures.plain(rng, board, 48, 0.05)
            box(
                layout, rng, side * (2 * lane + 4.4), y + w / 2, (0.1, w * 0.8, 0.9), sign, z=2.8, solid=False
            )
        y += 15 + float(rng.uniform(0, 3))
    for _ in range(int(rng.integers(2, 7))):
        ty, side = float(rng.uniform(14, 70)), 1 if rng.random() < 0.5 else -1
        tall = float(rng.uniform(3, 6))
        billboard(layout, side * (2 * lane + 1.5), ty, tall * 0.8, tall, textures.foliage(rng))
    for _ in range(int(rng.integers(1, 5))):
        ty, side = float(rng.uniform(15, 65)), 1 if rng.random() < 0.5 else -1
        if not any(s.holds(side * lane * 1.5, ty, 5) for s in layout.solids):
            truck(layout, rng, side * lane * 1.5, ty, 1.57 * side)
    poles(layout, rng, half, 60)
    layout.walkways.append((-2 * lane - 1.2, 10, -2 * lane - 1.2, 60))
    layout.walkways.append((2 * lane + 1.2, 60, 2 * lane + 1.2, 10))
    return layout


def tank_farm(rng: np.random.Generator, height: float, half: float) -> Layout:
    layout = Layout("concrete")
    end = float(rng.uniform(70, 100))
    backdrop(layout, rng, half, end)
    radius = float(rng.uniform(3.0, 6.0))
    for row in range(3):
        y = 26 + row * radius * 3
        for side in (-1, 1):
            x = side * (radius + float(rng.uniform(3.5, 6)))
            tone = int(rng.integers(170, 225))
            cylinder(
                layout,
                rng,
                x,
                y,
                radius,
                float(rng.uniform(5, 9)),
                (tone, tone, tone),
                sides=20,
                band=(50, 50, 160) if rng.random() < 0.3 else None,
            )
            cylinder(
                layout,
                rng,
                x + side * radius * 2.6,
                y,
                radius,
                float(rng.uniform(5, 9)),
                (tone, tone, tone),
                sides=20,
            )
    for side in (-1, 1):
        box(layout, rng, side * 2.6, 26 + radius * 3, (0.3, radius * 9, 0.6), (150, 155, 160))
        for z in (0.5, 0.8):
            box(
                layout,
                rng,
                side * 2.2,
                26 + radius * 3,
                (0.18, radius * 9, 0.16),
                (170, 170, 175),
                z=z,
                solid=False,
            )
    clutter(layout, rng, int(rng.integers(2, 6)), half, 10, 22, [barrels, pallets])
    poles(layout, rng, half, 50)
    layout.walkways.append((-half * 12, 14, half * 12, 18))
    return layout


def hall(rng: np.random.Generator, width: float, far: float, tall: float, wall: Colour) -> Layout:
    """A room around the camera: floor, three walls in view, ceiling, rows of lamps."""
    layout = Layout("floor")
    layout.room = (-width / 2, width / 2, far, tall)
    side = textures.corrugated(rng, wall, 60) if rng.random() < 0.5 else textures.plain(rng, wall, 96)
    dark: Colour = (int(wall[0] * 0.5), int(wall[1] * 0.5), int(wall[2] * 0.5))
    ceiling = textures.corrugated(rng, dark, 40)
    left, right = -width / 2, width / 2
    layout.faces += [
        Face((left, far, tall), (width, 0, 0), (0, 0, -tall), side, (0, -1.0, 0)),
        Face((left, -5, tall), (0, far + 5, 0), (0, 0, -tall), np.tile(side, (1, 3, 1)), (1.0, 0, 0)),
        Face((right, far, tall), (0, -far - 5, 0), (0, 0, -tall), np.tile(side, (1, 3, 1)), (-1.0, 0, 0)),
        Face((left, -5, tall), (width, 0, 0), (0, far + 5, 0), np.tile(ceiling, (3, 1, 1)), (0, 0, -1.0)),
    ]
    columns = max(1, int(width // 9))
    tube = np.full((8, 8, 3), 255, np.uint8)
    for i in range(columns):
        x = left + width * (i + 0.5) / columns
        for y in np.arange(5, far, float(rng.uniform(6, 9))):
            layout.lamps.append(Lamp(x, float(y), tall - 0.3, 8.0, (245, 250, 255), 1.0, False))
            layout.faces.append(
                Face(
                    (x - 0.2, float(y) - 0.8, tall - 0.32), (0.4, 0, 0), (0, 1.6, 0), tube, (0, 0, -1.0), True
                )
            )
    if rng.random() < 0.6:
        door = textures.shutter(rng, (160, 150, 140))
        x = float(rng.uniform(left + 4, right - 4)) if width > 10 else 0.0
        layout.faces.append(Face((x - 2, far - 0.05, 4), (4, 0, 0), (0, 0, -4), door, (0, -1.0, 0)))
    if rng.random() < 0.4:
        window = np.full((8, 32, 3), 240, np.uint8)
        window[:, ::8] = 90
        layout.faces.append(
            Face(
                (left + 1, far - 0.06, tall - 0.8),
                (width - 2, 0, 0),
                (0, 0, -1.0),
                window,
                (0, -1.0, 0),
                True,
            )
        )
    return layout


def shed(rng: np.random.Generator, height: float, half: float) -> Layout:
    width, far = float(rng.uniform(20, 34)), float(rng.uniform(38, 65))
    wall: Colour = [(170, 175, 178), (190, 180, 160), (150, 165, 150)][int(rng.integers(0, 3))]
    layout = hall(rng, width, far, max(height + 2.0, float(rng.uniform(7, 11))), wall)
    for side in (-1, 1):
        for y in np.arange(8, far - 4, 9):
            if rng.random() < 0.75:
                box(layout, rng, side * (width / 2 - 1.2), float(y) + 3, (1.4, 7.5, 4.5), textures.rack(rng))
    for x in (-3.2, 3.2):
        layout.lines.append((x, 3, x, far, 0.12, (40, 190, 225)))
    clutter(
        layout,
        rng,
        int(rng.integers(3, 9)),
        min(half, width / 2 / far),
        10,
        far - 6,
        [pallets, barrels, pallets],
    )
    layout.walkways.append((-2, 8, 2, far - 5))
    layout.walkways.append((4, far - 8, -5, 12))
    return layout


def workshop(rng: np.random.Generator, height: float, half: float) -> Layout:
    width, far = float(rng.uniform(14, 24)), float(rng.uniform(24, 42))
    layout = hall(rng, width, far, max(height + 1.5, 6.0), (165, 175, 180))
    paint: list[Colour] = [(90, 120, 60), (150, 110, 50), (130, 130, 130), (60, 110, 170), (50, 60, 160)]
    for side in (-1, 1):
        for y in np.arange(9, far - 3, 5.5):
            if rng.random() < 0.8:
                colour = paint[int(rng.integers(0, 5))]
                size = (
                    float(rng.uniform(1.2, 2.2)),
                    float(rng.uniform(1.5, 3)),
                    float(rng.uniform(1.1, 2.3)),
                )
                x = side * float(rng.uniform(0.55, 0.8)) * width / 2
                box(layout, rng, x, float(y), size, textures.plain(rng, colour, 48, 0.15))
                box(
                    layout,
                    rng,
                    x,
                    float(y),
                    (size[0] * 0.5, size[1] * 0.5, 0.5),
                    (60, 60, 60),
                    z=size[2],
                    solid=False,
                )
    for x in (-2.2, 2.2):
        layout.lines.append((x, 2, x, far, 0.1, (40, 190, 225)))
    clutter(layout, rng, int(rng.integers(1, 5)), width / 2 / far, 9, far - 4, [pallets, barrels])
    layout.walkways.append((-1.2, 7, 1.4, far - 4))
    return layout


def storeroom(rng: np.random.Generator, height: float, half: float) -> Layout:
    width, far = float(rng.uniform(9, 15)), float(rng.uniform(18, 32))
    layout = hall(rng, width, far, max(height + 1.0, 4.2), (185, 190, 195))
    for side in (-1, 1):
        for y in np.arange(5.5, far - 2, 4.2):
            if rng.random() < 0.9:
                box(
                    layout, rng, side * (width / 2 - 0.6), float(y) + 1.8, (1.0, 3.9, 2.6), textures.rack(rng)
                )
    clutter(layout, rng, int(rng.integers(1, 4)), width / 2 / far, 8, far - 3, [pallets])
    layout.walkways.append((-0.8, 6, 0.9, far - 3))
    return layout


BUILDERS: dict[SceneKind, Callable[[np.random.Generator, float, float], Layout]] = {
    "yard": yard,
    "gate": gate,
    "road": road,
    "tank_farm": tank_farm,
    "shed": shed,
    "workshop": workshop,
    "storeroom": storeroom,
}
