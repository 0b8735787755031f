-- needs: extent, analysis/risk_site, analysis/duty_lead
-- Sites by their risk, one by one from zoom 13; below, one point for each 32nd of a tile with the number of sites and the worst look.
CREATE FUNCTION tiles.risk_site(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    -- From far away most sites of the city lie in the tile: then all scores are read in one pass.
    near constant bigint[] := CASE WHEN z >= 11 THEN ARRAY(
        SELECT s.id FROM registry.site AS s WHERE s.geom_3857 && tiles.search_box(z, x, y)
    ) END;
BEGIN
    RETURN (
    WITH found AS (
        SELECT
            s.id, r.score, s.geom_3857 AS at,
            analysis.risk_look(
                r.level, analysis.risk_lacks_data(r.is_stale, r.unknown_parts),
                coalesce(d.status, 'missing') <> 'confirmed' OR NOT r.has_worker
            ) AS look
        FROM analysis.risk_state(now(), only_sites => near) AS r
        JOIN registry.site AS s ON s.id = r.site_id
        LEFT JOIN analysis.duty_lead_at(now()) AS d ON d.unit_code = r.town_code AND d.rule_code = r.rule_code
        WHERE s.geom_3857 && tiles.search_box(z, x, y)
    ),
    bucket AS (
        SELECT
            min(f.id) AS id, count(*)::integer AS n, NULL::double precision AS score,
            (ARRAY['red', 'orange', 'yellow', 'no_data', 'no_owner', 'blue'])[
                min(array_position(ARRAY['red', 'orange', 'yellow', 'no_data', 'no_owner', 'blue'], f.look))
            ] AS look,
            ST_AsMVTGeom(ST_Centroid(ST_Collect(f.at)), ST_TileEnvelope(z, x, y), 4096, 0, true) AS geom
        FROM found AS f
        WHERE z < 13 AND f.at && ST_TileEnvelope(z, x, y)
        GROUP BY ST_SnapToGrid(f.at, 40075016.68 / power(2, z) / 32)
    ),
    single AS (
        SELECT f.id, 1 AS n, f.score, f.look, ST_AsMVTGeom(f.at, ST_TileEnvelope(z, x, y), 4096, 64, true) AS geom
        FROM found AS f
        WHERE z >= 13
        ORDER BY f.id
    ),
    feature AS MATERIALIZED (
        SELECT * FROM bucket WHERE geom IS NOT NULL
        UNION ALL
        SELECT * FROM single WHERE geom IS NOT NULL
    )
    SELECT ST_AsMVT(f, 'risk_site', 4096, 'geom', 'id') FROM feature AS f
    );
END
$$;
COMMENT ON FUNCTION tiles.risk_site IS '场所风险点; sites by risk: look, score; below zoom 13 aggregated, n = number of sites and the worst look.';
