-- needs: extent, cell_ground, uncounted_sites, analysis/parameter, analysis/own_area, analysis/duty_lead, analysis/duty, analysis/risk_cell, analysis/gap_place
-- As analysis.duty_gap, for one tile only. One by one from zoom 13; below, points are one for each 32nd of a tile, with their number
-- and the gravest class: there the sites of a cell are drawn together, at their mean place, as registry.cell_risk counts them, and
-- shapes carry their class alone and are left out where they are no larger than a pixel.
CREATE FUNCTION tiles.duty_gap(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
DECLARE
    classes constant text[] := ARRAY['missing', 'two_leads', 'disputed', 'proposed', 'no_person'];
    box constant geometry := tiles.search_box(z, x, y);
    -- The tile's ground, and the side of a group.
    west constant double precision := ST_XMin(ST_TileEnvelope(z, x, y));
    east constant double precision := ST_XMax(ST_TileEnvelope(z, x, y));
    south constant double precision := ST_YMin(ST_TileEnvelope(z, x, y));
    north constant double precision := ST_YMax(ST_TileEnvelope(z, x, y));
    side constant double precision := (east - west) / 32;
    is_grouped constant boolean := z < 13;
    pixel_m2 constant double precision := CASE WHEN z < 13 THEN (40075016.685578488 / 2 ^ z / 512) ^ 2 ELSE 0 END;
    today constant date := analysis.city_date(now());
    whole constant text[] := CASE WHEN NOT analysis.sees_all() THEN analysis.whole_units() END;
    due constant text[] := CASE WHEN z < 13 THEN analysis.risk_due_cells() END;
    apart constant bigint[] := CASE WHEN z < 13 THEN tiles.uncounted_sites(z, x, y, whole) END;
BEGIN
    RETURN (
    WITH cell AS MATERIALIZED (
        SELECT c.code, c.geom_3857 AS at
        FROM tiles.cell_ground(z, x, y) AS c
        WHERE NOT is_grouped OR ST_Area(c.geom_3857) > pixel_m2
    ),
    unstaffed AS (
        SELECT c.code, c.at FROM cell AS c
        WHERE NOT EXISTS (
            SELECT FROM duty.grid_staff AS s
            WHERE s.cell_code = c.code AND s.role = 'worker' AND s.assigned_from <= today AND (s.assigned_to IS NULL OR s.assigned_to > today)
        )
    ),
    shape AS (
        SELECT 'no_grid_worker' AS kind, 'cell' AS subject, u.code AS subject_id, g.name_zh, '' AS name_en, u.at
        FROM unstaffed AS u LEFT JOIN territory.grid_cell AS g ON NOT is_grouped AND g.code = u.code
        UNION ALL
        -- Towns and the county without a named leader or safety officer.
        SELECT 'no_town_person', 'unit', u.code, u.name_zh, u.name_en, u.geom_3857
        FROM territory.unit AS u
        WHERE u.level IN ('county', 'town') AND u.valid_to IS NULL AND u.geom_3857 && box AND (NOT is_grouped OR ST_Area(u.geom_3857) > pixel_m2)
            AND (whole IS NULL OR u.code = ANY (whole))
            AND NOT EXISTS (
                SELECT FROM duty.unit_staff AS s
                WHERE s.unit_code = u.code AND s.assigned_from <= today AND (s.assigned_to IS NULL OR s.assigned_to > today)
            )
    ),
    -- Sites that nobody leads, that two lead, or whose lead has no named person.
    site AS MATERIALIZED (
        SELECT s.id, s.name_zh, coalesce(d.status, 'missing') AS status, s.geom_3857 AS at
        FROM registry.site AS s
        LEFT JOIN analysis.duty_lead_at(now()) AS d ON d.unit_code = s.town_code AND d.rule_code = s.rule_code
        WHERE s.geom_3857 && box AND (NOT is_grouped OR s.id = ANY (apart)) AND (NOT is_grouped OR cardinality(apart) > 0)
            AND s.active_from <= today AND (s.active_to IS NULL OR s.active_to > today)
            AND coalesce(d.status, 'missing') <> 'confirmed'
    ),
    part AS (
        SELECT
            c.duty_gap_site_id AS id, c.mean_x, c.mean_y,
            c.missing_count + c.two_leads_count + c.disputed_count + c.proposed_count + c.no_person_count AS n,
            CASE
                WHEN c.missing_count > 0 THEN 1 WHEN c.two_leads_count > 0 THEN 2 WHEN c.disputed_count > 0 THEN 3
                WHEN c.proposed_count > 0 THEN 4 ELSE 5
            END AS worst
        FROM analysis.risk_cell_now(due) AS c
        WHERE is_grouped AND c.duty_gap_site_id IS NOT NULL AND (whole IS NULL OR left(c.cell_code, 12) = ANY (whole))
            AND c.mean_x >= west AND c.mean_x < east AND c.mean_y >= south AND c.mean_y < north
        UNION ALL
        SELECT s.id, ST_X(s.at), ST_Y(s.at), 1, array_position(classes, s.status) FROM site AS s WHERE is_grouped
    ),
    bucket AS (
        SELECT
            -- Of one gap its own number; of more, the place's.
            analysis.gap_no(classes[min(p.worst)], 'site', min(p.id)::text) AS id, classes[min(p.worst)] AS class, sum(p.n)::integer AS n,
            ST_AsMVTGeom(
                ST_SetSRID(ST_MakePoint(sum(p.n * p.mean_x) / sum(p.n), sum(p.n * p.mean_y) / sum(p.n)), 3857),
                ST_TileEnvelope(z, x, y), 4096, 0, true
            ) AS geom
        FROM part AS p
        GROUP BY floor((p.mean_x - west) / side), floor((p.mean_y - south) / side)
    ),
    feature AS MATERIALIZED (
        SELECT
            b.id, b.class, NULL AS subject, NULL AS subject_id, NULL AS name_zh, NULL AS name_en, b.n, b.geom
        FROM bucket AS b
        UNION ALL
        SELECT
            analysis.gap_no(s.status, 'site', s.id::text), analysis.duty_gap_class(s.status, s.status), 'site', s.id::text, s.name_zh, s.name_zh, 1,
            tiles.drawn(s.at, z, x, y)
        FROM site AS s WHERE NOT is_grouped
        UNION ALL
        SELECT
            analysis.gap_no(s.kind, s.subject, s.subject_id), s.kind, CASE WHEN NOT is_grouped THEN s.subject END,
            CASE WHEN NOT is_grouped THEN s.subject_id END, CASE WHEN NOT is_grouped THEN s.name_zh END,
            CASE WHEN NOT is_grouped THEN s.name_en END, 1, tiles.drawn(s.at, z, x, y)
        FROM shape AS s
    )
    SELECT ST_AsMVT(f, 'duty_gap', 4096, 'geom', 'id') FROM feature AS f WHERE NOT ST_IsEmpty(f.geom)
    );
END
$$;
COMMENT ON FUNCTION tiles.duty_gap IS '责任缺口; missing duties: class, subject, subject_id, name_zh, name_en; below zoom 13 points aggregated, n = number of gaps and the gravest class.';
