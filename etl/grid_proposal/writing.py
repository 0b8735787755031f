"""A proposal to a GeoPackage, for people to look at, or into the database, for work."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import psycopg
import pyogrio
import shapely

from etl.batch import batch, record_batch
from etl.grid_proposal.figures import seams
from etl.grid_proposal.proposal import Proposal
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = ["store", "write_geopackage"]


def write_geopackage(proposal: Proposal, srid: int, path: Path) -> None:
    """Layers `cells` (code, community, town, sites, area_m2, name), `seams` (borders inside communities), `communities`
    and, where there were any, `roads` (the lines that borders could follow); EPSG `srid`, metres.

    An existing file is replaced. Raises Refused where it cannot be written.
    """
    layers = {"cells": _cells(proposal, srid), "communities": _communities(proposal, srid)}
    lines = [seams(proposal, index) for index in range(len(proposal.communities))]
    drawn = {"community": [c.code for c in proposal.communities]}
    layers["seams"] = gpd.GeoDataFrame(drawn, geometry=lines, crs=srid)
    if len(proposal.lines):
        layers["roads"] = gpd.GeoDataFrame(geometry=proposal.lines, crs=srid)
    try:
        path.unlink(missing_ok=True)
        for name, frame in layers.items():
            frame.to_file(path, layer=name, driver="GPKG")
    except (OSError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as fault:
        raise Refused(
            f"写不了 {path}：{fault} / Cannot write {path}. Name another file with -o, in a folder that exists."
        ) from fault


def _cells(proposal: Proposal, srid: int) -> gpd.GeoDataFrame:
    held = [proposal.communities[i] for i in proposal.community.tolist()]
    columns = {
        "code": proposal.codes,
        "community": [c.code for c in held],
        "town": [c.town for c in held],
        "sites": proposal.sites,
        "area_m2": np.round(shapely.area(proposal.cells), 1),
        "name": names(proposal),
    }
    return gpd.GeoDataFrame(columns, geometry=proposal.cells, crs=srid)


def _communities(proposal: Proposal, srid: int) -> gpd.GeoDataFrame:
    columns = {
        key: [getattr(c, key) for c in proposal.communities] for key in ("code", "name", "town", "made_from")
    }
    outlines = [_many(c.outline) for c in proposal.communities]
    return gpd.GeoDataFrame(columns, geometry=outlines, crs=srid)


def _many(outline: shapely.Geometry) -> shapely.MultiPolygon:
    return outline if outline.geom_type == "MultiPolygon" else shapely.multipolygons([outline])


def names(proposal: Proposal) -> list[str]:
    """What people call the cells: 张堰村第3网格."""
    short = [c.name.removesuffix("居委会").removesuffix("村委会") for c in proposal.communities]
    return [
        f"{short[i]}第{int(code[13:16])}网格"
        for i, code in zip(proposal.community.tolist(), proposal.codes, strict=True)
    ]


def store(connection: psycopg.Connection[dict[str, Any]], proposal: Proposal, srid: int) -> dict[str, int]:
    """The cells into territory.grid_cell, in the transaction that is open; gives the numbers of what was written.

    A community that had no outline gets its cells' ground as a derived one, a whole town its virtual community. Stored
    neighbours get the vertices that they share with new cells. Sites and cameras are placed anew. Raises Refused where
    another import stored cells of these communities meanwhile.
    """
    wanted = [c.code for c in proposal.communities]
    connection.execute(
        "SELECT FROM territory.unit WHERE code = ANY (%s) ORDER BY code FOR NO KEY UPDATE", (wanted,)
    )
    held = connection.execute(
        "SELECT count(*) AS n FROM territory.grid_cell WHERE community_code = ANY (%s)", (wanted,)
    ).fetchone()
    if held is not None and held["n"]:
        raise Refused(
            f"这些村居已有 {held['n']} 个网格 / {held['n']} cells of these communities are stored already; nothing was written."
        )
    with batch(connection, "grid_propose"):
        done = {"cells": len(proposal.codes), "neighbours": len(proposal.changed)}
        done["communities"] = _store_communities(connection, proposal, srid)
        rows = zip(proposal.codes, names(proposal), _ewkb(proposal.cells, srid), strict=True)
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO territory.grid_cell (code, community_code, name_zh, geom) VALUES (%s, left(%s, 12), %s, %s::geometry)",
                [(code, code, name, wkb) for code, name, wkb in rows],
            )
            cursor.executemany(
                "UPDATE territory.grid_cell SET geom = %s::geometry WHERE code = %s",
                list(zip(_ewkb(list(proposal.changed.values()), srid), proposal.changed, strict=True)),
            )
        placed = connection.execute(read_sql("staging/place_again").encode()).fetchone()
        assert placed is not None
        done |= {"sites": placed["sites"], "cameras": placed["cameras"]}
        record_batch(connection, "grid_propose", "territory.grid_cell", None, {"communities": wanted} | done)
    return done


def _store_communities(connection: psycopg.Connection[dict[str, Any]], proposal: Proposal, srid: int) -> int:
    """Outlines of communities that had none; gives their number."""
    made = [c for c in proposal.communities if c.made_from != "outline"]
    for community, wkb in zip(made, _ewkb([_many(c.outline) for c in made], srid), strict=True):
        connection.execute(
            "INSERT INTO territory.unit AS u (code, level, parent_code, name_zh, geom, source_frame)"
            " VALUES (%s, 'community', %s, %s, %s::geometry, 'derived')"
            " ON CONFLICT (code) DO UPDATE SET geom = excluded.geom, source_frame = 'derived', version = u.version + 1",
            (community.code, community.town, community.name, wkb),
        )
    return len(made)


def _ewkb(shapes: Any, srid: int) -> list[str]:
    array = np.empty(len(shapes), dtype=object)
    array[:] = list(shapes)
    return (
        shapely.to_wkb(shapely.set_srid(array, srid), hex=True, include_srid=True).tolist()
        if len(array)
        else []
    )
