"""Where the next cameras would close most: asks analysis.next_cameras, and writes its answer as a table or GeoJSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

Row = Mapping[str, Any]
ORIGINS = {
    "outline": "区域边界 / outline",
    "building": "建筑 / building",
    "road": "道路 / road",
    "site": "场所旁 / by a site",
    "cell": "网格中 / in a cell",
}


@dataclass(frozen=True, slots=True)
class CameraPlaces:
    """places: rows of sql/layers/next_cameras.sql, best first; lon and lat and ground in EPSG:4326, gains in weighted square
    metres. gaps: how many subjects are seen too little now, of `areas` key risk areas and all red and orange sites. lacks: what the
    figures do without, in both languages."""

    places: Sequence[Row]
    gaps: int
    areas: int
    lacks: Sequence[Row]


def town_code(connection: psycopg.Connection[dict[str, Any]], town: str) -> str | None:
    """Code of the town of a code or name; None for an empty one. Raises Refused where there is none, or two."""
    if not town:
        return None
    found = connection.execute(read_sql("layers/town_named").encode(), {"town": town}).fetchall()
    if len(found) == 1:
        return str(found[0]["code"])
    said = ", ".join(f"{r['code']} {r['name_zh']}" for r in found)
    raise Refused(
        f"没有街镇 {town} / there is no town {town!r}."
        if not found
        else f"{town} 有多个街镇，请给代码 / several towns are called {town!r}, give a code: {said}."
    )


def next_places(
    connection: psycopg.Connection[dict[str, Any]],
    wanted: int,
    moment: datetime,
    *,
    town: str | None,
    reach_m: float,
    hfov_deg: float,
) -> CameraPlaces:
    """The next `wanted` places for cameras of a reach (m) and field of view (degrees), as the register stands on the day of
    `moment`. Raises Refused for numbers that no camera has."""
    asked = {"wanted": wanted, "moment": moment, "town": town, "reach_m": reach_m, "hfov_deg": hfov_deg}
    try:
        with connection.transaction():
            rows = connection.execute(read_sql("layers/next_cameras").encode(), asked).fetchall()
    except psycopg.errors.InvalidParameterValue as fault:
        raise Refused(str(fault.diag.message_primary)) from fault
    total = connection.execute(read_sql("layers/unseen_total").encode(), asked).fetchone()
    lacks = connection.execute(read_sql("layers/coverage_lacks").encode(), asked).fetchall()
    assert total is not None
    return CameraPlaces(rows, total["gaps"], total["areas"], lacks)


def as_geojson(found: CameraPlaces) -> dict[str, Any]:
    """A FeatureCollection (EPSG:4326): of each place its point and the ground that it would see."""
    features = []
    for row in found.places:
        facts = {name: row[name] for name in row if name not in ("lon", "lat", "ground")}
        point = {"type": "Point", "coordinates": [round(row["lon"], 7), round(row["lat"], 7)]}
        for part, geometry in (("place", point), ("ground", row["ground"])):
            features.append({"type": "Feature", "geometry": geometry, "properties": {"part": part, **facts}})
    return {"type": "FeatureCollection", "features": features}


def in_words(found: CameraPlaces) -> list[str]:
    """Lines for people: what is lacking first, then the places."""
    lines = [f"注意 / note: {row['said_zh']} / {row['said_en']}" for row in found.lacks]
    if not found.gaps:
        lines.append(
            "没有缺口：已装摄像机的视域已够 / no gap: installed cameras would see enough of "
            f"{found.areas} 处重点风险源区域与红橙场所 / key risk areas and of all red and orange sites."
            if found.areas
            else "没有登记重点风险源区域，也没有未被看到的红橙场所 / no key risk area is registered, and no red or orange site is unseen."
        )
    elif not found.places:
        lines.append(
            f"{found.gaps} 处缺口，但视距内没有可装的点位 / {found.gaps} gaps, but no place within reach to stand in."
        )
    for row in found.places:
        closed = 1 - row["gap_after"] / row["gap_before"]
        lines.append(
            f"{row['place_no']}. {row['lon']:.6f}, {row['lat']:.6f}  朝向 / azimuth {row['azimuth_deg']:.0f}°  "
            f"{ORIGINS[row['origin']]}  网格 / cell {row['cell_code']}"
        )
        lines.append(
            f"   收益 / gain {row['gain']:.0f} ({row['closed_m2']:.0f} m²)  "
            f"加权缺口 / weighted gap {row['gap_before']:.0f} → {row['gap_after']:.0f} (−{closed:.1%})"
        )
        lines += [
            f"   看到 / sees {'重点风险源区域' if s['kind'] == 'key_risk_area' else '场所'} {s['id']} {s['name']} ({s['level']}): "
            f"+{s['new_m2']:.0f} m² → {s['seen_fraction_after']:.0%}"
            + ("，缺口已补 / closed" if s["is_closed"] else "")
            for s in row["sees"]
        ]
    return lines
