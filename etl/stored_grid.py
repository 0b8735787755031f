"""The grid as the database holds it, checked against its district, its communities and what is declared."""

from typing import Any

import numpy as np
import psycopg
import shapely

from etl.grid_proposal.outlines import hairs_closed
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.territory.coverage import CoverageProblem, grid_problems

__all__ = ["stored_grid_problems"]


def stored_grid_problems(
    connection: psycopg.Connection[dict[str, Any]],
) -> tuple[int, list[CoverageProblem]]:
    """Number of cells and what is wrong with them, place by place. The district is the union of its towns' outlines, or
    the county's where no town has one. Raises Refused where no cell is stored."""
    rows = connection.execute(
        "SELECT code, ST_AsBinary(geom) AS wkb FROM territory.grid_cell ORDER BY code"
    ).fetchall()
    if not rows:
        raise Refused(
            "没有网格 / No cell is stored: load a grid (geoapp load), or have one made (geoapp grid propose)."
        )
    outlines: dict[str, dict[str, shapely.Geometry]] = {"county": {}, "town": {}, "community": {}}
    for row in connection.execute(read_sql("grid/outlines").encode()).fetchall():
        outlines[row["level"]][row["code"]] = shapely.from_wkb(bytes(row["wkb"]))
    declared = connection.execute("SELECT ST_AsBinary(geom) AS wkb FROM territory.no_cell_ground").fetchall()
    ground = list((outlines["town"] or outlines["county"]).values())
    # A hair between the outlines of two towns is a fault of theirs: a cell that fills it is not outside.
    district = shapely.union_all(hairs_closed(ground)[0]) if ground else None
    cells = shapely.from_wkb(np.array([bytes(row["wkb"]) for row in rows], dtype=object))
    problems = grid_problems(
        [row["code"] for row in rows],
        np.asarray(cells, dtype=object),
        district,
        [shapely.from_wkb(bytes(row["wkb"])) for row in declared],
        communities=outlines["community"],
    )
    return len(rows), problems
