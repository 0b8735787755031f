-- needs: coverage_gap, town_tally
-- Rows of analysis.coverage_gap by kind and town, and those of them without a place. Sites that are not checked are counted, not listed.
CREATE FUNCTION analysis.coverage_gap_count_at(moment timestamptz) RETURNS TABLE (kind text, town_code text, n bigint, no_place bigint)
LANGUAGE sql STABLE AS $$
    SELECT g.kind, g.town_code, count(*), count(*) - count(g.geom)
    FROM analysis.coverage_gap_at(moment, NULL, false) AS g
    GROUP BY g.kind, g.town_code
    UNION ALL
    SELECT 'not_checked', t.town_code, t.overdue_count, 0
    FROM analysis.town_tally_at(moment) AS t
    -- Whoever may not read the constants gets no empty answer, but a fault.
    WHERE t.overdue_count > 0 AND (SELECT analysis.parameter_value('seen_fraction_min')) IS NOT NULL
$$;
CREATE VIEW analysis.coverage_gap_count AS SELECT * FROM analysis.coverage_gap_count_at(now());
COMMENT ON VIEW analysis.coverage_gap_count IS '各乡镇各类监管盲区数; coverage gaps by kind and town (NULL = in no town).';
