-- Each tile makes its features before it leaves out what is not drawn (MATERIALIZED): else each would be drawn twice.
--
-- A tile's ground in EPSG:3857 with a margin of 64/4096, so that features that cross the edge are drawn whole.
CREATE FUNCTION tiles.search_box(z integer, x integer, y integer) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ST_TileEnvelope(z, x, y, margin => 64.0 / 4096)
$$;
COMMENT ON FUNCTION tiles.search_box IS '瓦片范围加边距; ground of a tile with its margin, EPSG:3857.';

-- A shape in the units of a tile (4096 to a side, from its upper left corner), with the margin of search_box. What lies wholly
-- within is only moved onto the grid: a border that two cells share stays one border, and it costs a fifth of ST_AsMVTGeom,
-- which mends each shape by itself and is left what has to be cut. The tile is given by its ground, its search box, its upper
-- left corner and its units per metre: named by its address, each would be worked out again for every shape unless the address
-- is a constant of the plan.
CREATE FUNCTION tiles.placed(
    geom geometry, ground geometry, search geometry, west double precision, north double precision, per_m double precision
) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN search ~ geom THEN ST_ForcePolygonCCW(ST_SnapToGrid(ST_TransScale(geom, -west, -north, per_m, -per_m), 1))
        ELSE ST_AsMVTGeom(geom, ground, 4096, 64, true)
    END
$$;
COMMENT ON FUNCTION tiles.placed IS '瓦片坐标中的图形（瓦片已展开）; a shape (EPSG:3857) in the units of a tile whose ground, search box, corner and units per metre are given.';

CREATE FUNCTION tiles.units_per_m(z integer) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT 4096 / (ST_XMax(ST_TileEnvelope(z, 0, 0)) - ST_XMin(ST_TileEnvelope(z, 0, 0)))
$$;
COMMENT ON FUNCTION tiles.units_per_m IS '瓦片单位每米; units of a tile of a zoom in a metre of EPSG:3857.';

CREATE FUNCTION tiles.drawn(geom geometry, z integer, x integer, y integer) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT tiles.placed(
        geom, ST_TileEnvelope(z, x, y), tiles.search_box(z, x, y),
        ST_XMin(ST_TileEnvelope(z, x, y)), ST_YMax(ST_TileEnvelope(z, x, y)), tiles.units_per_m(z)
    )
$$;
COMMENT ON FUNCTION tiles.drawn IS '瓦片坐标中的图形; a shape (EPSG:3857) in the units of a tile, ready for ST_AsMVT; empty or NULL = too small to be drawn.';
