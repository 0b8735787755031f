-- needs: parameter, own_area, unit, no_cell, town_tally, camera, key_risk_area, event, risk_cell, gap_count, duty
-- The figures of the first screen, one row each: value, and numerator and denominator where it is a share. They are of the
-- reader's own area; what cannot be told of it (an enterprise does not see a whole cell) is NULL, never 0.
CREATE FUNCTION analysis.headline_at(moment timestamptz) RETURNS TABLE (
    name text, value double precision, numerator double precision, denominator double precision, unit text, as_of timestamptz
) LANGUAGE sql STABLE AS $$
    WITH own AS MATERIALIZED (
        SELECT o.* FROM analysis.own_area AS o
    ),
    area AS MATERIALIZED (
        SELECT a.seen_fraction FROM analysis.key_risk_area_at(moment) AS a CROSS JOIN own AS o
        WHERE CASE o.scope WHEN 'town' THEN a.town_code = ANY (o.areas) ELSE true END
    ),
    cell AS MATERIALIZED (
        SELECT r.level, r.cell_code FROM analysis.risk_cell_at(moment) AS r
    ),
    site AS MATERIALIZED (
        SELECT
            coalesce(sum(t.site_count), 0) AS n, coalesce(sum(t.no_lead_count), 0) AS no_lead,
            coalesce(sum(t.unanswered_count), 0) AS unanswered
        FROM analysis.town_tally_at(moment) AS t CROSS JOIN own AS o
        WHERE CASE o.scope WHEN 'town' THEN t.town_code = ANY (o.areas) ELSE true END
    ),
    grid AS MATERIALIZED (
        SELECT g.code, g.worker_count FROM analysis.grid_cell_at(moment) AS g
    ),
    -- Ground that should be in cells; without any outline nobody can say how much is missing.
    district AS (
        SELECT coalesce(
            sum(u.area_km2) FILTER (WHERE u.level = 'county'), sum(u.area_km2) FILTER (WHERE u.level = 'town')
        ) AS km2
        FROM analysis.unit AS u JOIN analysis.whole_unit AS w ON w.code = u.code
    ),
    ground AS (
        SELECT coalesce(sum(n.area_m2), 0) / 1e6 AS km2, coalesce(sum(n.area_m2) FILTER (WHERE n.declared), 0) / 1e6 AS declared_km2
        FROM analysis.no_cell AS n
    ),
    camera AS MATERIALIZED (
        SELECT c.is_connected, c.is_online FROM analysis.camera_at(moment) AS c CROSS JOIN own AS o
        WHERE CASE o.scope WHEN 'town' THEN c.town_code = ANY (o.areas) WHEN 'community' THEN left(c.cell_code, 12) = ANY (o.areas) ELSE true END
    ),
    -- Counted in one pass: in ten years they are millions.
    event AS MATERIALIZED (
        SELECT
            count(*) AS n,
            count(*) FILTER (WHERE NOT coalesce(e.closed_at <= moment, e.state = 'closed')) AS open,
            -- A review that came later had not been made.
            count(*) FILTER (WHERE e.review = 'unreviewed' OR e.reviewed_at > moment) AS unreviewed,
            count(*) FILTER (WHERE e.first_seen_at >= (SELECT analysis.city_midnight(moment))) AS today
        FROM analysis.event AS e CROSS JOIN own AS o
        WHERE e.first_seen_at <= moment
            AND CASE o.scope WHEN 'town' THEN e.town_code = ANY (o.areas) WHEN 'community' THEN left(e.cell_code, 12) = ANY (o.areas) ELSE true END
    ),
    gap AS MATERIALIZED (
        SELECT g.kind, g.n FROM analysis.coverage_gap_count_at(moment) AS g CROSS JOIN own AS o
        WHERE CASE o.scope WHEN 'town' THEN g.town_code = ANY (o.areas) ELSE true END
    ),
    -- K17: of the place types that have a site in the county, those with exactly one confirmed lead. For a town's reader: in
    -- its towns, one by one.
    type AS MATERIALIZED (
        SELECT m.status FROM analysis.duty_matrix_at(moment) AS m CROSS JOIN own AS o
        WHERE m.site_count > 0 AND m.unit_level = CASE o.scope WHEN 'town' THEN 'town' ELSE 'county' END
    ),
    staffed AS (
        SELECT count(*) FILTER (WHERE g.worker_count = 0) AS without_worker, count(*) AS cells FROM grid AS g
    ),
    figure (name, numerator, denominator, is_share, unit) AS (
        SELECT 'key_risk_area_total', count(*)::double precision, NULL::double precision, false, 'area' FROM area
        UNION ALL SELECT 'key_risk_area_seen_under_60',
            count(*) FILTER (WHERE coalesce(a.seen_fraction < (SELECT analysis.parameter_value('seen_fraction_min')), true)), count(*), false, 'area' FROM area AS a
        UNION ALL SELECT 'ground_in_no_cell_km2', CASE WHEN d.km2 IS NOT NULL THEN g.km2 END, d.km2, false, 'km2' FROM ground AS g, district AS d
        UNION ALL SELECT 'ground_declared_no_cell_km2', CASE WHEN d.km2 IS NOT NULL THEN g.declared_km2 END, g.km2, false, 'km2'
        FROM ground AS g, district AS d
        UNION ALL SELECT 'sites_total', s.n, NULL, false, 'site' FROM site AS s
        UNION ALL SELECT 'sites_without_confirmed_lead', s.no_lead, s.n, false, 'site' FROM site AS s
        -- K18: no clear lead, no named person, no grid worker, or nobody in the town.
        UNION ALL SELECT 'sites_with_duty_gap', s.unanswered, s.n, false, 'site' FROM site AS s
        UNION ALL SELECT 'duty_clear_rate', count(*) FILTER (WHERE t.status IN ('confirmed', 'no_person')), count(*), true, 'share' FROM type AS t
        UNION ALL SELECT 'cells_total', count(*), NULL, false, 'cell' FROM cell
        UNION ALL SELECT 'cells_red', count(*) FILTER (WHERE c.level = 'red'), count(*), false, 'cell' FROM cell AS c
        UNION ALL SELECT 'cells_orange', count(*) FILTER (WHERE c.level = 'orange'), count(*), false, 'cell' FROM cell AS c
        UNION ALL SELECT 'cells_yellow', count(*) FILTER (WHERE c.level = 'yellow'), count(*), false, 'cell' FROM cell AS c
        UNION ALL SELECT 'cells_blue', count(*) FILTER (WHERE c.level = 'blue'), count(*), false, 'cell' FROM cell AS c
        UNION ALL SELECT 'cells_no_site', count(*) FILTER (WHERE c.level IS NULL), count(*), false, 'cell' FROM cell AS c
        UNION ALL SELECT 'cells_without_worker', s.without_worker, s.cells, false, 'cell' FROM staffed AS s
        UNION ALL SELECT 'cameras_total', count(*), NULL, false, 'camera' FROM camera
        UNION ALL SELECT 'cameras_connected', count(*) FILTER (WHERE c.is_connected), count(*), false, 'camera' FROM camera AS c
        UNION ALL SELECT 'cameras_online', count(*) FILTER (WHERE c.is_online), count(*) FILTER (WHERE c.is_connected), false, 'camera' FROM camera AS c
        UNION ALL SELECT 'incidents_open', e.open, NULL, false, 'incident' FROM event AS e
        UNION ALL SELECT 'incidents_unreviewed', e.unreviewed, e.n, false, 'incident' FROM event AS e
        UNION ALL SELECT 'incidents_today', e.today, NULL, false, 'incident' FROM event AS e
        UNION ALL SELECT 'gaps_' || k.kind, coalesce(sum(g.n), 0), NULL, false, 'gap'
        FROM (VALUES ('no_cell'), ('no_grid_worker'), ('no_camera'), ('not_observed'), ('not_checked')) AS k (kind)
        LEFT JOIN gap AS g ON g.kind = k.kind
        GROUP BY k.kind
    )
    SELECT
        f.name,
        CASE WHEN k.yes THEN CASE WHEN f.is_share THEN f.numerator / nullif(f.denominator, 0) ELSE f.numerator END END,
        CASE WHEN k.yes THEN f.numerator END, CASE WHEN k.yes THEN f.denominator END, f.unit, moment
    FROM figure AS f CROSS JOIN own AS o
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN NOT o.is_known THEN false
            WHEN f.name IN ('ground_in_no_cell_km2', 'ground_declared_no_cell_km2', 'gaps_no_cell', 'duty_clear_rate') THEN o.has_ground
            WHEN f.name LIKE 'cells\_%' OR f.name IN ('gaps_no_grid_worker', 'gaps_no_camera') THEN o.has_cells
            ELSE true
        END AS yes
    ) AS k
$$;
CREATE VIEW analysis.headline AS SELECT * FROM analysis.headline_at(now());
COMMENT ON VIEW analysis.headline IS '首页指标：数值、分子、分母与截至时间; the figures of the first screen with numerator, denominator and time.';
COMMENT ON COLUMN analysis.headline.value IS 'A count, an area, or a share 0 to 1 (unit = share; NULL where the denominator is 0, or where the reader does not see enough to tell).';

CREATE FUNCTION analysis.town_summary_at(moment timestamptz) RETURNS TABLE (
    town_code text, name_zh text, name_en text, cells bigint, sites bigint, key_risk_areas bigint,
    key_risk_areas_under_60 bigint, cameras bigint, cameras_online bigint, red_cells bigint, orange_cells bigint,
    coverage_gaps bigint, duty_gap_sites bigint, open_incidents bigint, as_of timestamptz
) LANGUAGE sql STABLE AS $$
    WITH cell AS (
        SELECT r.town_code, count(*) AS n, count(*) FILTER (WHERE r.level = 'red') AS red, count(*) FILTER (WHERE r.level = 'orange') AS orange
        FROM analysis.risk_cell_at(moment) AS r GROUP BY r.town_code
    ),
    site AS (
        SELECT t.town_code, t.site_count AS n, t.lead_gap_count AS gap FROM analysis.town_tally_at(moment) AS t
    ),
    area AS (
        SELECT a.town_code, count(*) AS n,
            count(*) FILTER (WHERE coalesce(a.seen_fraction < (SELECT analysis.parameter_value('seen_fraction_min')), true)) AS under_60
        FROM analysis.key_risk_area_at(moment) AS a GROUP BY a.town_code
    ),
    camera AS (
        SELECT c.town_code, count(*) AS n, count(*) FILTER (WHERE c.is_online) AS online
        FROM analysis.camera_at(moment) AS c GROUP BY c.town_code
    ),
    gap AS (
        SELECT g.town_code, sum(g.n)::bigint AS n FROM analysis.coverage_gap_count_at(moment) AS g GROUP BY g.town_code
    ),
    event AS (
        SELECT e.town_code, count(*) AS n FROM analysis.event AS e
        WHERE e.first_seen_at <= moment AND NOT coalesce(e.closed_at <= moment, e.state = 'closed')
        GROUP BY e.town_code
    )
    SELECT
        u.code, u.name_zh, u.name_en, coalesce(c.n, 0), coalesce(s.n, 0), coalesce(a.n, 0), coalesce(a.under_60, 0),
        coalesce(m.n, 0), coalesce(m.online, 0), coalesce(c.red, 0), coalesce(c.orange, 0), coalesce(g.n, 0),
        coalesce(s.gap, 0), coalesce(e.n, 0), moment
    FROM territory.unit AS u
    LEFT JOIN cell AS c ON c.town_code = u.code
    LEFT JOIN site AS s ON s.town_code = u.code
    LEFT JOIN area AS a ON a.town_code = u.code
    LEFT JOIN camera AS m ON m.town_code = u.code
    LEFT JOIN gap AS g ON g.town_code = u.code
    LEFT JOIN event AS e ON e.town_code = u.code
    WHERE u.level = 'town' AND u.valid_to IS NULL
        AND u.code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
$$;
CREATE VIEW analysis.town_summary AS SELECT * FROM analysis.town_summary_at(now());
COMMENT ON VIEW analysis.town_summary IS '各乡镇汇总; totals by town.';
