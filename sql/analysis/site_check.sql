-- needs: parameter, site, risk_site
-- Of every active site (of one cell where it is named): its colour, the newest visit, remote check or self-check, and whether the
-- next is overdue. A visit that could not look (unknown) is no check; never checked is overdue.
CREATE FUNCTION analysis.site_check_at(moment timestamptz, only_cell text DEFAULT NULL) RETURNS TABLE (
    site_id bigint, cell_code text, level text, last_visit_at timestamptz, is_overdue boolean
) LANGUAGE sql STABLE AS $$
    WITH due (colour, span) AS MATERIALIZED (
        SELECT c.colour, make_interval(secs => 86400 * analysis.check_days(c.colour))
        FROM (VALUES ('red'), ('orange'), ('yellow'), ('blue')) AS c (colour)
    ),
    last_visit AS (
        SELECT v.site_id, max(v.done_at) AS at
        FROM inspection.visit AS v
        WHERE v.done_at <= moment AND v.outcome <> 'unknown'
            AND (only_cell IS NULL OR v.site_id = ANY (ARRAY(SELECT c.id FROM registry.site AS c WHERE c.cell_code = only_cell)))
        GROUP BY v.site_id
    )
    SELECT r.site_id, r.cell_code, r.level, v.at, coalesce(v.at <= moment - d.span, true)
    FROM analysis.risk_site_at(moment, only_cell) AS r
    JOIN due AS d ON d.colour = r.level
    LEFT JOIN last_visit AS v ON v.site_id = r.site_id
$$;
CREATE VIEW analysis.site_check AS SELECT * FROM analysis.site_check_at(now());
COMMENT ON VIEW analysis.site_check IS '场所最近一次检查及是否逾期（按颜色的周期）; last check of each active site, and whether the next is overdue by the period of its colour.';
