"""A table in a PostGIS elsewhere: read as it is, in one moment, with no chance to change it, and no password told."""

from urllib.parse import urlsplit

import psycopg
import pytest
import shapely

from etl.readers import open_source, read_table
from geoapp.errors import Refused

PASSWORD = "geheim-&-%40sicher"


@pytest.fixture
def elsewhere(empty_url):
    """URL of a database with a schema of another office's."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute(
            """
            CREATE SCHEMA office;
            CREATE TABLE office."站点" (
                id bigint PRIMARY KEY, name text, amount numeric, day date, at timestamp, is_open boolean, more jsonb,
                raw bytea, share float8, geom geometry(Point, 4549), other geometry
            );
            INSERT INTO office."站点" VALUES
                (2, '　乙 ', 1.50, NULL, NULL, false, NULL, NULL, NULL, NULL, NULL),
                (1, '甲', 12, '2026-03-01', '2026-03-01 10:30', true, '{"a": 1}', '\\x00ff', 0.5,
                 ST_Point(621000, 3400000, 4549), ST_GeomFromText('CIRCULARSTRING(0 0, 1 1, 2 0)', 4490)),
                (9007199254740993, '丙', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'SRID=4549;POINT EMPTY', NULL);
            CREATE VIEW office.open_sites AS SELECT id, name, geom FROM office."站点" WHERE is_open;
            CREATE TABLE office.words (id int, wkt text);
            INSERT INTO office.words VALUES (1, 'SRID=4490;POINT(121 31)'), (2, 'nowhere');
            CREATE TABLE office.mixed (geom geometry);
            INSERT INTO office.mixed VALUES (ST_Point(1, 2, 4490)), (ST_Point(1, 2, 4549));
            """
        )
    return empty_url


def test_a_table_is_read_with_its_system_in_the_order_of_its_key(elsewhere):
    with open_source(elsewhere, layer="office.站点", geometry_column="geom") as source:
        assert source.crs.to_epsg() == 4549
        assert "SRID 4549" in source.crs_from
        assert source.has_geometry
        assert source.column_names == ["id", "name", "amount", "day", "at", "is_open", "more", "raw", "share"]
        first, second = source.chunks(2)
    assert first.columns["id"].tolist() == ["1", "2"]
    assert second.columns["id"].tolist() == ["9007199254740993"]
    assert second.row_no.tolist() == [3]
    assert {name: values[0] for name, values in first.columns.items()} == {
        "id": "1", "name": "甲", "amount": "12", "day": "2026-03-01", "at": "2026-03-01T10:30:00", "is_open": "true",
        "more": '{"a": 1}', "raw": "00ff", "share": "0.5",
    }  # fmt: skip
    assert first.columns["name"][1] == "乙"
    assert first.points()[0][0] == 621000
    assert first.geometry[1] is None
    assert second.geometry[0].is_empty


def test_a_view_and_its_curves(elsewhere):
    assert read_table(elsewhere, layer="office.open_sites").columns["name"].tolist() == ["甲"]
    table = read_table(elsewhere, layer="office.站点", geometry_column="other")
    assert table.crs.to_epsg() == 4490
    assert table.geometry[0].geom_type == "LineString"


def test_geometry_as_text_in_a_table(elsewhere):
    table = read_table(elsewhere, layer="office.words", geometry_column="wkt")
    assert table.geometry[0] == shapely.Point(121, 31)
    assert table.crs.to_epsg() == 4490
    assert {row: code for row, (code, _) in table.damaged.items()} == {1: "geometry_unreadable"}


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (None, "no table is named"),
        ("office.站点", r"several geometry columns \(geom, other\)"),
        ("office.mixed", r"SRID \[4490, 4549\]"),
        ("office.open_site", "did you mean office.open_sites"),
        ("nothing", "no such table or view"),
        ('office.站点"; DROP TABLE office.words; --', "no such table or view"),
    ],
)
def test_what_cannot_be_read_is_refused(elsewhere, layer, said):
    with pytest.raises(Refused, match=said):
        read_table(elsewhere, layer=layer)


def test_nothing_can_be_changed_there(elsewhere):
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION office.sly() RETURNS int LANGUAGE sql AS 'DELETE FROM office.words RETURNING id';"
            "CREATE VIEW office.trap AS SELECT office.sly() AS n"
        )
    with pytest.raises(Refused, match="read-only"):
        read_table(elsewhere, layer="office.trap")


@pytest.mark.parametrize(
    "address", ["postgresql://me:{}@127.0.0.1:1/city", "postgresql://me@127.0.0.1:1/city?password={}"]
)
def test_a_password_is_never_told(address):
    from urllib.parse import quote

    with pytest.raises(Refused) as refusal:
        open_source(address.format(quote(PASSWORD, safe="")), layer="a.b")
    assert PASSWORD not in str(refusal.value)
    assert quote(PASSWORD, safe="") not in str(refusal.value)
    assert "127.0.0.1:1/city" in str(refusal.value)


def test_neither_is_it_in_the_name_or_in_what_is_shown(elsewhere):
    password = urlsplit(elsewhere).password
    assert password
    with open_source(elsewhere, layer="office.words") as source:
        (table,) = source.chunks()
        assert password not in f"{source!r}{source.name}{source.path}{table!r}{source.crs_from}"


def test_an_address_that_is_none_is_refused_without_it():
    with pytest.raises(Refused, match="not well-formed") as refusal:
        open_source("postgresql://me:p%ZZw@host/x?nonsense=1", layer="a.b")
    assert "p%ZZw" not in str(refusal.value)
