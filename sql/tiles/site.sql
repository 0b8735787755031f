-- needs: extent, analysis/parameter
-- Sites one by one from zoom 12; below, one point for each 32nd of a tile with the number of sites and the worst grade.
CREATE FUNCTION tiles.site(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    -- Planned for this tile: a plan for any tile takes every tile for a small one, and never a town's own index.
    RETURN (
    WITH near AS (
        SELECT s.id, s.hazard_level, s.name_zh, s.rule_code, s.geom_3857
        FROM registry.site AS s
        WHERE s.geom_3857 && ST_TileEnvelope(z, x, y)
            AND s.active_from <= analysis.city_date(now()) AND (s.active_to IS NULL OR s.active_to > analysis.city_date(now()))
    ),
    bucket AS (
        SELECT
            min(n.id)::integer AS id, count(*)::integer AS n,
            (ARRAY['red', 'orange', 'yellow', 'blue'])[
                min(array_position(ARRAY['red', 'orange', 'yellow', 'blue'], n.hazard_level))
            ] AS hazard_level,
            NULL::text AS name_zh, NULL::text AS category,
            ST_Centroid(ST_Collect(n.geom_3857)) AS at
        FROM near AS n
        WHERE z < 12
        GROUP BY ST_SnapToGrid(n.geom_3857, 40075016.68 / power(2, z) / 32)
    ),
    single AS (
        SELECT
            n.id::integer AS id, 1 AS n, n.hazard_level, CASE WHEN z >= 14 THEN n.name_zh END AS name_zh, r.category, n.geom_3857 AS at
        FROM near AS n LEFT JOIN duty.rule AS r ON r.code = n.rule_code WHERE z >= 12
        ORDER BY n.id
    ),
    feature AS (
        SELECT p.id, p.n, p.hazard_level, p.name_zh, p.category, ST_AsMVTGeom(p.at, ST_TileEnvelope(z, x, y), 4096, 0, true) AS geom
        FROM (SELECT * FROM bucket UNION ALL SELECT * FROM single) AS p
    )
    SELECT ST_AsMVT(f, 'site', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
    );
END
$$;
COMMENT ON FUNCTION tiles.site IS '场所点; sites: hazard_level, category of the type, name_zh from zoom 14; below zoom 12 aggregated, n = number of sites.';
