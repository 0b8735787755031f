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
-- which mends each shape by itself and is left what has to be cut.
CREATE FUNCTION tiles.drawn(geom geometry, z integer, x integer, y integer) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN tiles.search_box(z, x, y) ~ geom THEN
            ST_ForcePolygonCCW(ST_SnapToGrid(
                ST_TransScale(
                    geom, -ST_XMin(ST_TileEnvelope(z, x, y)), -ST_YMax(ST_TileEnvelope(z, x, y)),
                    4096 / (ST_XMax(ST_TileEnvelope(z, x, y)) - ST_XMin(ST_TileEnvelope(z, x, y))),
                    -4096 / (ST_YMax(ST_TileEnvelope(z, x, y)) - ST_YMin(ST_TileEnvelope(z, x, y)))
                ),
                1
            ))
        ELSE ST_AsMVTGeom(geom, ST_TileEnvelope(z, x, y), 4096, 64, true)
    END
$$;
COMMENT ON FUNCTION tiles.drawn IS '瓦片坐标中的图形; a shape (EPSG:3857) in the units of a tile, ready for ST_AsMVT; empty or NULL = too small to be drawn.';
