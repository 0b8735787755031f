-- needs: extent, analysis/own_area
-- From far away sites are counted cell by cell (registry.cell_risk), of the cells that the reader sees whole (communities; NULL = all
-- of them). These sites of the tile's own ground are in no such cell and are counted by themselves: in no cell, or over a border.
CREATE FUNCTION tiles.uncounted_sites(z integer, x integer, y integer, whole text[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    ground constant geometry := ST_TileEnvelope(z, x, y);
BEGIN
    IF whole IS NULL THEN
        RETURN ARRAY(
            SELECT s.id FROM registry.site AS s
            WHERE s.cell_code IS NULL
                AND ST_X(s.geom_3857) >= ST_XMin(ground) AND ST_X(s.geom_3857) < ST_XMax(ground)
                AND ST_Y(s.geom_3857) >= ST_YMin(ground) AND ST_Y(s.geom_3857) < ST_YMax(ground)
        );
    END IF;
    -- Each point is on the ground of one tile of a zoom: its right and upper edge are its neighbours'.
    RETURN ARRAY(
        SELECT s.id FROM registry.site AS s
        WHERE (s.cell_code IS NULL OR left(s.cell_code, 12) <> ALL (whole)) AND s.geom_3857 && ground
            AND ST_X(s.geom_3857) >= ST_XMin(ground) AND ST_X(s.geom_3857) < ST_XMax(ground)
            AND ST_Y(s.geom_3857) >= ST_YMin(ground) AND ST_Y(s.geom_3857) < ST_YMax(ground)
    );
END $$;
COMMENT ON FUNCTION tiles.uncounted_sites IS '瓦片内不计入任何完整可见网格的场所; sites of a tile that no count of a cell holds which the reader sees whole.';
