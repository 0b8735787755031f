"""A made-up district for tests of imports: two square towns of 4 km in EPSG:4549, files in GBK and BD-09."""

import csv
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import shapely
import yaml

from etl.frames import wgs84_to_bd09, wgs84_to_gcj02
from etl.load import load
from etl.manifest import load_manifest
from geoapp.database.connection import connect

X0, Y0 = 620_000.0, 3_410_000.0
SIDE = 4_000.0
TOWN_A, TOWN_B, VILLAGE = "310116101000", "310116102000", "310116101001"
CITY = {"name_zh": "试县", "name_en": "Test", "code": "310116", "metric_srid": 4549}
TO_DEGREES = pyproj.Transformer.from_crs(4549, 4326, always_xy=True)


def degrees(x, y, frame="wgs84"):
    """Longitude and latitude of a place given in metres from the county's corner."""
    lon, lat = TO_DEGREES.transform(np.array([X0 + x]), np.array([Y0 + y]))
    turn = {"wgs84": lambda a, b: (a, b), "gcj02": wgs84_to_gcj02, "bd09": wgs84_to_bd09}[frame]
    lon, lat = turn(lon, lat)
    return float(lon[0]), float(lat[0])


def square(x, y, side):
    return shapely.box(X0 + x, Y0 + y, X0 + x + side, Y0 + y + side)


class District:
    """A folder with the files of a district and its manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sections: dict = {"city": dict(CITY)}

    def towns(self, extra=()):
        rows = [(TOWN_A, "甲镇", square(0, 0, SIDE)), (TOWN_B, "乙镇", square(SIDE, 0, SIDE)), *extra]
        frame = gpd.GeoDataFrame(
            {"DM": [r[0] for r in rows], "MC": [r[1] for r in rows]}, geometry=[r[2] for r in rows], crs=4549
        )
        frame.to_file(self.folder / "towns.gpkg")
        self.sections["units"] = {"file": "towns.gpkg", "columns": {"code": "DM", "name": "MC"}}
        return self

    def sites(self, rows, name="sites.csv", **columns):
        """rows: (id, name, x, y) in metres, written as GBK and BD-09, or (id, name, text, text) as they are."""
        with (self.folder / name).open("w", encoding="gbk", newline="") as stream:
            writer = csv.writer(stream)
            extra = list(columns)
            writer.writerow(["编号", "名称", "经度", "纬度", *extra])
            for row in rows:
                place = row[2:4]
                if all(isinstance(v, int | float) for v in place):
                    place = [f"{v:.7f}" for v in degrees(*place, "bd09")]
                writer.writerow([*row[:2], *place, *row[4:]])
        named = {"id": "编号", "name": "名称", "lon": "经度", "lat": "纬度"} | {
            v: k for k, v in columns.items()
        }
        self.sections["sites"] = {"file": name, "encoding": "gbk", "frame": "bd09", "columns": named}
        return self

    @property
    def manifest(self) -> Path:
        path = self.folder / "manifest.yaml"
        path.write_text(yaml.safe_dump(self.sections, allow_unicode=True), encoding="utf-8")
        return path

    def load(self, url, **options):
        return load(url, load_manifest(self.manifest), folder=self.folder, **options)


def counts(result):
    return result.rows_in, result.stored, result.unchanged, result.repaired, result.rejected


def codes(result):
    """Reason codes of each row that was set aside, by its number."""
    return {row["row_no"]: [reason["code"] for reason in row["reasons"]] for row in result.rejected_rows}


def fetch(url, query, *values):
    with connect(url) as connection:
        return connection.execute(query, values).fetchall()
