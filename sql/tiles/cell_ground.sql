-- needs: extent
-- Which simplified outlines a zoom is drawn from: 1 to zoom 10, 2 at 11, 3 at 12; closer ones from the full outline (NULL).
CREATE FUNCTION tiles.simple_level(z integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN z <= 10 THEN 1 WHEN z <= 12 THEN z - 9 END
$$;
COMMENT ON FUNCTION tiles.simple_level IS '缩放级对应的简化级; level of simplified outlines for a zoom, NULL = the full outline.';

-- The cells of a tile: simplified where that is wanted and made, else the full outline. Only where something has changed since
-- they were made is each cell asked whether it has one.
CREATE FUNCTION tiles.cell_ground(z integer, x integer, y integer) RETURNS TABLE (
    cell_no integer, code text, town_code text, geom_3857 geometry(Geometry, 3857)
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT s.cell_no, s.code, s.town_code, s.geom_3857
    FROM territory.cell_simplified AS s
    WHERE s.level = tiles.simple_level(z) AND s.geom_3857 && tiles.search_box(z, x, y)
    UNION ALL
    SELECT c.cell_no, c.code, c.town_code, c.geom_3857
    FROM territory.grid_cell AS c
    WHERE c.geom_3857 && tiles.search_box(z, x, y)
        AND (
            tiles.simple_level(z) IS NULL
            OR (
                NOT (SELECT EXISTS (
                    SELECT FROM territory.simplified_made_from AS m JOIN territory.layer_version AS v
                        ON v.layer = 'cell' AND v.version = m.cell_version
                ))
                AND NOT EXISTS (
                    SELECT FROM territory.cell_simplified AS s WHERE s.level = tiles.simple_level(z) AND s.cell_no = c.cell_no
                )
            )
        )
$$;
COMMENT ON FUNCTION tiles.cell_ground IS '瓦片内的网格，小比例尺用简化边界; cells of a tile, simplified from far away: cell_no, code, town_code, geom_3857.';
