"""Encodings: declared, said by a file's companions, or told by evidence; in doubt, asked for."""

import geopandas as gpd
import pyogrio
import pytest
import shapely

from etl.encoding import detect, encoding_of_language_driver, encoding_of_note, python_name
from etl.readers import open_source, read_table
from geoapp.errors import Refused

TEXTS = {
    "gb18030": "金山区朱泾镇加油站，上海市公安局。我们在这里学习中国的历史",
    "cp950": "臺灣省新竹縣竹北市光明六路十號，國語及中文的歷史文化大學",
    "cp932": "東京都千代田区霞が関。カタカナとひらがなで書かれた文章です",
    "euc_jp": "東京都千代田区霞が関。カタカナとひらがなで書かれた文章です",
    "cp949": "서울특별시 종로구 세종대로 대한민국의 역사와 문화를 배우는 곳, 우리 마을에서 학교까지 걸어서",
    "cp1251": "Московская область, город Химки, улица Ленина, дом пять",
    "koi8_r": "Московская область, город Химки, улица Ленина, дом пять",
}


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("times", [1, 40])
def test_a_language_tells_its_encoding(encoding, times):
    found, evidence = detect((TEXTS[encoding] * times).encode(encoding), what="x")
    assert found == encoding
    assert "characters" in evidence


def test_a_short_chinese_list_is_not_taken_for_korean():
    """The bytes of these words are all among those of common Korean syllables as well."""
    text = "编号,名称,码,经度,纬度\n" + "".join(f"S{n},工厂{n},91310116,121.3,30.8\n" for n in range(200))
    assert detect(text.encode("gbk"), what="x.csv")[0] == "gb18030"


@pytest.mark.parametrize(
    "content", ["Größe; Straße; señor".encode("latin-1"), bytes(range(128, 256)) * 9, "國語".encode("big5")]
)
def test_what_little_evidence_there_is_for_is_asked_for(content):
    with pytest.raises(Refused, match="Declare `encoding`"):
        detect(content, what="x.csv")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("UTF-8", "utf-8"), ("utf8", "utf-8"), ("65001", "utf-8"), ("GBK", "gb18030"), ("936", "gb18030"),
        ("ANSI 936", "gb18030"), ("CP936", "gb18030"), ("GB2312", "gb18030"), ("LDID/77", "gb18030"), ("Big5", "cp950"),
        ("Big-5", "cp950"), ("950", "cp950"), ("shiftjis", "cp932"), ("932", "cp932"), ("EUC-KR", "cp949"),
        ("koi8r", "koi8-r"), ("1251", "cp1251"), ("windows-1252", "cp1252"), ("ISO 88591", "iso8859-1"),
        ("ISO-8859-15", "iso8859-15"), ("OEM 866", "cp866"), ("something", None), ("hex", None),
    ],
)  # fmt: skip
def test_notes_are_understood_as_programs_write_them(said, meant):
    assert encoding_of_note(said) == meant


def test_language_drivers_are_known():
    known = {
        0x4D: "gb18030",
        0x7A: "gb18030",
        0x78: "cp950",
        0x7B: "cp932",
        0x13: "cp932",
        0x79: "cp949",
        0xC9: "cp1251",
    }
    assert {number: encoding_of_language_driver(number) for number in known} == known
    assert encoding_of_language_driver(0) is None
    assert encoding_of_language_driver(0x57) is None


@pytest.mark.parametrize("word", ["klingon", "rot13", "hex", "", "a\0b"])
def test_an_encoding_that_is_none_is_refused(word):
    with pytest.raises(Refused, match="is not known"):
        python_name(word)


def _shapefile(folder, texts, encoding, *, cpg=None, driver=0):
    frame = gpd.GeoDataFrame({"MC": texts}, geometry=shapely.points(range(len(texts)), 0), crs=4549)
    path = folder / "点.shp"
    pyogrio.write_dataframe(
        frame, path, encoding={"euc_jp": "EUC-JP", "koi8_r": "KOI8-R"}.get(encoding, encoding)
    )
    path.with_suffix(".cpg").unlink(missing_ok=True)
    if cpg is not None:
        path.with_suffix(".cpg").write_text(cpg)
    dbf = bytearray(path.with_suffix(".dbf").read_bytes())
    dbf[29] = driver
    path.with_suffix(".dbf").write_bytes(dbf)
    return path


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("way", ["declared", "note", "evidence"])
def test_a_shapefile_in_any_encoding(tmp_path, encoding, way):
    texts = [TEXTS[encoding][:12], TEXTS[encoding][12:]]
    path = _shapefile(tmp_path, texts, encoding, cpg=encoding if way == "note" else None)
    table = read_table(path, encoding=encoding if way == "declared" else None)
    assert table.columns["MC"].tolist() == [text.strip() for text in texts]
    assert not table.damaged
    assert {"declared": "declared", "note": ".cpg says", "evidence": "common"}[way] in table.evidence


def test_the_names_of_columns_are_decoded_too(tmp_path):
    frame = gpd.GeoDataFrame({"名称": ["金山"]}, geometry=[shapely.Point(0, 0)], crs=4549)
    path = tmp_path / "a.shp"
    pyogrio.write_dataframe(frame, path, encoding="GBK")
    path.with_suffix(".cpg").unlink()
    assert list(read_table(path).columns) == ["名称"]


def test_a_language_driver_is_believed_as_far_as_the_bytes_allow(tmp_path):
    path = _shapefile(tmp_path, ["简体"], "GBK", driver=0x4D)
    assert "language driver" in read_table(path).evidence
    path = _shapefile(tmp_path, [TEXTS["gb18030"]], "UTF-8", driver=0x78)
    table = read_table(path)
    assert table.columns["MC"].tolist() == [TEXTS["gb18030"]]
    assert table.encoding == "utf-8"
    assert any("language driver 0x78" in notice for notice in table.notices)


def test_a_note_that_lies_is_said_and_the_encoding_detected(tmp_path):
    path = _shapefile(tmp_path, [TEXTS["gb18030"], "张堰镇"], "GBK", cpg="UTF-8")
    table = read_table(path)
    assert table.columns["MC"].tolist() == [TEXTS["gb18030"], "张堰镇"]
    assert table.encoding == "gb18030"
    assert any("点.cpg says UTF-8" in notice and "but the bytes" in notice for notice in table.notices)


def test_bytes_that_do_not_fit_mark_their_row_only(tmp_path):
    path = _shapefile(tmp_path, [TEXTS["gb18030"], "张堰镇", "亭林镇"], "GBK", cpg="GBK")
    dbf = path.with_suffix(".dbf")
    dbf.write_bytes(dbf.read_bytes().replace("张堰镇".encode("gbk"), b"\xff\xff\xff\xff\xff\xff"))
    table = read_table(path)
    assert {int(table.row_no[row]): code for row, (code, _) in table.damaged.items()} == {2: "undecodable"}
    assert table.columns["MC"][2] == "亭林镇"


@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("declared", [True, False])
def test_geojson_in_another_encoding(tmp_path, encoding, declared):
    text = TEXTS["gb18030"]
    path = tmp_path / "a.geojson"
    path.write_text(
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"名称":"'
        + text
        + '"},"geometry":{"type":"Point","coordinates":[121,31]}}]}',
        encoding=encoding,
    )
    table = read_table(path, encoding=encoding if declared else None)
    assert table.columns["名称"].tolist() == [text]
    assert table.crs is None


def test_kml_in_the_encoding_that_it_says(tmp_path):
    path = tmp_path / "a.kml"
    path.write_bytes(
        f'<?xml version="1.0" encoding="GB2312"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>'
        f"<name>{TEXTS['gb18030']}</name><Point><coordinates>121,31</coordinates></Point></Placemark></Document></kml>".encode(
            "gbk"
        )
    )
    with open_source(path) as source:
        (table,) = source.chunks()
        assert source.encoding == "gb18030"
    assert TEXTS["gb18030"] in [values[0] for values in table.columns.values()]


def test_xml_that_defines_entities_is_not_read(tmp_path):
    path = tmp_path / "a.kml"
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE k [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><kml>&b;</kml>',
        encoding="utf-8",
    )
    with pytest.raises(Refused, match="entities"):
        read_table(path)
