"""A district of two towns with a file for every section of the manifest, as a district brings them: GBK, Chinese words.

EPSG:4549, metres from the corner; town A is the western 4 km, town B the eastern. Everything is made up here.
"""

import csv
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import shapely
import yaml

from etl.load import load
from etl.manifest import load_manifest

X0, Y0, SIDE = 620_000.0, 3_410_000.0, 4_000.0
TOWN_A, TOWN_B = "310116101000", "310116102000"
VILLAGE_A, VILLAGE_B = "310116101001", "310116102001"
CELLS = [f"{VILLAGE_A}100100", f"{VILLAGE_A}100200", f"{VILLAGE_B}100100", f"{VILLAGE_B}100200"]
CITY = {"name_zh": "试县", "name_en": "Test", "code": "310116", "metric_srid": 4549}
_DEGREES = pyproj.Transformer.from_crs(4549, 4326, always_xy=True)


def degrees(x, y):
    """Longitude and latitude (WGS84) of a place in metres from the corner, as text."""
    lon, lat = _DEGREES.transform(X0 + x, Y0 + y)
    return f"{lon:.8f}", f"{lat:.8f}"


def id_number(serial, first="31011619900301"):
    """An 18-digit number that passes GB 11643's check: nobody's, its place and date are made up."""
    body = f"{first}{serial:03d}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


class WholeDistrict:
    """A folder with files and the manifest that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sections: dict = {"city": dict(CITY)}

    def table(self, section, rows, *, name=None, **options):
        """A GBK file of a section: `rows` are dictionaries by the manifest's fields; a column is named 列_field."""
        fields = list(dict.fromkeys(field for row in rows for field in row))
        file = name or f"{section}.csv"
        with (self.folder / file).open("w", encoding="gb18030", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow([f"列_{field}" for field in fields])
            writer.writerows([[row.get(field, "") for field in fields] for row in rows])
        columns = {field: f"列_{field}" for field in fields}
        frame = {"frame": "wgs84"} if "lon" in fields else {}
        self.sections[section] = {"file": file, "encoding": "gb18030", "columns": columns, **frame, **options}
        return self

    def shapes(self, section, rows, geometry, **options):
        """A GeoPackage of a section, in the city's zone."""
        moved = [
            None if g is None else shapely.transform(g, lambda xy: np.add(xy, (X0, Y0))) for g in geometry
        ]
        frame = gpd.GeoDataFrame(rows, geometry=moved, crs=4549)
        frame.to_file(self.folder / f"{section}.gpkg")
        fields = [c for c in frame.columns if c != "geometry"]
        self.sections[section] = {
            "file": f"{section}.gpkg",
            "columns": {field: field for field in fields},
            **options,
        }
        return self

    def ground(self):
        """Two towns with a village each, four cells, departments, rules and three sites."""
        half = SIDE / 2
        squares = [shapely.box(0, 0, SIDE, SIDE), shapely.box(SIDE, 0, 2 * SIDE, SIDE)]
        self.shapes(
            "units",
            {
                "code": [TOWN_A, TOWN_B, VILLAGE_A, VILLAGE_B],
                "name": ["甲镇", "乙镇", "东村", "西村"],
            },
            squares + squares,
        )
        self.shapes(
            "grid",
            {"code": CELLS},
            [
                shapely.box(0, half, SIDE, SIDE),
                shapely.box(0, 0, SIDE, half),
                shapely.box(SIDE, half, 2 * SIDE, SIDE),
                shapely.box(SIDE, 0, 2 * SIDE, half),
            ],
        )
        self.table(
            "departments",
            [
                {"code": "YJ", "name": "应急管理局"},
                {"code": "ZJ", "name": "住房城乡建设局"},
                {"code": "WL", "name": "文化和旅游局"},
            ],
        )
        self.table(
            "duty_rules",
            [
                {"code": "R01", "place_type": "加油站", "category": "utility"},
                {"code": "R02", "place_type": "民宿", "category": "public"},
            ],
        )
        sites = [
            ("S1", "甲镇加油站", 500, 500, "R01"),
            ("S2", "乙镇民宿", 5000, 3000, "R02"),
            ("S3", "甲镇厂", 3000, 3500, ""),
        ]
        return self.table(
            "sites",
            [
                dict(zip(("id", "name", "lon", "lat", "rule"), (i, n, *degrees(x, y), r), strict=True))
                for i, n, x, y, r in sites
            ],
        )

    def everything(self):
        """All sections of the contract."""
        self.ground()
        self.shapes(
            "key_risk_areas",
            {"code": ["K1"], "name": ["罐区"], "site": ["S1"], "kind": ["tank"], "level": ["重大"]},
            [shapely.box(480, 480, 520, 520)],
        )
        lon, lat = degrees(550, 550)
        self.table("cameras", [{"gb_id": "31011601421320000001", "name": "一号", "lon": lon, "lat": lat}])
        self.table(
            "assignments",
            [
                {"rule": "R01", "unit": "", "department": "应急管理局", "role": "牵头", "status": "已确认",
                 "person": "张伟", "phone": "021-1000 0001", "valid_from": "2024-01-01", "document_no": "试安委〔2024〕1号"},
                {"rule": "R01", "unit": "", "department": "ZJ", "role": "配合", "status": "已确认", "valid_from": "2024-01-01"},
                {"rule": "R02", "unit": "", "department": "WL", "role": "主管", "status": "确认", "valid_from": "2024-01-01"},
                {"rule": "R02", "unit": "乙镇", "department": "YJ", "role": "lead", "status": "confirmed",
                 "person": "李娜", "phone": "021-10000002", "valid_from": "2024-01-01"},
            ],
        )  # fmt: skip
        self.table(
            "staff",
            [
                {"name": "王芳", "phone": "13000000001", "cell": "310116101001-1-001-00", "role": "网格长", "assigned_from": "2024-01-01"},
                {"name": "赵敏", "phone": "13000000002", "cell": CELLS[0], "role": "网格员", "assigned_from": "2024-01-01", "trained_at": "2024-02-01"},
                {"name": "赵敏", "phone": "13000000002", "cell": CELLS[1], "role": "", "assigned_from": "2024-01-01"},
                {"name": "钱进", "phone": "13000000003", "unit": "甲镇", "role": "主要负责人", "assigned_from": "2024-01-01"},
                {"name": "孙莉", "phone": "13000000004", "unit": TOWN_B[:9], "role": "安全员", "assigned_from": "2024-01-01"},
                {"name": "周平", "phone": "13000000005", "department": "应急管理局", "can_admin_inspect": "是", "assigned_from": "2024-01-01"},
            ],
        )  # fmt: skip
        self.table(
            "certificates",
            [
                {"site": "S3", "holder": "吴工", "id_number": id_number(11), "job_class": "焊工", "sub_item": "熔化焊", "issuer": "应急管理局",
                 "issued_on": "2024-03-01", "review_due_on": "2027-03-01", "valid_to": "2030-03-01"},
                {"site": "S3", "holder": "吴工", "id_number": id_number(11), "job_class": "低压电工", "sub_item": "", "issuer": "MEM",
                 "issued_on": "2024-03-01", "review_due_on": "2027-03-01", "valid_to": "2030-03-01"},
            ],
        )  # fmt: skip
        lon, lat = degrees(3010, 3510)
        self.table(
            "permits",
            [{"permit_no": "DH-1", "site": "S3", "level": "二级", "starts_at": "2026-11-22 08:00", "ends_at": "2026-11-22 17:00",
              "watcher": "郑某", "status": "已批准", "lon": lon, "lat": lat, "radius_m": "15"}],
        )  # fmt: skip
        self.table(
            "hazards",
            [
                {"id": "YH1", "site": "S1", "class": "重大", "title": "卸油口无静电接地", "found_at": "2026-11-01 09:00",
                 "deadline": "2026-11-30", "state": "整改中", "closed_at": "", "found_by": "行政检查"},
                {"id": "YH2", "site": "S2", "class": "一般隐患", "title": "灭火器过期", "found_at": "2026-10-01", "deadline": "2026-10-10",
                 "state": "已销号", "closed_at": "2026-10-08 16:00", "found_by": "巡查"},
            ],
        )  # fmt: skip
        self.table(
            "checks",
            [
                {"id": "C1", "site": "S1", "done_at": "2026-11-01 09:00", "outcome": "发现隐患", "person": "周平", "phone": "13000000005"},
                {"id": "C2", "site": "S2", "done_at": "2026-11-02 10:30", "outcome": "关门", "person": "周平", "phone": ""},
            ],
            kind="行政检查",
        )  # fmt: skip
        rows = [
            (600, 600, "2017-01-01 08:00", "火灾"),
            (600, 600, "2017-01-01 08:00", "火灾"),
            (5000, 100, "2017-05-02 23:59:59", "报警"),
        ]
        self.table(
            "events",
            [
                dict(zip(("lon", "lat", "happened_at", "kind"), (*degrees(x, y), t, k), strict=True))
                for x, y, t, k in rows
            ],
            source="119",
        )
        self.shapes(
            "buildings",
            {"name": ["一号楼", None], "use": ["住宅", "厂房"], "floors": [6, None], "height_m": [18.5, 9.0]},
            [shapely.box(100, 100, 130, 120), shapely.box(4100, 100, 4130, 120)],
        )
        self.shapes(
            "roads",
            {
                "id": ["r1", "r2"],
                "kind": ["国道", "residential"],
                "name": ["G320", None],
                "width_m": [24.0, None],
            },
            [shapely.LineString([(-500, 2000), (9000, 2000)]), shapely.LineString([(10, 10), (10, 900)])],
        )
        self.shapes(
            "water",
            {"kind": ["河道", "水库"], "name": ["试河", "试水库"]},
            [shapely.LineString([(0, 1000), (8000, 1000)]), shapely.box(3500, 500, 3900, 900)],
        )
        lon, lat = degrees(700, 700)
        return self.table("resources", [{"name": "路口消火栓", "lon": lon, "lat": lat}], kind="消火栓")

    def load(self, url, **options):
        path = self.folder / "manifest.yaml"
        path.write_text(yaml.safe_dump(self.sections, allow_unicode=True), encoding="utf-8")
        return load(url, load_manifest(path), folder=self.folder, **options)


def codes(result):
    """Reason codes of each row that was set aside, by its number."""
    return {row["row_no"]: [reason["code"] for reason in row["reasons"]] for row in result.rejected_rows}


def near(geom, x, y, metres=0.01):
    """Whether a point (WKB) lies at a place in metres from the corner."""
    point = shapely.from_wkb(bytes(geom))
    return bool(np.hypot(point.x - X0 - x, point.y - Y0 - y) < metres)
