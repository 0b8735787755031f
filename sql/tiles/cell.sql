-- needs: extent, cell_ground
-- Grid cells, geometry and codes only: the colour of a lens comes by id and is painted by the client.
CREATE FUNCTION tiles.cell(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    -- Planned for this tile: a plan for any tile takes every tile for a small one, and never a town's own index.
    RETURN (
    WITH feature AS MATERIALIZED (
        SELECT
            c.cell_no AS id, c.code, c.town_code,
            tiles.drawn(c.geom_3857, z, x, y) AS geom
        FROM tiles.cell_ground(z, x, y) AS c
        ORDER BY c.cell_no
    )
    SELECT ST_AsMVT(f, 'cell', 4096, 'geom', 'id') FROM feature AS f WHERE NOT ST_IsEmpty(f.geom)
    );
END
$$;
COMMENT ON FUNCTION tiles.cell IS '网格; grid cells: id = cell_no, code, town_code.';
