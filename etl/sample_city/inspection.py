"""What was checked in the sample city: visits, hazards, certificates, hot-work permits. Times are UTC, rhythm is local."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.sample_city import names
from etl.sample_city.duty import Duty
from etl.sample_city.planar import Floats, Ints
from etl.sample_city.sites import Sites
from etl.sample_city.watching import Cameras, KeyRiskAreas
from geoapp.access.sealing import hash_under

CHINA = timezone(timedelta(hours=8))
PATROL_DAYS = {"red": 30, "orange": 60, "yellow": 90, "blue": 182, None: 182}
"""Patrol minimums by hazard level, days."""
VISIT_COLUMNS = (
    "id:int8 site_id:int8 kind:text done_at:timestamptz person_id:int8 outcome:text is_generated:bool"
)
HAZARD_COLUMNS = (
    "id:int8 site_id:int8 class:text is_unlicensed_work:bool title_zh:text title_en:text found_at:timestamptz found_by:text"
    " deadline:timestamptz state:text closed_at:timestamptz is_generated:bool"
)
CERTIFICATE_COLUMNS = (
    "id:int8 site_id:int8 holder_name:text holder_hash:text certificate_hash:text job_class:text sub_item:text"
    " issuer_family:text issued_on:date review_due_on:date valid_to:date verified_at:timestamptz verified_result:text is_generated:bool"
)
PERMIT_COLUMNS = (
    "id:int8 permit_no:text site_id:int8 level:text geom:geometry starts_at:timestamptz ends_at:timestamptz"
    " certificate_id:int8 watcher:text status:text is_generated:bool"
)

_FOUND = {
    "general": (
        ("灭火器压力不足", "Extinguisher pressure low"), ("安全出口堆放杂物", "Goods stored in the exit"),
        ("配电箱未关闭", "Switchboard left open"), ("应急灯损坏", "Emergency light broken"), ("插座私拉乱接", "Loose wiring"),
        ("未张贴安全警示标志", "Safety sign missing"),
    ),
    "serious": (
        ("消防通道被占用", "Fire lane blocked"), ("可燃气体报警器失效", "Gas alarm out of order"),
        ("危化品混存", "Chemicals stored together"), ("除尘系统未清理", "Dust collector not cleaned"),
    ),
    "major": (
        ("有限空间作业未审批", "Confined-space work without approval"), ("可燃气体区域未设防爆电气", "No explosion-proof equipment"),
        ("粉尘作业区超员", "Too many people in a dust area"),
    ),
}  # fmt: skip
UNLICENSED = ("无证人员从事焊接作业", "Welding without a certificate")


@dataclass(frozen=True)
class Permits:
    """Permit rows, and for each its site index, time span (seconds since the epoch) and whether it was granted."""

    rows: list[tuple[object, ...]]
    site: Ints
    starts: Floats
    ends: Floats
    is_valid: NDArray[np.bool_]


def _local_midnight(as_of: datetime) -> float:
    return as_of.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(round(seconds), UTC)


def _series(
    sites: Ints,
    period_days: Floats,
    phase: Floats,
    horizon_days: float,
    as_of: datetime,
    skip: float,
    rng: np.random.Generator,
) -> tuple[Ints, Floats]:
    """Site and time of repeated visits: every `period_days`, in working hours, back to the horizon, none after as_of."""
    if len(sites) == 0:
        return np.empty(0, dtype=np.int64), np.empty(0)
    rounds = np.maximum(np.floor((horizon_days - phase * period_days) / period_days) + 1, 0).astype(int)
    owner = np.repeat(np.arange(len(sites)), rounds)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(rounds) - rounds, rounds)
    days = np.floor(
        (phase[owner] + nth) * period_days[owner] + rng.uniform(-0.12, 0.12, len(owner)) * period_days[owner]
    )
    at = _local_midnight(as_of) - np.maximum(days, 0) * 86400 + rng.triangular(8, 10.5, 18, len(owner)) * 3600
    kept = (at <= as_of.timestamp()) & (rng.random(len(owner)) >= skip)
    return sites[owner[kept]], at[kept]


def build_visits(
    sites: Sites, duty: Duty, cameras: Cameras, days: int, as_of: datetime, rng: np.random.Generator
) -> list[tuple[object, ...]]:
    """Patrols, self-checks, remote checks and a few inspections within their yearly caps.

    Deliberately: about one site in twelve is overdue for each kind, one in twenty never checks itself.
    Patrols reach back half a year, since that is the longest period due; the rest `days`.
    """
    count = len(sites.ids)
    every = np.arange(count)
    small = np.array([s is not None for s in sites.nine_small.tolist()])
    diligence = rng.random(count)
    parts: list[tuple[str, Ints, Floats]] = []

    self_checked = every[(small | sites.industrial) & (diligence > 0.05)]
    phase = np.where(
        diligence[self_checked] < 0.13,
        rng.uniform(1.5, 4, len(self_checked)),
        rng.uniform(0, 0.9, len(self_checked)),
    )
    parts.append(
        (
            "self_check",
            *_series(self_checked, np.where(small[self_checked], 7.0, 30.0), phase, days, as_of, 0.06, rng),
        )
    )

    period = np.array([PATROL_DAYS[level] for level in sites.level.tolist()], dtype=float)
    late = rng.random(count) < 0.09
    phase = np.where(late, rng.uniform(1.1, 2.2, count), rng.uniform(0, 0.95, count))
    parts.append(("patrol", *_series(every, period, phase, max(days, 200), as_of, 0.0, rng)))

    remote = np.unique(cameras.site[cameras.live])
    parts.append(
        (
            "remote_check",
            *_series(
                remote, np.full(len(remote), 10.0), rng.uniform(0, 1, len(remote)), days, as_of, 0.15, rng
            ),
        )
    )

    cap = np.array([row[17] for row in sites.rows], dtype=float)
    chosen = every[rng.random(count) < 0.45 * cap * days / 365]
    parts.append(
        (
            "admin_inspection",
            chosen,
            _local_midnight(as_of)
            - np.floor(rng.uniform(1, days, len(chosen))) * 86400
            + rng.uniform(9, 16.5, len(chosen)) * 3600,
        )
    )

    worker = np.where(sites.cell >= 0, duty.worker_of_cell[sites.cell], 0)
    rows: list[tuple[object, ...]] = []
    for kind, site, at in parts:
        outcome = rng.choice(["ok", "hazard", "unknown"], len(site), p=[0.93, 0.06, 0.01])
        if kind == "patrol":
            person = worker[site]
        elif kind == "admin_inspection":
            person = rng.choice(duty.officers, len(site))
        else:
            person = np.zeros(len(site), dtype=np.int64)
        order = np.argsort(at, kind="stable")
        rows += [
            (0, i, kind, _at(t), p or None, o, True)
            for i, t, p, o in zip(
                sites.ids[site[order]].tolist(),
                at[order].tolist(),
                person[order].tolist(),
                outcome[order].tolist(),
                strict=True,
            )
        ]
    return [(number, *row[1:]) for number, row in enumerate(rows, 1)]


@dataclass(frozen=True)
class CaughtWelding:
    """A past incident that people confirmed as hot work without a permit: who wrote what about it follows."""

    site_id: int
    seen_at: datetime


def build_hazards(
    sites: Sites, caught: list[CaughtWelding], days: int, as_of: datetime, rng: np.random.Generator
) -> list[tuple[object, ...]]:
    """Hazards found over the period: most closed, some open, overdue or rejected; a few major ones open.

    Open major hazards stand at about one site in 130 (three at least), a third of them unlicensed welding. Each
    welder caught by a camera becomes a major hazard within hours, accepted within days; the newest are open.
    """
    now = as_of.timestamp()
    count = max(30, round(0.3 * len(sites.ids)))
    heavy = np.where(sites.industrial, 3.0, 1.0)
    # Trouble gathers: the sites with a major hazard are dangerous ones, and leave three lesser ones overdue as well.
    grade = np.array([{"red": 3.0, "orange": 2.0}.get(level or "", 0.0) for level in sites.level.tolist()])
    crowd = np.bincount(sites.cell + 1)[sites.cell + 1]
    people = np.array([row[10] for row in sites.rows], dtype=float)
    # Large ones that stand alone: a cell's colour is then theirs.
    rank = (
        grade
        + 0.8 * np.log10(people + 1)
        - 0.7 * np.log(crowd)
        + np.where(sites.industrial, 2.0, 0.0)
        + rng.uniform(0, 2, len(grade))
    )
    major = np.argsort(-rank, kind="stable")[: max(3, len(sites.ids) // 130)]
    left = np.repeat(major, 3)
    site_id = sites.ids[np.r_[rng.choice(len(sites.ids), count, p=heavy / heavy.sum()), left, major]]
    kind = np.r_[
        rng.choice(["general", "serious"], count, p=[0.84, 0.16]),
        np.tile(["serious", "serious", "general"], len(major)),
        np.full(len(major), "major"),
    ]
    age = np.r_[
        rng.uniform(0.2, days, count), rng.uniform(16, 34, len(left)), rng.uniform(0.3, 12, len(major))
    ]
    found = now - 86400 * age
    total = len(found)
    unlicensed = (kind == "major") & (np.arange(total) % 3 == total % 3)
    deadline = found + 86400 * np.select([kind == "major", kind == "serious"], [3.0, 7.0], 15.0)
    is_closed = (np.arange(total) < count) & (
        rng.random(total) < np.where(now - found > 20 * 86400, 0.9, 0.35)
    )
    closed = np.minimum(now - 60, found + rng.uniform(0.1, 1.3, total) * (deadline - found))
    state = rng.choice(
        ["found", "assigned", "fixing", "submitted", "rejected"], total, p=[0.15, 0.2, 0.4, 0.17, 0.08]
    )
    by = rng.choice(
        ["patrol", "self_check", "remote_check", "admin_inspection", "public"],
        total,
        p=[0.42, 0.31, 0.08, 0.12, 0.07],
    )
    pick = rng.integers(0, 1000, total)

    rows: list[tuple[object, ...]] = []
    for i in range(total):
        words = _FOUND[str(kind[i])]
        zh, en = UNLICENSED if unlicensed[i] else words[int(pick[i]) % len(words)]
        rows.append(
            (0, int(site_id[i]), str(kind[i]), bool(unlicensed[i]), zh, en, _at(found[i]), str(by[i]), _at(deadline[i]),
             "verified_closed" if is_closed[i] else str(state[i]), _at(closed[i]) if is_closed[i] else None, True)
        )  # fmt: skip
    for case in caught:
        written = case.seen_at + timedelta(hours=float(rng.uniform(0.6, 4)))
        accepted = written + timedelta(days=float(rng.uniform(2, 12)))
        over = accepted < as_of - timedelta(hours=1)
        rows.append(
            (0, case.site_id, "major", True, *UNLICENSED, min(written, as_of), "incident", written + timedelta(days=3),
             "verified_closed" if over else "fixing", accepted if over else None, True)
        )  # fmt: skip
    rows.sort(key=lambda row: (str(row[6]), str(row[1])))
    return [(number, *row[1:]) for number, row in enumerate(rows, 1)]


def build_certificates(
    sites: Sites, as_of: date, seed: int, rng: np.random.Generator
) -> list[tuple[object, ...]]:
    """Special operation certificates at industrial sites: hashes only, most verified as valid, some not verified."""
    rows: list[tuple[object, ...]] = []
    jobs = (("焊接与热切割作业", "熔化焊接与热切割作业", "MEM"), ("电工作业", "低压电工作业", "MEM"), ("高处作业", "登高架设作业", "MEM"),
            ("焊接与热切割作业", "建筑焊工", "MOHURD"), ("特种设备作业", "锅炉压力容器焊接", "SAMR"))  # fmt: skip
    for site in np.flatnonzero(sites.industrial & (rng.random(len(sites.ids)) < 0.7)).tolist():
        for _ in range(int(rng.integers(1, 4))):
            number = len(rows) + 1
            job, item, issuer = jobs[int(rng.choice(5, p=[0.4, 0.3, 0.12, 0.1, 0.08]))]
            issued = as_of - timedelta(days=int(rng.integers(30, 2300)))
            result = rng.choice(
                ["valid", "expired", "wrong_scope", "not_found", ""], p=[0.7, 0.07, 0.03, 0.02, 0.18]
            )
            valid_to = issued + timedelta(days=6 * 365 + 1)
            if result == "valid" and valid_to < as_of:
                result = "expired"
            rows.append(
                (
                    number, int(sites.ids[site]), f"{names.SURNAMES[int(rng.integers(len(names.SURNAMES)))]}某某",
                    _hash(seed, "holder", number), _hash(seed, "certificate", number), job, item, issuer, issued,
                    issued + timedelta(days=3 * 365), valid_to,
                    None if result == "" else datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC) - timedelta(days=int(rng.integers(1, 200))),
                    None if result == "" else str(result), True,
                )
            )  # fmt: skip
    return rows


def _hash(seed: int, what: str, number: int) -> str:
    """A keyed hash as the register has it, of a number that nobody bears.

    The key comes from the seed and not from the installation's key file: the sample city must be the same wherever it
    is made, and there is no person behind these numbers whom a secret key would protect.
    """
    demo_key = hashlib.sha256(f"geoapp sample city {seed}: demo key, not a secret".encode()).digest()
    return hash_under(demo_key, f"{what} {number}")


def build_permits(
    sites: Sites,
    areas: KeyRiskAreas,
    cameras: Cameras,
    certificates: list[tuple[object, ...]],
    days: int,
    as_of: datetime,
    rng: np.random.Generator,
) -> Permits:
    """Hot-work permits: about one live camera in eight looks at one that is active now, for about a day; the rest are past."""
    now = as_of.timestamp()
    live = np.flatnonzero(cameras.live)
    # An area seen by the camera, else the ground in front of it.
    current = live[:: max(1, len(live) // max(2, len(live) // 8))] if len(live) else live
    holders: dict[int, int] = {}
    for row in certificates:
        if row[5] == "焊接与热切割作业" and row[12] == "valid":
            holders.setdefault(int(str(row[1])), int(str(row[0])))
    area_of_site: dict[int, int] = {int(s): i for i, s in enumerate(areas.site.tolist())}
    industrial = np.flatnonzero(sites.industrial)
    past = rng.choice(industrial, max(8, round(len(industrial) * days / 160)))
    past = np.r_[np.repeat(np.unique(cameras.site[live]), 2 + days // 12), past]

    spans: list[tuple[int, float, float, str, str, shapely.Polygon]] = []
    midnight = _local_midnight(as_of)
    for site in past.tolist():
        start = midnight - float(rng.integers(1, max(days, 2))) * 86400 + float(rng.uniform(7.5, 13.5)) * 3600
        level = str(rng.choice(["special", "first", "second"], p=[0.08, 0.32, 0.6]))
        end = start + float(rng.uniform(3, 8) if level != "second" else rng.uniform(8, 60)) * 3600
        if end > now - 3600:
            start, end = start - 3 * 86400, end - 3 * 86400
        spans.append(
            (
                site,
                start,
                end,
                level,
                "void" if rng.random() < 0.04 else "closed",
                _work_place(site, sites, areas, area_of_site),
            )
        )
    for camera in current.tolist():
        start = now - float(rng.uniform(0.5, 4)) * 3600
        area = int(cameras.area[camera])
        seen = cameras.sectors[camera]
        # Work that the camera can see: its area, or where it does not show that, the ground before it.
        if area >= 0 and shapely.area(shapely.intersection(areas.geoms[area], seen)) > 0.3 * shapely.area(
            areas.geoms[area]
        ):
            place = shapely.buffer(areas.geoms[area], 4, join_style="mitre")
        else:
            place = shapely.buffer(shapely.centroid(seen), 18, quad_segs=4)
        spans.append(
            (
                int(cameras.site[camera]),
                start,
                start + float(rng.uniform(22, 27)) * 3600,
                "second",
                "active",
                place,
            )
        )
    # One that waits for its approval, so that a draft is not taken for a permit.
    spans.append(
        (
            int(industrial[0]),
            now + 7200,
            now + 7 * 3600,
            "first",
            "draft",
            _work_place(int(industrial[0]), sites, areas, area_of_site),
        )
    )
    spans.sort(key=lambda s: (s[1], s[0]))
    rows: list[tuple[object, ...]] = []
    for number, (site, start, end, level, status, place) in enumerate(spans, 1):
        watcher = f"{names.SURNAMES[number % len(names.SURNAMES)]}某某"
        rows.append(
            (number, f"金动火〔{_at(start).year}〕{number:05d}号", int(sites.ids[site]), level, place, _at(start), _at(end),
             holders.get(int(sites.ids[site])), watcher, status, True)
        )  # fmt: skip
    return Permits(
        rows,
        np.array([span[0] for span in spans]),
        np.array([span[1] for span in spans]),
        np.array([span[2] for span in spans]),
        np.array([span[4] in ("active", "closed") for span in spans]),
    )


def _work_place(
    site: int, sites: Sites, areas: KeyRiskAreas, area_of_site: dict[int, int]
) -> shapely.Polygon:
    if site in area_of_site:
        return shapely.buffer(areas.geoms[area_of_site[site]], 4, join_style="mitre")
    return shapely.buffer(shapely.points(sites.points[site]), 22, quad_segs=4)
