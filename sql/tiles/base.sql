-- needs: extent
-- Water, roads, built-up ground and green: areas first, lines above; small and minor things from closer zooms.
CREATE FUNCTION tiles.base(z integer, x integer, y integer) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH feature AS MATERIALIZED (
        SELECT b.id, b.kind, b.name_zh, b.name_en,
            ST_AsMVTGeom(b.geom_3857, ST_TileEnvelope(z, x, y), 4096, 64, true) AS geom
        FROM territory.base_feature AS b
        WHERE b.geom_3857 && tiles.search_box(z, x, y)
            AND (z >= 11 OR b.kind <> 'road')
            AND (
                ST_Dimension(b.geom_3857) < 2 OR z >= 13
                OR ST_Area(b.geom_3857) > power(40075016.68 / power(2, z) / 512, 2)
            )
        ORDER BY array_position(
            ARRAY['sea', 'built_up', 'green', 'water', 'river', 'railway', 'road', 'main_road', 'motorway'], b.kind
        ), b.id
    )
    SELECT ST_AsMVT(f, 'base', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
$$;
COMMENT ON FUNCTION tiles.base IS '底图; the base map: kind, name_zh, name_en.';
