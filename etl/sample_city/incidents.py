"""Past incidents of the sample city: closed, reviewed or not, with the rhythm of a working district. Times are UTC.

They are flagged generated with model hash "generated", have no frames, and no observation rows stand behind them:
a watch that did not run must not claim to have looked.
"""

import uuid
from datetime import UTC, datetime, timedelta

import numpy as np
import shapely

from etl.sample_city import facts
from etl.sample_city.inspection import CHINA, CaughtWelding, Permits
from etl.sample_city.sites import Sites
from etl.sample_city.terrain import Terrain
from etl.sample_city.watching import HEIGHT_PX, WIDTH_PX, Cameras, KeyRiskAreas, _cell_at, ellipse_polygon

PER_CAMERA_AND_DAY = 0.2
MODEL_HASH = "generated"
COLUMNS = (
    "id:uuid class:text camera_id:int8 state:text review:text review_reason:text reviewed_at:timestamptz reviewed_by:text"
    " first_seen_at:timestamptz last_seen_at:timestamptz opened_at:timestamptz closed_at:timestamptz peak_score:float8"
    " observation_count:int4 model_hash:text box:float8[] geom:geometry placing_method:text ellipse:geometry"
    " semi_major_m:float8 semi_minor_m:float8 rotation_deg:float8 cell_code:text town_code:text site_id:int8"
    " key_risk_area_id:int8 permit_id:int8 is_generated:bool"
)
# Weight of each local hour, work (welding, sparks) and fire or smoke; of each weekday from Monday.
_WORK_HOURS = np.array(
    [1, 1, 1, 1, 1, 2, 5, 14, 30, 34, 30, 14, 12, 28, 32, 30, 24, 14, 8, 6, 4, 3, 2, 1], float
)
_FIRE_HOURS = np.array(
    [4, 3, 3, 3, 3, 4, 6, 8, 9, 9, 10, 11, 10, 9, 9, 10, 12, 14, 14, 12, 10, 8, 6, 5], float
)
_WEEKDAYS = np.array([1.1, 1.15, 1.1, 1.1, 1.05, 0.75, 0.45])
CLASSES = ("welding_arc", "sparks", "smoke", "fire")
HOT_WORK = ("welding_arc", "sparks")
_CLASS_SHARE = (0.44, 0.2, 0.22, 0.14)
_WHY_FALSE = ("灯光", "夕阳", "车灯", "水蒸气", "反光", "粉尘")


def build_incidents(
    sites: Sites,
    areas: KeyRiskAreas,
    cameras: Cameras,
    permits: Permits,
    terrain: Terrain,
    days: int,
    as_of: datetime,
    rng: np.random.Generator,
) -> list[tuple[object, ...]]:
    """About one incident per live camera in five days, none in the last two hours; all closed."""
    live = np.flatnonzero(cameras.live)
    count = round(PER_CAMERA_AND_DAY * len(live) * days)
    if count == 0:
        return []
    # Some cameras see far more than others.
    busy = rng.lognormal(0, 0.8, len(live))
    camera = rng.choice(live, count, p=busy / busy.sum())
    kind = rng.choice(len(CLASSES), count, p=_CLASS_SHARE)
    first = _under_permits(_moments(kind, days, as_of, rng), kind, cameras.site[camera], permits, as_of, rng)
    order = np.argsort(first, kind="stable")
    camera, kind, first = camera[order], kind[order], first[order]
    place = _places(camera, cameras, rng)
    cell = _cell_at(place, terrain)
    inside = (cameras.area[camera] >= 0) & shapely.contains_xy(
        areas.geoms[np.maximum(cameras.area[camera], 0)], place[:, 0], place[:, 1]
    )
    ids = rng.integers(0, 256, (count, 16), dtype=np.uint8)
    rows: list[tuple[object, ...]] = []
    for i in range(count):
        view = cameras.rows[camera[i]]
        name = CLASSES[int(kind[i])]
        seen_for = float(rng.gamma(2.0, 70.0)) + 10
        begin = datetime.fromtimestamp(round(first[i]), UTC)
        end = begin + timedelta(seconds=round(seen_for))
        permit = _permit_at(int(cameras.site[camera[i]]), begin.timestamp(), permits)
        review, reason = _review(name, permit, as_of - end, rng)
        reviewed = (
            None if review == "unreviewed" else end + timedelta(seconds=round(float(rng.gamma(2, 400))))
        )
        major, minor, rotation = _ellipse(place[i] - cameras.points[camera[i]], float(str(view[5])))
        width, height = rng.uniform(18, 120, 2)
        left, top = rng.uniform(0, WIDTH_PX - width), rng.uniform(HEIGHT_PX * 0.25, HEIGHT_PX - height)
        rows.append(
            (
                uuid.UUID(bytes=ids[i].tobytes(), version=4), name, int(cameras.ids[camera[i]]), "closed", review, reason,
                reviewed, None if reviewed is None else "样例值班员", begin, end, begin + timedelta(seconds=8),
                end + timedelta(minutes=15), round(float(rng.beta(6, 3)), 3), max(2, round(seen_for / float(str(view[16])))),
                MODEL_HASH, [round(float(v), 1) for v in (left, top, left + width, top + height)],
                (float(place[i, 0]), float(place[i, 1])), "pose_ray",
                ellipse_polygon(float(place[i, 0]), float(place[i, 1]), major, minor, rotation), major, minor, rotation,
                None if cell[i] < 0 else str(terrain.cell_codes[cell[i]]), facts.TOWNS[int(cameras.town[camera[i]])].code,
                int(sites.ids[cameras.site[camera[i]]]), int(areas.ids[cameras.area[camera[i]]]) if inside[i] else None,
                permit if review == "permitted" else None, True,
            )
        )  # fmt: skip
    return rows


def caught_welding(rows: list[tuple[object, ...]]) -> list[CaughtWelding]:
    """The incidents that were confirmed as hot work without a permit."""
    return [
        CaughtWelding(int(str(row[24])), row[9])
        for row in rows
        if row[1] in HOT_WORK and row[4] == "confirmed" and isinstance(row[9], datetime)
    ]


def _moments(kind: np.ndarray, days: int, as_of: datetime, rng: np.random.Generator) -> np.ndarray:
    midnight = as_of.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    back = np.arange(0, days + 1)
    weight = _WEEKDAYS[[(midnight - timedelta(days=int(b))).weekday() for b in back]]
    day = rng.choice(back, len(kind), p=weight / weight.sum())
    hour = np.where(
        kind < 2,
        rng.choice(24, len(kind), p=_WORK_HOURS / _WORK_HOURS.sum()),
        rng.choice(24, len(kind), p=_FIRE_HOURS / _FIRE_HOURS.sum()),
    )
    at = midnight.timestamp() - day * 86400 + (hour + rng.random(len(kind))) * 3600
    # What would lie in the future, or within the last two hours, happened a week earlier.
    return np.where(at > as_of.timestamp() - 2 * 3600, at - 7 * 86400, at)


def _places(camera: np.ndarray, cameras: Cameras, rng: np.random.Generator) -> np.ndarray:
    """A point inside each camera's sector: between its middle and a corner (a sector is convex)."""
    sectors = cameras.sectors[camera]
    middle = shapely.get_coordinates(shapely.centroid(sectors))
    number = shapely.get_num_coordinates(sectors)
    first = np.r_[0, np.cumsum(number)[:-1]]
    corner = shapely.get_coordinates(sectors)[first + np.floor(rng.random(len(camera)) * number).astype(int)]
    return np.asarray(
        np.round(middle + 0.7 * np.sqrt(rng.random(len(camera)))[:, None] * (corner - middle), 3)
    )


def _permit_at(site: int, at: float, permits: Permits) -> int | None:
    found = np.flatnonzero(
        permits.is_valid & (permits.site == site) & (permits.starts <= at) & (permits.ends >= at)
    )
    return int(str(permits.rows[found[0]][0])) if len(found) else None


def _review(
    name: str, permit: int | None, age: timedelta, rng: np.random.Generator
) -> tuple[str, str | None]:
    """What the duty officer made of it; what happened in the last day and a half may still wait."""
    if rng.random() < (0.3 if age < timedelta(hours=36) else 0.015):
        return "unreviewed", None
    if permit is not None and name in HOT_WORK:
        return "permitted", "有效动火票"
    # Hot work without a permit is rare, and each case is followed up: see inspection.build_hazards.
    if rng.random() < (0.06 if name in HOT_WORK else 0.2):
        return "confirmed", None
    return "false", str(rng.choice(_WHY_FALSE))


def _under_permits(
    at: np.ndarray,
    kind: np.ndarray,
    site: np.ndarray,
    permits: Permits,
    as_of: datetime,
    rng: np.random.Generator,
) -> np.ndarray:
    """Times (seconds), a good part of hot work moved into a permit of its site that is over by now."""
    moved = at.copy()
    for i in np.flatnonzero((kind < len(HOT_WORK)) & (rng.random(len(at)) < 0.55)).tolist():
        own = np.flatnonzero(
            permits.is_valid & (permits.site == site[i]) & (permits.ends < as_of.timestamp() - 3 * 3600)
        )
        if len(own):
            chosen = int(rng.choice(own))
            span = min(permits.ends[chosen] - permits.starts[chosen], 6 * 3600) - 900
            moved[i] = permits.starts[chosen] + rng.random() * span
    return moved


def _ellipse(offset: np.ndarray, height_m: float) -> tuple[float, float, float]:
    """Half axes (m) and rotation of the 95 % ellipse at an offset from the camera: 0.5 deg of tilt, 2 deg of azimuth."""
    reach = max(float(np.hypot(*offset)), 1.0)
    scale = np.sqrt(5.991)
    along = scale * np.hypot((reach**2 + height_m**2) / height_m * np.radians(0.5), 0.2 * reach / height_m)
    across = scale * reach * np.radians(2.0)
    bearing = float(np.degrees(np.arctan2(offset[0], offset[1]))) % 180
    if across > along:
        return round(float(across), 2), round(float(along), 2), round((bearing + 90) % 180, 1)
    return round(float(along), 2), round(float(across), 2), round(bearing, 1)
