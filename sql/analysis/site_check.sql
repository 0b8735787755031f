-- needs: parameter, site, risk_site
-- Of every active site (of one cell where it is named): its colour, the newest visit, remote check or self-check, and whether the
-- next is overdue. A visit that could not look (unknown) is no check; never checked is overdue.
CREATE FUNCTION analysis.site_check_at(moment timestamptz, only_cell text DEFAULT NULL) RETURNS TABLE (
    site_id bigint, cell_code text, level text, last_visit_at timestamptz, is_overdue boolean, is_seen boolean
) LANGUAGE sql STABLE AS $$
    WITH due (colour, span) AS MATERIALIZED (
        SELECT c.colour, make_interval(secs => 86400 * analysis.check_days(c.colour))
        FROM (VALUES ('red'), ('orange'), ('yellow'), ('blue')) AS c (colour)
    )
    SELECT r.site_id, r.cell_code, r.level, r.checked_at, coalesce(r.checked_at <= moment - d.span, true), r.is_seen
    FROM analysis.risk_state(moment, CASE WHEN only_cell IS NOT NULL THEN ARRAY[only_cell] END) AS r
    JOIN due AS d ON d.colour = r.level
$$;
CREATE VIEW analysis.site_check AS SELECT * FROM analysis.site_check_at(now());
COMMENT ON VIEW analysis.site_check IS '场所最近一次检查及是否逾期（按颜色的周期）; last check of each active site, and whether the next is overdue by the period of its colour.';
COMMENT ON COLUMN analysis.site_check.is_seen IS 'Whether an online camera sees it (analysis.risk_site).';
