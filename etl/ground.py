"""The ground that rows are checked against: the units, cells and register keys that the database holds now."""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import psycopg
import pyproj
import shapely
from numpy.typing import NDArray

from etl.frames import Frame, points_to_metric
from etl.manifest import City

__all__ = ["Ground", "Unit"]

Bool = NDArray[np.bool_]


class Unit(NamedTuple):
    """A stored unit; `geom` in metres of the city's zone, None where no outline is known."""

    code: str
    level: str
    name: str
    geom: shapely.Geometry | None
    is_generated: bool


class Ground:
    """What the database holds as seen by the running transaction; `forget()` after each section stored."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]], city: City) -> None:
        self.connection = connection
        self.city = city
        self.srid = city.metric_srid

    def forget(self) -> None:
        """Reads everything anew at the next use."""
        for name in ("units", "_towns", "cells", "_cells", "district"):
            self.__dict__.pop(name, None)

    @property
    def county_code(self) -> str:
        """The district's 12-digit code."""
        return self.city.code + "000000"

    @cached_property
    def units(self) -> dict[str, Unit]:
        """All stored units by code."""
        rows = self.connection.execute(
            "SELECT code, level, name_zh, ST_AsBinary(geom) AS wkb, is_generated FROM territory.unit ORDER BY code"
        ).fetchall()
        return {
            r["code"]: Unit(
                r["code"],
                r["level"],
                r["name_zh"],
                None if r["wkb"] is None else shapely.from_wkb(bytes(r["wkb"])),
                r["is_generated"],
            )
            for r in rows
        }

    @cached_property
    def district(self) -> shapely.Geometry | None:
        """Outline of the district, prepared; metres. None where neither it nor any town has one."""
        county = self.units.get(self.county_code)
        outlines = [u.geom for u in self.units.values() if u.level == "town" and u.geom is not None]
        if county is not None and county.geom is not None:
            outlines.append(county.geom)
        if not outlines:
            return None
        outline = shapely.union_all(outlines)
        shapely.prepare(outline)
        return outline

    @cached_property
    def _towns(self) -> tuple[NDArray[np.object_], shapely.STRtree]:
        return self._index([(u.code, u.geom) for u in self.units.values() if u.level == "town" and u.geom])

    @cached_property
    def cells(self) -> list[tuple[str, shapely.Geometry]]:
        """All stored grid cells: code and polygon in metres of the zone."""
        rows = self.connection.execute(
            "SELECT code, ST_AsBinary(geom) AS wkb FROM territory.grid_cell ORDER BY code"
        ).fetchall()
        return [(r["code"], shapely.from_wkb(bytes(r["wkb"]))) for r in rows]

    @cached_property
    def _cells(self) -> tuple[NDArray[np.object_], shapely.STRtree]:
        return self._index(self.cells)

    @staticmethod
    def _index(pairs: list[tuple[str, Any]]) -> tuple[NDArray[np.object_], shapely.STRtree]:
        codes = np.array([code for code, _ in pairs], dtype=object)
        return codes, shapely.STRtree([geom for _, geom in pairs])

    def towns_at(
        self, points: NDArray[np.object_], named: NDArray[np.object_] | None = None
    ) -> NDArray[np.object_]:
        """Code of the town that each point lies in, or None; on a shared border the one it names, else the lowest."""
        return _containing(*self._towns, points, named)

    def cells_at(self, points: NDArray[np.object_]) -> NDArray[np.object_]:
        """Code of the grid cell that each point lies in, or None; on a shared border the lowest."""
        return _containing(*self._cells, points, None)

    def nearest_town(self, points: NDArray[np.object_], within_m: float) -> NDArray[np.object_]:
        """Code of the nearest town within a distance (metres), or None."""
        codes, tree = self._towns
        found = np.full(len(points), None, dtype=object)
        if len(codes) and len(points) and within_m > 0:
            rows, units = tree.query_nearest(points, max_distance=within_m, all_matches=False)
            found[rows] = codes[units]
        return found

    def town_code(self, text: str) -> str | None:
        """The code of the town that a row names by code (9 or 12 digits) or by name; None when there is none."""
        if text.isdigit():
            unit = self.units.get(text.ljust(12, "0") if len(text) == 9 else text)
            return unit.code if unit and unit.level == "town" else None
        return self._town_names.get(text)

    @property
    def _town_names(self) -> dict[str, str]:
        return {u.name: u.code for u in self.units.values() if u.level == "town"}

    def outside_zone(self, points: NDArray[np.object_]) -> Bool:
        """Points (metres of the zone) that lie beyond the zone's area of use by more than 1.5 degrees, or nowhere."""
        area = pyproj.CRS.from_epsg(self.srid).area_of_use
        x, y = shapely.get_x(points), shapely.get_y(points)
        to_degrees = pyproj.Transformer.from_crs(self.srid, 4326, always_xy=True)
        lon, lat = (np.asarray(v) for v in to_degrees.transform(x, y))
        inside = np.isfinite(lon) & np.isfinite(lat)
        if area is not None:
            inside &= (lon > area.west - 1.5) & (lon < area.east + 1.5)
            inside &= (lat > area.south - 1.5) & (lat < area.north + 1.5)
        return ~inside

    def metric_points(
        self, x: NDArray[np.float64], y: NDArray[np.float64], frame: Frame
    ) -> NDArray[np.object_]:
        """Points in metres of the zone from coordinates of a frame, shape (n,); None where a coordinate is NaN."""
        east, north = points_to_metric(x, y, frame, self.srid)
        points = np.full(len(x), None, dtype=object)
        known = np.isfinite(east) & np.isfinite(north)
        points[known] = shapely.points(east[known], north[known])
        return points


def _containing(
    codes: NDArray[np.object_],
    tree: shapely.STRtree,
    points: NDArray[np.object_],
    named: NDArray[np.object_] | None,
) -> NDArray[np.object_]:
    found = np.full(len(points), None, dtype=object)
    if not len(codes) or not len(points):
        return found
    rows, units = tree.query(points, predicate="intersects")
    order = np.lexsort((codes[units].astype(str), rows))[::-1]
    found[rows[order]] = codes[units[order]]  # written from the highest code down: the lowest stays
    if named is not None:
        said = codes[units] == named[rows]
        found[rows[said]] = codes[units[said]]
    return found
