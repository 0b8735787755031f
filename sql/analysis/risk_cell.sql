-- needs: parameter, own_area, risk_site, duty_lead
-- Score of cells that have sites, 0.6·max + 0.4·mean of the highest five: all of them, or these.
CREATE FUNCTION analysis.risk_cell_of(moment timestamptz, codes text[] DEFAULT NULL, constants timestamptz DEFAULT NULL) RETURNS TABLE (
    cell_code text, score double precision, level text, site_count bigint, top_site_id bigint,
    has_duty_gap boolean, top_has_duty_gap boolean, is_stale boolean, unknown_site_count bigint,
    lacks_data boolean
) LANGUAGE sql STABLE SET work_mem = '128MB' SET jit = off AS $$
    WITH k AS MATERIALIZED (
        SELECT c.* FROM analysis.risk_constants_at(coalesce(constants, moment)) AS c
    ),
    -- Sites of a cell, worst first: red by override stands before a higher score.
    ranked AS (
        SELECT
            r.site_id, r.cell_code, r.score, r.level, r.is_stale, r.unknown_parts,
            coalesce(d.status, 'missing') <> 'confirmed' OR NOT r.has_worker AS has_duty_gap,
            row_number() OVER (PARTITION BY r.cell_code ORDER BY r.score DESC, r.site_id) AS place,
            row_number() OVER (PARTITION BY r.cell_code ORDER BY (r.level = 'red') DESC, r.score DESC, r.site_id) AS worst
        FROM analysis.risk_state(moment, codes, constants) AS r
        LEFT JOIN analysis.duty_lead_at(moment) AS d ON d.unit_code = r.town_code AND d.rule_code = r.rule_code
        WHERE r.cell_code IS NOT NULL
    ),
    scored AS (
        SELECT
            r.cell_code,
            count(*) AS sites,
            k.cell_max_share * max(r.score) + (1 - k.cell_max_share) * avg(r.score) FILTER (WHERE r.place <= k.cell_top) AS score,
            bool_or(r.level = 'red') AS has_red,
            max(r.site_id) FILTER (WHERE r.worst = 1) AS top_site_id,
            bool_or(r.has_duty_gap) AS has_duty_gap,
            bool_or(r.has_duty_gap) FILTER (WHERE r.worst = 1) AS top_has_duty_gap,
            bool_and(r.is_stale) AS is_stale,
            count(*) FILTER (WHERE r.unknown_parts && ARRAY['hazard_level', 'people', 'vulnerability']) AS unknown_sites,
            bool_and(analysis.risk_lacks_data(r.is_stale, r.unknown_parts)) AS lacks_data
        FROM ranked AS r CROSS JOIN k
        GROUP BY r.cell_code, k.cell_max_share, k.cell_top
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
        c.cell_code, c.score, CASE WHEN c.has_red AND c.by_score IN ('yellow', 'blue') THEN 'orange' ELSE c.by_score END,
        c.sites, c.top_site_id, c.has_duty_gap, c.top_has_duty_gap, c.is_stale, c.unknown_sites, c.lacks_data
    FROM coloured AS c
$$;
COMMENT ON FUNCTION analysis.risk_cell_of IS '有场所的网格的风险分（全部或指定）; scores of cells that have sites, all or these, with the constants in force at `constants` (else at the moment).';

-- The same, of the present from kept rows where none of the cell's sites is due.
CREATE FUNCTION analysis.risk_cell_state(moment timestamptz, only_cell text DEFAULT NULL, constants timestamptz DEFAULT NULL) RETURNS TABLE (
    cell_code text, score double precision, level text, site_count bigint, top_site_id bigint,
    has_duty_gap boolean, top_has_duty_gap boolean, is_stale boolean, unknown_site_count bigint,
    lacks_data boolean
) LANGUAGE plpgsql STABLE ROWS 1000 SET plan_cache_mode = force_custom_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    due text[];
    rules text[];
BEGIN
    IF only_cell IS NOT NULL OR moment <> now() OR constants <> now() OR NOT analysis.risk_is_kept() THEN
        RETURN QUERY SELECT * FROM analysis.risk_cell_of(moment, CASE WHEN only_cell IS NOT NULL THEN ARRAY[only_cell] END, constants);
        RETURN;
    END IF;
    due := ARRAY(
        WITH site AS MATERIALIZED (SELECT d.site_id AS id FROM analysis.risk_due_sites() AS d)
        SELECT s.cell_code FROM site AS d JOIN registry.site AS s ON s.id = d.id WHERE s.cell_code IS NOT NULL
        UNION
        SELECT r.cell_code FROM site AS d JOIN registry.site_risk AS r ON r.site_id = d.id WHERE r.cell_code IS NOT NULL
        UNION
        SELECT d.cell_code FROM registry.risk_due AS d WHERE d.cell_code IS NOT NULL
        UNION
        SELECT c.cell_code FROM registry.cell_risk AS c WHERE c.exact_until <= now()
    );
    -- Asked by itself: a million sites would be gone through for no place type at all.
    rules := ARRAY(SELECT DISTINCT d.rule_code FROM registry.risk_due AS d WHERE d.rule_code IS NOT NULL);
    IF cardinality(rules) > 0 THEN
        due := due || ARRAY(SELECT DISTINCT s.cell_code FROM registry.site AS s WHERE s.rule_code = ANY (rules) AND s.cell_code IS NOT NULL);
    END IF;
    RETURN QUERY
    SELECT
        c.cell_code, c.score, c.level, c.site_count, c.top_site_id, c.has_duty_gap, c.top_has_duty_gap, c.is_stale, c.unknown_site_count,
        c.lacks_data
    FROM registry.cell_risk AS c WHERE c.cell_code <> ALL (due);
    IF cardinality(due) > 0 THEN
        RETURN QUERY SELECT * FROM analysis.risk_cell_of(moment, due);
    END IF;
END $$;
COMMENT ON FUNCTION analysis.risk_cell_state IS '有场所的网格的风险分：当前时刻取保存的行，已过时的现算; scores of cells that have sites: for now() from kept rows, what is due worked out; for another moment worked out.';

CREATE FUNCTION analysis.risk_cell_at(moment timestamptz, only_cell text DEFAULT NULL, constants timestamptz DEFAULT NULL) RETURNS TABLE (
    cell_code text, cell_no integer, town_code text, score double precision, level text, site_count bigint,
    top_site_id bigint, top_site_zh text, has_duty_gap boolean, is_stale boolean, unknown_site_count bigint,
    top_has_duty_gap boolean, as_of timestamptz, look text, lacks_data boolean
) LANGUAGE sql STABLE AS $$
    SELECT
        g.code, g.cell_no, u.parent_code, c.score, c.level,
        coalesce(c.site_count, 0), c.top_site_id, s.name_zh,
        coalesce(c.has_duty_gap, false), coalesce(c.is_stale, false), coalesce(c.unknown_site_count, 0),
        coalesce(c.top_has_duty_gap, false), moment,
        analysis.risk_look(c.level, c.lacks_data, c.top_has_duty_gap), coalesce(c.lacks_data, false)
    FROM territory.grid_cell AS g
    LEFT JOIN territory.unit AS u ON u.code = g.community_code
    LEFT JOIN analysis.risk_cell_state(moment, only_cell, constants) AS c ON c.cell_code = g.code
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
COMMENT ON COLUMN analysis.risk_cell.lacks_data IS 'Of every site of the cell all data are old, or grade, people and vulnerability all unknown (analysis.risk_lacks_data).';
COMMENT ON COLUMN analysis.risk_cell.look IS 'What a map shows: the level, or no_data (low or moderate, and lacks_data), or no_owner (low, and nobody answers for the site behind the colour), or none (no site on record).';
