"""Packed files: Chinese names, several layers, and archives that must not be unpacked."""

import zipfile

import geopandas as gpd
import pyogrio
import pytest
import shapely

from etl.readers import open_source, read_table
from geoapp.errors import Refused


def _frame(names):
    return gpd.GeoDataFrame({"MC": names}, geometry=shapely.points(range(len(names)), 0), crs=4549)


def _shapefile(folder, stem, names):
    folder.mkdir(exist_ok=True)
    pyogrio.write_dataframe(_frame(names), folder / f"{stem}.shp", encoding="GBK")
    return sorted(folder.glob(f"{stem}.*"))


def _zip(path, files, folder="", *, encoding="gbk"):
    """An archive as Windows in China makes it: names in GBK, with nothing that says so."""
    names = [f"{folder}{file.name}" for file in files]
    if encoding is None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, file in zip(names, files, strict=True):
                packed.write(file, name)
        return path
    raw = [name.encode(encoding) for name in names]
    stand_ins = [f"{number}".ljust(len(name), "~") for number, name in enumerate(raw)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for stand_in, file in zip(stand_ins, files, strict=True):
            packed.write(file, stand_in)
    content = path.read_bytes()
    for stand_in, name in zip(stand_ins, raw, strict=True):
        content = content.replace(stand_in.encode(), name)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["gbk", None])
def test_a_shapefile_in_a_folder_of_a_chinese_name(tmp_path, encoding):
    parts = _shapefile(tmp_path / "x", "镇界", ["朱泾镇", "亭林镇"])
    path = _zip(tmp_path / "a.zip", parts, "金山区/数据/", encoding=encoding)
    with open_source(path) as source:
        assert source.name == "a.zip/金山区/数据/镇界.shp"
        assert source.path == path
        assert source.crs.to_epsg() == 4549
        (table,) = source.chunks()
    assert table.columns["MC"].tolist() == ["朱泾镇", "亭林镇"]


def test_one_of_several_layers_is_named(tmp_path):
    files = _shapefile(tmp_path / "x", "镇界", ["朱泾镇"]) + _shapefile(tmp_path / "x", "村界", ["新泾村"])
    pyogrio.write_dataframe(_frame(["甲"]), tmp_path / "库.gpkg", layer="one")
    pyogrio.write_dataframe(_frame(["乙"]), tmp_path / "库.gpkg", layer="two")
    (tmp_path / "说明.txt").write_text("说明", encoding="gbk")
    path = _zip(tmp_path / "a.zip", [*files, tmp_path / "库.gpkg", tmp_path / "说明.txt"])
    with pytest.raises(Refused, match=r"镇界\.shp, .*村界\.shp|村界\.shp, .*镇界\.shp"):
        read_table(path)
    assert read_table(path, layer="村界").columns["MC"].tolist() == ["新泾村"]
    assert read_table(path, layer="镇界.shp").columns["MC"].tolist() == ["朱泾镇"]
    assert read_table(path, layer="库/two").columns["MC"].tolist() == ["乙"]
    with pytest.raises(Refused, match="there is no '县界'"):
        read_table(path, layer="县界")


def test_a_file_geodatabase_is_read_from_its_archive(tmp_path):
    folder = tmp_path / "城市.gdb"
    pyogrio.write_dataframe(_frame(["朱泾镇", "亭林镇"]), folder, driver="OpenFileGDB", layer="towns")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for part in folder.iterdir():
            packed.write(part, f"城市.gdb/{part.name}")
    assert read_table(tmp_path / "a.zip").columns["MC"].tolist() == ["朱泾镇", "亭林镇"]
    assert len(read_table(tmp_path / "a.zip", layer="城市/towns")) == 2


def test_other_tables_are_read_from_archives(tmp_path):
    (tmp_path / "场所.csv").write_text("名称,经度\n甲,121.3\n", encoding="gbk")
    assert read_table(_zip(tmp_path / "a.zip", [tmp_path / "场所.csv"])).columns["名称"].tolist() == ["甲"]


def test_an_archive_in_an_archive_is_refused(tmp_path):
    inner = _zip(tmp_path / "inner.zip", _shapefile(tmp_path / "x", "a", ["甲"]))
    with pytest.raises(Refused, match="another packed file"):
        read_table(_zip(tmp_path / "a.zip", [inner]))


def test_an_archive_without_data_says_what_it_holds(tmp_path):
    (tmp_path / "报告.docx").write_bytes(b"x")
    with pytest.raises(Refused, match=r"报告\.docx"):
        read_table(_zip(tmp_path / "a.zip", [tmp_path / "报告.docx"]))


@pytest.mark.parametrize("name", ["a.zip", "a.xlsx", "a.kmz"])
def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch, name):
    monkeypatch.setattr("etl.readers.archives._SMALL", 1 << 20)
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.csv", bytes(4 << 20))
    with pytest.raises(Refused, match="zip bomb"):
        read_table(tmp_path / name)


def test_names_that_lead_out_of_the_folder_stay_in_it(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("../../../escaped.csv", "a\n1\n")
    assert read_table(tmp_path / "a.zip").columns["a"].tolist() == ["1"]
    assert not (tmp_path.parent / "escaped.csv").exists()


def test_a_locked_archive_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a\n1\n")
    path = _zip(tmp_path / "a.zip", [tmp_path / "a.csv"])
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(Refused, match="password"):
        read_table(path)


def test_what_was_unpacked_is_gone_after_closing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    path = _zip(tmp_path / "a.zip", _shapefile(tmp_path / "x", "a", ["甲"]))
    with open_source(path) as source:
        assert list((tmp_path / "t").iterdir())
        list(source.chunks())
    assert not list((tmp_path / "t").iterdir())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(Refused):
        open_source(path)
    assert not list((tmp_path / "t").iterdir())


def test_nothing_is_written_beside_the_file(tmp_path):
    for name, driver in (("a.gml", "GML"), ("b.geojson", None), ("c.gpkg", None), ("d.kml", "KML")):
        pyogrio.write_dataframe(_frame(["甲"]), tmp_path / name, driver=driver)
    _shapefile(tmp_path, "e", ["甲"])
    (tmp_path / "e.shx").unlink()
    (tmp_path / "a.xsd").unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("a.gml", "b.geojson", "c.gpkg", "d.kml", "e.shp"):
        assert len(read_table(tmp_path / name)) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
