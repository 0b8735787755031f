-- needs: extent, uncounted_sites, analysis/own_area, analysis/risk_site, analysis/risk_cell, analysis/duty_lead
-- Sites by their risk, one by one from zoom 13; below, one point for each 32nd of a tile with the number of sites and the worst
-- look. From there the sites of a cell are drawn together, at their mean place, as registry.cell_risk counts them.
CREATE FUNCTION tiles.risk_site(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    looks constant text[] := ARRAY['red', 'orange', 'yellow', 'no_data', 'no_owner', 'blue'];
    is_grouped constant boolean := z < 13;
    -- The tile's ground, and the side of a group.
    west constant double precision := ST_XMin(ST_TileEnvelope(z, x, y));
    east constant double precision := ST_XMax(ST_TileEnvelope(z, x, y));
    south constant double precision := ST_YMin(ST_TileEnvelope(z, x, y));
    north constant double precision := ST_YMax(ST_TileEnvelope(z, x, y));
    side constant double precision := (east - west) / 32;
    whole constant text[] := CASE WHEN z < 13 AND NOT analysis.sees_all() THEN analysis.whole_units() END;
    due constant text[] := CASE WHEN z < 13 THEN analysis.risk_due_cells() END;
    box constant geometry := tiles.search_box(z, x, y);
    apart constant bigint[] := CASE WHEN z < 13 THEN tiles.uncounted_sites(z, x, y, whole) END;
    is_kept constant boolean := analysis.risk_is_kept();
    due_sites constant bigint[] := CASE
        WHEN z < 13 AND cardinality(apart) = 0 THEN '{}'
        ELSE ARRAY(
            SELECT s.id FROM registry.site AS s
            WHERE CASE WHEN z < 13 THEN s.id = ANY (apart) ELSE s.geom_3857 && box END
                AND (NOT is_kept OR s.id IN (SELECT d.site_id FROM analysis.risk_due_sites() AS d))
        )
    END;
BEGIN
    RETURN (
    WITH by_cell AS (
        SELECT
            c.top_site_id AS id, c.site_count AS n, c.mean_x, c.mean_y,
            CASE
                WHEN c.red_count > 0 THEN 1 WHEN c.orange_count > 0 THEN 2 WHEN c.yellow_count > 0 THEN 3
                WHEN c.no_data_count > 0 THEN 4 WHEN c.no_owner_count > 0 THEN 5 ELSE 6
            END AS worst
        FROM analysis.risk_cell_now(due) AS c
        WHERE is_grouped AND (whole IS NULL OR left(c.cell_code, 12) = ANY (whole))
            AND c.mean_x >= west AND c.mean_x < east AND c.mean_y >= south AND c.mean_y < north
    ),
    site_near AS MATERIALIZED (
        SELECT s.id, s.geom_3857 AS at FROM registry.site AS s
        WHERE CASE WHEN is_grouped THEN s.id = ANY (apart) ELSE s.geom_3857 && box END
    ),
    -- Their scores as they are kept, and those that are due worked out.
    state AS (
        SELECT s.id, s.at, r.*
        FROM site_near AS s
        CROSS JOIN LATERAL (
            SELECT k.town_code, k.rule_code, k.score, k.level, k.unknown_parts, k.has_worker, k.is_stale
            FROM registry.site_risk AS k WHERE k.site_id = s.id AND k.is_active OFFSET 0
        ) AS r
        WHERE is_kept AND s.id <> ALL (due_sites)
        UNION ALL
        SELECT s.id, s.at, r.town_code, r.rule_code, r.score, r.level, r.unknown_parts, r.has_worker, r.is_stale
        FROM analysis.risk_site_of(now(), due_sites) AS r JOIN site_near AS s ON s.id = r.site_id
        WHERE cardinality(due_sites) > 0
    ),
    by_itself AS MATERIALIZED (
        SELECT
            r.id, r.score, r.at,
            analysis.risk_look(
                r.level, analysis.risk_lacks_data(r.is_stale, r.unknown_parts),
                coalesce(d.status, 'missing') <> 'confirmed' OR NOT r.has_worker
            ) AS look
        FROM state AS r
        LEFT JOIN analysis.duty_lead_at(now()) AS d ON d.unit_code = r.town_code AND d.rule_code = r.rule_code
    ),
    part AS (
        SELECT c.id, c.n, c.worst, c.mean_x, c.mean_y FROM by_cell AS c
        UNION ALL
        SELECT i.id, 1, array_position(looks, i.look), ST_X(i.at), ST_Y(i.at) FROM by_itself AS i WHERE is_grouped
    ),
    bucket AS (
        SELECT
            min(p.id) AS id, sum(p.n)::integer AS n, NULL::double precision AS score, looks[min(p.worst)] AS look,
            ST_AsMVTGeom(
                ST_SetSRID(ST_MakePoint(sum(p.n * p.mean_x) / sum(p.n), sum(p.n * p.mean_y) / sum(p.n)), 3857),
                ST_TileEnvelope(z, x, y), 4096, 0, true
            ) AS geom
        FROM part AS p
        GROUP BY floor((p.mean_x - west) / side), floor((p.mean_y - south) / side)
    ),
    single AS (
        SELECT i.id, 1 AS n, i.score, i.look, tiles.drawn(i.at, z, x, y) AS geom
        FROM by_itself AS i
        WHERE NOT is_grouped
        ORDER BY i.id
    ),
    feature AS MATERIALIZED (
        SELECT * FROM bucket UNION ALL SELECT * FROM single
    )
    SELECT ST_AsMVT(f, 'risk_site', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
    );
END
$$;
COMMENT ON FUNCTION tiles.risk_site IS '场所风险点; sites by risk: look, score; below zoom 13 aggregated, n = number of sites and the worst look.';
