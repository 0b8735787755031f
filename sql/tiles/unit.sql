-- needs: extent, cell_ground, analysis/no_cell
-- Outlines of the county and its towns; communities from zoom 12. The id is the code's last six digits after the county's.
CREATE FUNCTION tiles.unit(z integer, x integer, y integer) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- From far away from the simplified cells, so that towns meet and lie on their cells; where these are not of today, each by itself.
    WITH made AS MATERIALIZED (
        SELECT EXISTS (
            SELECT FROM territory.simplified_made_from AS m WHERE m.versions = analysis.no_cell_versions()
        ) AS is_current
    ),
    feature AS MATERIALIZED (
        SELECT
            right(u.code, 6)::integer AS id, u.level, u.code, u.name_zh, u.name_en,
            ST_AsMVTGeom(
                CASE WHEN z >= 13 THEN u.geom_3857
                ELSE coalesce(
                    s.geom_3857, ST_SimplifyPreserveTopology(u.geom_3857, 40075016.68 / power(2, z) / 4096 * 2)
                ) END,
                ST_TileEnvelope(z, x, y), 4096, 64, true
            ) AS geom
        FROM territory.unit AS u
        LEFT JOIN territory.unit_simplified AS s
            ON s.code = u.code AND s.level = tiles.simple_level(z) AND (SELECT m.is_current FROM made AS m)
        WHERE u.geom_3857 && tiles.search_box(z, x, y) AND u.valid_to IS NULL
            AND u.level = ANY (CASE WHEN z >= 12 THEN ARRAY['county', 'town', 'community'] ELSE ARRAY['county', 'town'] END)
        ORDER BY array_position(ARRAY['community', 'town', 'county'], u.level), u.code
    )
    SELECT ST_AsMVT(f, 'unit', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
$$;
COMMENT ON FUNCTION tiles.unit IS '行政边界; outlines of units: level, code, name_zh, name_en.';

-- Names as points, each in exactly one tile, so that no name is drawn twice at an edge.
CREATE FUNCTION tiles.unit_label(z integer, x integer, y integer) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH place AS (
        SELECT
            right(u.code, 6)::integer AS id, u.level, u.code, u.name_zh, u.name_en,
            ST_Transform(coalesce(u.seat, ST_PointOnSurface(u.geom)), 3857) AS at
        FROM territory.unit AS u
        WHERE u.valid_to IS NULL
            AND (u.geom_3857 IS NULL OR u.geom_3857 && tiles.search_box(z, x, y))
            AND u.level = ANY (
                CASE
                    WHEN z <= 8 THEN ARRAY['county']
                    WHEN z <= 12 THEN ARRAY['town']
                    WHEN z <= 14 THEN ARRAY['town', 'community']
                    ELSE ARRAY['community']
                END
            )
    ),
    feature AS MATERIALIZED (
        SELECT p.id, p.level, p.code, p.name_zh, p.name_en, ST_AsMVTGeom(p.at, ST_TileEnvelope(z, x, y), 4096, 0, true) AS geom
        FROM place AS p
        WHERE ST_X(p.at) >= ST_XMin(ST_TileEnvelope(z, x, y)) AND ST_X(p.at) < ST_XMax(ST_TileEnvelope(z, x, y))
            AND ST_Y(p.at) >= ST_YMin(ST_TileEnvelope(z, x, y)) AND ST_Y(p.at) < ST_YMax(ST_TileEnvelope(z, x, y))
    )
    SELECT ST_AsMVT(f, 'unit_label', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
$$;
COMMENT ON FUNCTION tiles.unit_label IS '地名; names of units as points: level, code, name_zh, name_en.';
