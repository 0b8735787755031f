-- needs: parameter, own_area, risk_site
CREATE FUNCTION analysis.risk_cell_at(moment timestamptz, only_cell text DEFAULT NULL) RETURNS TABLE (
    cell_code text, cell_no integer, town_code text, score double precision, level text, site_count bigint,
    top_site_id bigint, top_site_zh text, has_duty_gap boolean, is_stale boolean, unknown_site_count bigint,
    top_has_duty_gap boolean, as_of timestamptz
) LANGUAGE sql STABLE AS $$
    WITH k AS MATERIALIZED (
        SELECT
            analysis.parameter_value('risk_cell_max_share') AS max_share,
            analysis.parameter_value('risk_cell_top') AS top,
            analysis.parameter_value('risk_red_from') AS red_from,
            analysis.parameter_value('risk_orange_from') AS orange_from,
            analysis.parameter_value('risk_yellow_from') AS yellow_from
    ),
    -- Sites of a cell, worst first: red by override stands before a higher score.
    ranked AS (
        SELECT
            r.site_id, r.cell_code, r.score, r.level, r.has_duty_gap, r.is_stale, r.unknown_parts,
            row_number() OVER (PARTITION BY r.cell_code ORDER BY r.score DESC, r.site_id) AS place,
            row_number() OVER (PARTITION BY r.cell_code ORDER BY (r.level = 'red') DESC, r.score DESC, r.site_id) AS worst
        FROM analysis.risk_site_at(moment, only_cell) AS r
        WHERE r.cell_code IS NOT NULL
    ),
    scored AS (
        SELECT
            r.cell_code,
            count(*) AS sites,
            k.max_share * max(r.score) + (1 - k.max_share) * avg(r.score) FILTER (WHERE r.place <= k.top) AS score,
            bool_or(r.level = 'red') AS has_red,
            max(r.site_id) FILTER (WHERE r.worst = 1) AS top_site_id,
            bool_or(r.has_duty_gap) AS has_duty_gap,
            bool_or(r.has_duty_gap) FILTER (WHERE r.worst = 1) AS top_has_duty_gap,
            bool_and(r.is_stale) AS is_stale,
            count(*) FILTER (WHERE r.unknown_parts && ARRAY['hazard_level', 'people', 'vulnerability']) AS unknown_sites
        FROM ranked AS r CROSS JOIN k
        GROUP BY r.cell_code, k.max_share, k.top
    ),
    coloured AS (
        SELECT
            s.*,
            CASE
                WHEN s.score >= k.red_from THEN 'red'
                WHEN s.score >= k.orange_from THEN 'orange'
                WHEN s.score >= k.yellow_from THEN 'yellow'
                ELSE 'blue'
            END AS by_score
        FROM scored AS s CROSS JOIN k
    )
    SELECT
        g.code, g.cell_no, u.parent_code, c.score,
        CASE WHEN c.has_red AND c.by_score IN ('yellow', 'blue') THEN 'orange' ELSE c.by_score END,
        coalesce(c.sites, 0), c.top_site_id, s.name_zh,
        coalesce(c.has_duty_gap, false), coalesce(c.is_stale, false), coalesce(c.unknown_sites, 0),
        coalesce(c.top_has_duty_gap, false), moment
    FROM territory.grid_cell AS g
    LEFT JOIN territory.unit AS u ON u.code = g.community_code
    LEFT JOIN coloured AS c ON c.cell_code = g.code
    LEFT JOIN registry.site AS s ON s.id = c.top_site_id
    WHERE (only_cell IS NULL OR g.code = only_cell)
        -- A cell of which the reader sees some sites only (an enterprise) has no colour that is true.
        AND ((SELECT analysis.sees_all()) OR g.community_code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w)))
$$;
CREATE VIEW analysis.risk_cell AS SELECT * FROM analysis.risk_cell_at(now());
COMMENT ON VIEW analysis.risk_cell IS '网格风险：0.6×最高分+0.4×前五平均；无场所为空（灰）; risk of each cell, NULL level = no site, drawn grey.';
COMMENT ON COLUMN analysis.risk_cell.level IS 'red | orange | yellow | blue; NULL = no site. Any red site makes the cell at least orange.';
COMMENT ON COLUMN analysis.risk_cell.top_site_id IS 'The site behind the colour.';
COMMENT ON COLUMN analysis.risk_cell.has_duty_gap IS 'Some site of the cell lacks a clear lead or person, or the cell a worker; top_has_duty_gap: the site behind the colour does.';
COMMENT ON COLUMN analysis.risk_cell.is_stale IS 'Every site of the cell is stale.';
COMMENT ON COLUMN analysis.risk_cell.unknown_site_count IS 'Sites whose hazard, people or vulnerability is not known.';
