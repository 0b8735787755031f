-- needs: extent, analysis/no_cell
CREATE FUNCTION tiles.no_cell(z integer, x integer, y integer) RETURNS bytea
LANGUAGE sql STABLE AS $$
    WITH feature AS MATERIALIZED (
        SELECT
            n.id, n.declared, n.name_zh, n.name_en, round(n.area_m2)::integer AS area_m2,
            ST_AsMVTGeom(n.geom_3857, ST_TileEnvelope(z, x, y), 4096, 64, true) AS geom
        FROM analysis.no_cell AS n
        WHERE n.geom_3857 && tiles.search_box(z, x, y)
        ORDER BY n.id
    )
    SELECT ST_AsMVT(f, 'no_cell', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
$$;
COMMENT ON FUNCTION tiles.no_cell IS '无网格地块; ground in no cell: declared, name_zh, name_en, area_m2.';
