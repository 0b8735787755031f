-- needs: extent, cell_ground
-- Grid cells from close by, where a tile holds hundreds: one plan for all tiles, which takes as long to make as to follow.
CREATE FUNCTION tiles.close_cell(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ground constant geometry := ST_TileEnvelope(z, x, y);
    search constant geometry := tiles.search_box(z, x, y);
    west constant double precision := ST_XMin(ground);
    north constant double precision := ST_YMax(ground);
    per_m constant double precision := tiles.units_per_m(z);
BEGIN
    RETURN (
    WITH feature AS MATERIALIZED (
        SELECT c.cell_no AS id, c.code, c.town_code, tiles.placed(c.geom_3857, ground, search, west, north, per_m) AS geom
        FROM territory.grid_cell AS c
        WHERE c.geom_3857 && search
        ORDER BY c.cell_no
    )
    SELECT ST_AsMVT(f, 'cell', 4096, 'geom', 'id') FROM feature AS f WHERE NOT ST_IsEmpty(f.geom)
    );
END
$$;
COMMENT ON FUNCTION tiles.close_cell IS '近处的网格（完整边界）; grid cells from close by, full outlines: as tiles.cell.';

-- Grid cells, geometry and codes only: the colour of a lens comes by id and is painted by the client.
CREATE FUNCTION tiles.cell(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    IF tiles.simple_level(z) IS NULL THEN
        RETURN tiles.close_cell(z, x, y);
    END IF;
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
