-- needs: own_area, risk_site, risk_cell
-- Active sites by what a map shows of them. Of the present, where scores are kept: cells that the reader sees whole are added up, and
-- only the sites that stand in none of them are looked at one by one.
CREATE FUNCTION analysis.risk_look_count_at(moment timestamptz) RETURNS TABLE (look text, n bigint, no_place bigint)
LANGUAGE plpgsql STABLE ROWS 6 SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    due text[];
    whole constant text[] := CASE WHEN NOT analysis.sees_all() THEN analysis.whole_units() END;
    apart bigint[];
BEGIN
    IF moment = now() THEN
        due := analysis.risk_due_cells();
    END IF;
    IF due IS NULL THEN
        RETURN QUERY SELECT r.look, count(*), 0::bigint FROM analysis.risk_site_at(moment) AS r GROUP BY r.look;
        RETURN;
    END IF;
    apart := CASE
        WHEN whole IS NULL THEN ARRAY(SELECT s.id FROM registry.site AS s WHERE s.cell_code IS NULL)
        ELSE ARRAY(SELECT s.id FROM registry.site AS s WHERE s.cell_code IS NULL OR left(s.cell_code, 12) <> ALL (whole))
    END;
    RETURN QUERY
    WITH counted AS (
        SELECT k.look, k.n
        FROM analysis.risk_cell_now(due) AS c
        CROSS JOIN LATERAL (
            VALUES ('red', c.red_count), ('orange', c.orange_count), ('yellow', c.yellow_count), ('no_data', c.no_data_count),
                ('no_owner', c.no_owner_count), ('blue', c.blue_count)
        ) AS k (look, n)
        WHERE whole IS NULL OR left(c.cell_code, 12) = ANY (whole)
        UNION ALL
        SELECT r.look, 1 FROM analysis.risk_site_at(moment, only_sites => apart) AS r WHERE cardinality(apart) > 0
    )
    SELECT c.look, sum(c.n)::bigint, 0::bigint FROM counted AS c GROUP BY c.look HAVING sum(c.n) > 0;
END $$;
CREATE VIEW analysis.risk_look_count AS SELECT * FROM analysis.risk_look_count_at(now());
COMMENT ON VIEW analysis.risk_look_count IS '各种风险样子的场所数; active sites by what a map shows of them (analysis.risk_look). Every site has a place.';
