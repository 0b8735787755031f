-- A tile's ground in EPSG:3857 with a margin of 64/4096, so that features that cross the edge are drawn whole.
CREATE FUNCTION tiles.search_box(z integer, x integer, y integer) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ST_TileEnvelope(z, x, y, margin => 64.0 / 4096)
$$;
COMMENT ON FUNCTION tiles.search_box IS '瓦片范围加边距; ground of a tile with its margin, EPSG:3857.';
