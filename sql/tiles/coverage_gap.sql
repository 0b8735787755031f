-- needs: extent, cell_ground, uncounted_sites, analysis/parameter, analysis/own_area, analysis/no_cell, analysis/camera, analysis/key_risk_area, analysis/risk_site, analysis/risk_cell, analysis/gap_place
-- As analysis.coverage_gap, for one tile only. One by one from zoom 13; below, points are one for each 32nd of a tile, with their
-- number and the worst kind: there the sites of a cell that are not checked are drawn together, at the mean place of its sites, as
-- registry.cell_risk counts them, and shapes carry their kind alone and are left out where they are no larger than a pixel.
CREATE FUNCTION tiles.coverage_gap(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off SET work_mem = '64MB' AS $$
DECLARE
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
    seen_fraction_min constant double precision := analysis.parameter_value('seen_fraction_min');
    not_observed_before constant timestamptz := now() - make_interval(secs => 3600 * analysis.parameter_value('not_observed_hours'));
    -- What stands in a cell is known to those who see all of it.
    whole constant text[] := CASE WHEN NOT analysis.sees_all() THEN analysis.whole_units() END;
    due constant text[] := CASE WHEN z < 13 THEN analysis.risk_due_cells() END;
    -- From far away the sites that no cell's count holds; close by those of the tile, and of the cells that reach into it.
    apart constant bigint[] := CASE WHEN z < 13 THEN tiles.uncounted_sites(z, x, y, whole) END;
    cells constant text[] := CASE WHEN z >= 13 THEN ARRAY(SELECT c.code FROM tiles.cell_ground(z, x, y) AS c) END;
    is_kept constant boolean := analysis.risk_is_kept();
    due_sites constant bigint[] := CASE
        WHEN z < 13 AND cardinality(apart) = 0 THEN '{}'
        ELSE ARRAY(
            SELECT s.id FROM registry.site AS s
            WHERE CASE WHEN z < 13 THEN s.id = ANY (apart) ELSE s.geom_3857 && box OR s.cell_code = ANY (cells) END
                AND (NOT is_kept OR s.id IN (SELECT d.site_id FROM analysis.risk_due_sites() AS d))
        )
    END;
BEGIN
    RETURN (
    WITH cell AS MATERIALIZED (
        SELECT c.code, c.geom_3857 AS at
        FROM tiles.cell_ground(z, x, y) AS c
        WHERE (whole IS NULL OR left(c.code, 12) = ANY (whole)) AND (NOT is_grouped OR ST_Area(c.geom_3857) > pixel_m2)
    ),
    area AS MATERIALIZED (
        SELECT a.id, a.name_zh, a.name_en, a.seen_fraction, a.online_camera_count, a.geom, a.geom_3857
        FROM analysis.key_risk_area_at(now()) AS a
    ),
    counted AS MATERIALIZED (
        SELECT c.cell_code, c.unseen_count, c.overdue_count, c.overdue_site_id, c.mean_x, c.mean_y
        FROM analysis.risk_cell_now(due) AS c
        WHERE is_grouped AND (whole IS NULL OR left(c.cell_code, 12) = ANY (whole))
    ),
    site_near AS MATERIALIZED (
        SELECT s.id, s.name_zh, s.geom_3857 AS at FROM registry.site AS s
        WHERE CASE WHEN is_grouped THEN s.id = ANY (apart) ELSE s.geom_3857 && box OR s.cell_code = ANY (cells) END
    ),
    -- Their scores as they are kept, and those that are due worked out.
    state AS MATERIALIZED (
        SELECT s.id, s.name_zh, s.at, r.cell_code, r.level, r.is_seen, r.checked_at
        FROM site_near AS s
        CROSS JOIN LATERAL (
            SELECT k.cell_code, k.level, k.is_seen, k.checked_at FROM registry.site_risk AS k WHERE k.site_id = s.id AND k.is_active OFFSET 0
        ) AS r
        WHERE is_kept AND s.id <> ALL (due_sites)
        UNION ALL
        SELECT s.id, s.name_zh, s.at, r.cell_code, r.level, r.is_seen, r.checked_at
        FROM analysis.risk_site_of(now(), due_sites) AS r JOIN site_near AS s ON s.id = r.site_id
        WHERE cardinality(due_sites) > 0
    ),
    -- Cells in which something should be seen that no online camera sees.
    unseen AS (
        SELECT k.cell_code AS code FROM counted AS k WHERE k.unseen_count > 0
        UNION ALL
        SELECT r.cell_code FROM state AS r WHERE r.level IN ('orange', 'red') AND NOT r.is_seen AND r.cell_code IS NOT NULL
        UNION ALL
        SELECT g.code
        FROM (
            SELECT ST_PointOnSurface(a.geom) AS at FROM area AS a
            WHERE a.online_camera_count = 0
                -- Simplified cells are a little smaller than they are.
                AND a.geom_3857 && (SELECT ST_Expand(ST_SetSRID(ST_Extent(c.at)::geometry, 3857), sqrt(pixel_m2)) FROM cell AS c)
            OFFSET 0
        ) AS p
        JOIN territory.grid_cell AS g ON g.geom && p.at AND ST_Intersects(g.geom, p.at)
    ),
    judged AS (
        SELECT
            c.code, c.at,
            c.code NOT IN (
                SELECT s.cell_code FROM duty.grid_staff AS s
                WHERE s.role = 'worker' AND s.assigned_from <= today AND (s.assigned_to IS NULL OR s.assigned_to > today)
            ) AS is_unstaffed,
            c.code IN (SELECT u.code FROM unseen AS u) AS is_unseen
        FROM cell AS c
    ),
    -- A cell with two gaps is drawn once and told twice.
    cell_drawn AS MATERIALIZED (
        SELECT j.code, j.is_unstaffed, j.is_unseen, tiles.drawn(j.at, z, x, y) AS geom
        FROM judged AS j WHERE j.is_unstaffed OR j.is_unseen
    ),
    cell_gap AS (
        SELECT 'no_grid_worker' AS kind, d.code, d.geom FROM cell_drawn AS d WHERE d.is_unstaffed
        UNION ALL
        SELECT 'no_camera', d.code, d.geom FROM cell_drawn AS d WHERE d.is_unseen
    ),
    shape AS (
        SELECT 'no_cell' AS kind, 'ground' AS subject, n.id::text AS subject_id, n.name_zh, n.name_en, n.geom_3857 AS at
        FROM analysis.no_cell AS n WHERE n.geom_3857 && box
        UNION ALL
        SELECT 'no_camera', 'key_risk_area', a.id::text, a.name_zh, a.name_en, a.geom_3857
        FROM area AS a WHERE coalesce(a.seen_fraction < seen_fraction_min, true) AND a.geom_3857 && box
    ),
    -- Days after which the next check is overdue, by colour.
    check_due (colour, span) AS MATERIALIZED (
        SELECT c.colour, make_interval(secs => 86400 * analysis.check_days(c.colour))
        FROM (VALUES ('red'), ('orange'), ('yellow'), ('blue')) AS c (colour)
    ),
    point AS MATERIALIZED (
        -- A neighbour's camera that looks in is the neighbour's gap.
        SELECT 'not_observed' AS kind, 'camera' AS subject, m.id AS subject_id, m.name_zh, m.gb_id AS name_en, m.geom_3857 AS at
        FROM analysis.camera_at(now()) AS m CROSS JOIN analysis.own_area AS o
        WHERE m.geom_3857 && box AND m.is_connected AND coalesce(m.last_observed_at < not_observed_before, true)
            AND CASE o.scope WHEN 'town' THEN m.town_code = ANY (o.areas) WHEN 'community' THEN left(m.cell_code, 12) = ANY (o.areas) ELSE true END
        UNION ALL
        SELECT 'not_checked', 'site', r.id, r.name_zh, r.name_zh, r.at
        FROM state AS r JOIN check_due AS d ON d.colour = r.level
        WHERE r.at && box AND coalesce(r.checked_at <= now() - d.span, true)
    ),
    part AS (
        SELECT p.kind, p.subject, p.subject_id, 1 AS n, ST_X(p.at) AS mean_x, ST_Y(p.at) AS mean_y FROM point AS p WHERE is_grouped
        UNION ALL
        SELECT 'not_checked', 'site', k.overdue_site_id, k.overdue_count, k.mean_x, k.mean_y
        FROM counted AS k WHERE is_grouped AND k.overdue_count > 0
    ),
    bucket AS (
        SELECT
            -- Of one gap its own number; of more, the place's.
            analysis.gap_no(min(p.kind), min(p.subject), min(p.subject_id)::text) AS id,
            CASE WHEN bool_or(p.kind = 'not_observed') THEN 'not_observed' ELSE 'not_checked' END AS kind,
            sum(p.n)::integer AS n,
            ST_AsMVTGeom(
                ST_SetSRID(ST_MakePoint(sum(p.n * p.mean_x) / sum(p.n), sum(p.n * p.mean_y) / sum(p.n)), 3857),
                ST_TileEnvelope(z, x, y), 4096, 0, true
            ) AS geom
        FROM part AS p
        WHERE p.mean_x >= west AND p.mean_x < east AND p.mean_y >= south AND p.mean_y < north
        GROUP BY floor((p.mean_x - west) / side), floor((p.mean_y - south) / side)
    ),
    feature AS MATERIALIZED (
        SELECT
            b.id, b.kind, NULL AS subject, NULL AS subject_id, NULL AS name_zh, NULL AS name_en, b.n, b.geom
        FROM bucket AS b
        UNION ALL
        SELECT
            analysis.gap_no(p.kind, p.subject, p.subject_id::text), p.kind, p.subject, p.subject_id::text, p.name_zh, p.name_en, 1,
            tiles.drawn(p.at, z, x, y)
        FROM point AS p WHERE NOT is_grouped
        UNION ALL
        SELECT
            analysis.gap_no(s.kind, s.subject, s.subject_id), s.kind, CASE WHEN NOT is_grouped THEN s.subject END,
            CASE WHEN NOT is_grouped THEN s.subject_id END, CASE WHEN NOT is_grouped THEN s.name_zh END,
            CASE WHEN NOT is_grouped THEN s.name_en END, 1, tiles.drawn(s.at, z, x, y)
        FROM shape AS s WHERE NOT is_grouped OR ST_Area(s.at) > pixel_m2
        UNION ALL
        SELECT
            analysis.gap_no(g.kind, 'cell', g.code), g.kind, CASE WHEN NOT is_grouped THEN 'cell' END,
            CASE WHEN NOT is_grouped THEN g.code END, k.name_zh, CASE WHEN NOT is_grouped THEN '' END, 1, g.geom
        FROM cell_gap AS g
        LEFT JOIN territory.grid_cell AS k ON NOT is_grouped AND k.code = g.code
    )
    SELECT ST_AsMVT(f, 'coverage_gap', 4096, 'geom', 'id') FROM feature AS f WHERE NOT ST_IsEmpty(f.geom)
    );
END
$$;
COMMENT ON FUNCTION tiles.coverage_gap IS '监管盲区; coverage gaps: kind, subject, subject_id, name_zh, name_en; below zoom 13 points aggregated, n = number of gaps and the worst kind.';
