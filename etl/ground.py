"""The ground that rows are checked against: the units, cells and register keys that the database holds now."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import psycopg
import pyproj
import shapely
from numpy.typing import NDArray
from psycopg import sql

from etl.binary_copy import Places
from etl.frames import Frame, points_to_metric
from etl.manifest import City
from etl.occurrences import Occurrences
from etl.polygon_lookup import PolygonLookup, first_containing, make_lookup

__all__ = ["Ground", "Unit"]

Bool = NDArray[np.bool_]


class Unit(NamedTuple):
    """A stored unit; `geom` in metres of the city's zone, None where no outline is known. A retired one has an end."""

    code: str
    level: str
    name: str
    geom: shapely.Geometry | None
    is_generated: bool
    is_retired: bool = False


class Ground:
    """What the database holds as seen by the running transaction; `forget()` after each section stored."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]], city: City) -> None:
        self._connection = connection
        self.city = city
        self.srid = city.metric_srid
        # Waits for a chunk that is still being written on the same connection; set by the loader.
        self.before_asking: Callable[[], None] = lambda: None
        self._empty: dict[str, bool] = {}

    @property
    def connection(self) -> psycopg.Connection[dict[str, Any]]:
        """The load's connection, free to ask."""
        self.before_asking()
        return self._connection

    def forget(self) -> None:
        """Reads everything anew at the next use."""
        for name in [n for n in self.__dict__ if isinstance(getattr(type(self), n, None), cached_property)]:
            self.__dict__.pop(name)
        self._empty.clear()

    def is_empty(self, table: str) -> bool:
        """Whether a table held no row when this section began: then nothing of it needs to be looked up."""
        if table not in self._empty:
            name = sql.Identifier(*table.split("."))
            found = self.connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(name)).fetchone()
            self._empty[table] = found is None
        return self._empty[table]

    @cached_property
    def occurrences(self) -> Occurrences:
        """How often the section's rows that are known by their content alone have come so far."""
        return Occurrences()

    @property
    def county_code(self) -> str:
        """The district's 12-digit code."""
        return self.city.code + "000000"

    @cached_property
    def units(self) -> dict[str, Unit]:
        """All stored units by code."""
        rows = self.connection.execute(
            "SELECT code, level, name_zh, ST_AsBinary(geom) AS wkb, is_generated, valid_to IS NOT NULL AS is_retired"
            " FROM territory.unit ORDER BY code"
        ).fetchall()
        return {
            r["code"]: Unit(
                r["code"],
                r["level"],
                r["name_zh"],
                None if r["wkb"] is None else shapely.from_wkb(bytes(r["wkb"])),
                r["is_generated"],
                r["is_retired"],
            )
            for r in rows
        }

    @cached_property
    def district(self) -> shapely.Geometry | None:
        """Outline of the district, prepared; metres. None where neither it nor any town has one."""
        county = self.units.get(self.county_code)
        outlines = [geom for _, geom in self._town_outlines]
        if county is not None and county.geom is not None:
            outlines.append(county.geom)
        if not outlines:
            return None
        outline = shapely.union_all(outlines)
        shapely.prepare(outline)
        return outline

    @cached_property
    def _town_outlines(self) -> list[tuple[str, shapely.Geometry]]:
        """Towns with an outline, prepared, from the highest code down."""
        towns = (u for u in self.units.values() if u.level == "town" and not u.is_retired)
        found = [(u.code, u.geom) for u in towns if u.geom is not None]
        for _, outline in found:
            shapely.prepare(outline)
        return sorted(found, key=lambda item: item[0], reverse=True)

    @cached_property
    def retired_units(self) -> set[str]:
        """Codes of units that have ended."""
        return {unit.code for unit in self.units.values() if unit.is_retired}

    @cached_property
    def retired_cells(self) -> set[str]:
        """Codes of cells that there are no more: they are never used again."""
        rows = self.connection.execute(
            "SELECT DISTINCT h.code FROM territory.grid_cell_history AS h"
            " WHERE NOT EXISTS (SELECT FROM territory.grid_cell AS c WHERE c.code = h.code)"
        ).fetchall()
        return {row["code"] for row in rows}

    @cached_property
    def cells(self) -> list[tuple[str, shapely.Geometry]]:
        """All stored grid cells: code and polygon in metres of the zone."""
        rows = self.connection.execute(
            "SELECT code, ST_AsBinary(geom) AS wkb FROM territory.grid_cell ORDER BY code"
        ).fetchall()
        return [(r["code"], shapely.from_wkb(bytes(r["wkb"]))) for r in rows]

    @cached_property
    def _cells(self) -> tuple[NDArray[np.object_], PolygonLookup | None]:
        codes = np.array([code for code, _ in self.cells] + [None], dtype=object)
        return codes, make_lookup(np.array([cell for _, cell in self.cells], dtype=object))

    @staticmethod
    def _index(pairs: list[tuple[str, Any]]) -> tuple[NDArray[np.object_], shapely.STRtree]:
        codes = np.array([code for code, _ in pairs], dtype=object)
        return codes, shapely.STRtree([geom for _, geom in pairs])

    def places_of(self, points: NDArray[np.object_]) -> Places:
        """Shapely points (or None) as arrays of coordinates."""
        return Places(shapely.get_x(points), shapely.get_y(points))

    def towns_at(self, places: Places, named: NDArray[np.object_] | None = None) -> NDArray[np.object_]:
        """Code of the town that each point lies in, or None; on a shared border the one it names, else the lowest."""
        found = np.full(len(places.x), None, dtype=object)
        for code, outline in self._town_outlines:  # from the highest code down: the lowest stays
            west, south, east, north = outline.bounds
            near = (places.x >= west) & (places.x <= east) & (places.y >= south) & (places.y <= north)
            rows = np.flatnonzero(near)
            rows = rows[shapely.intersects_xy(outline, places.x[rows], places.y[rows])]
            if named is not None:
                said = np.array(
                    [a is not None and a == b for a, b in zip(found[rows], named[rows], strict=True)],
                    dtype=bool,
                )
                rows = rows[~said]
            found[rows] = code
        return found

    def cells_at(self, places: Places | NDArray[np.object_]) -> NDArray[np.object_]:
        """Code of the grid cell that each point lies in, or None; on a shared border the lowest."""
        if not isinstance(places, Places):
            places = self.places_of(places)
        codes, lookup = self._cells
        # `codes` ascend, and the last is None: what is in no cell has index -1.
        return np.asarray(codes[first_containing(lookup, places.x, places.y)], dtype=object)

    def nearest_town(self, points: NDArray[np.object_], within_m: float) -> NDArray[np.object_]:
        """Code of the nearest town within a distance (metres), or None."""
        codes, tree = self._index(self._town_outlines)
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

    @cached_property
    def _town_names(self) -> dict[str, str]:
        return {u.name: u.code for u in self.units.values() if u.level == "town"}

    @cached_property
    def _zone(self) -> tuple[pyproj.CRS, pyproj.Transformer]:
        return pyproj.CRS.from_epsg(self.srid), pyproj.Transformer.from_crs(self.srid, 4326, always_xy=True)

    def outside_zone(self, places: Places | NDArray[np.object_]) -> Bool:
        """Points (metres of the zone) that lie beyond the zone's area of use by more than 1.5 degrees, or nowhere."""
        if not isinstance(places, Places):
            places = self.places_of(places)
        crs, to_degrees = self._zone
        # What lies in the district's own box needs no transformation to be told inside.
        lon, lat = np.full(len(places.x), np.nan), np.full(len(places.x), np.nan)
        plain = np.zeros(len(places.x), dtype=bool)
        if self.district is not None:
            west, south, east, north = self.district.bounds
            plain = (places.x >= west) & (places.x <= east) & (places.y >= south) & (places.y <= north)
        rest = ~plain & places.known
        lon[rest], lat[rest] = to_degrees.transform(places.x[rest], places.y[rest])
        inside = np.isfinite(lon) & np.isfinite(lat)
        area = crs.area_of_use
        if area is not None:
            inside &= (lon > area.west - 1.5) & (lon < area.east + 1.5)
            inside &= (lat > area.south - 1.5) & (lat < area.north + 1.5)
        return ~(inside | plain)

    def metric_places(self, x: NDArray[np.float64], y: NDArray[np.float64], frame: Frame) -> Places:
        """Points in metres of the zone from coordinates of a frame, shape (n,); NaN where a coordinate is."""
        east, north = points_to_metric(x, y, frame, self.srid)
        return Places(np.where(np.isfinite(east), east, np.nan), np.where(np.isfinite(north), north, np.nan))
