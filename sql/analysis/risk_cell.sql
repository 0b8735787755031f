-- needs: parameter, own_area, risk_site, risk_site_of, duty_lead
-- Score of cells that have sites, 0.6·max + 0.4·mean of the highest five, and its sites counted by what maps show of them: all cells,
-- or these. True until exact_until, when the next check gets overdue or an office changes, unless one of its sites changes.
CREATE FUNCTION analysis.risk_cell_of(moment timestamptz, codes text[] DEFAULT NULL, constants timestamptz DEFAULT NULL)
RETURNS SETOF registry.cell_risk LANGUAGE sql STABLE SET work_mem = '128MB' SET jit = off AS $$
    WITH k AS MATERIALIZED (
        SELECT c.* FROM analysis.risk_constants_at(coalesce(constants, moment)) AS c
    ),
    due (colour, span) AS MATERIALIZED (
        SELECT c.colour, make_interval(secs => 86400 * analysis.check_days(c.colour))
        FROM (VALUES ('red'), ('orange'), ('yellow'), ('blue')) AS c (colour)
    ),
    office AS MATERIALIZED (
        SELECT min(d.day)::timestamp AT TIME ZONE coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai') AS changes_at
        FROM (
            SELECT a.valid_from AS day FROM duty.assignment AS a
            UNION ALL SELECT a.valid_to FROM duty.assignment AS a
        ) AS d
        WHERE d.day > (SELECT analysis.city_date(moment))
    ),
    state AS (
        SELECT
            r.site_id, r.cell_code, r.score, r.level, r.is_stale, r.unknown_parts, r.has_worker, r.is_seen,
            coalesce(l.status, 'missing') AS status,
            r.checked_at + d.span AS overdue_at,
            coalesce(r.checked_at + d.span <= moment, true) AS is_overdue,
            s.geom_3857 AS at
        FROM analysis.risk_state(moment, codes, constants) AS r
        JOIN due AS d ON d.colour = r.level
        JOIN registry.site AS s ON s.id = r.site_id
        LEFT JOIN analysis.duty_lead_at(moment) AS l ON l.unit_code = r.town_code AND l.rule_code = r.rule_code
        WHERE r.cell_code IS NOT NULL
    ),
    -- Sites of a cell, worst first: red by override stands before a higher score.
    ranked AS (
        SELECT
            s.*, s.status <> 'confirmed' OR NOT s.has_worker AS has_duty_gap,
            analysis.risk_look(
                s.level, analysis.risk_lacks_data(s.is_stale, s.unknown_parts),
                s.status <> 'confirmed' OR NOT s.has_worker
            ) AS look,
            row_number() OVER (PARTITION BY s.cell_code ORDER BY s.score DESC, s.site_id) AS place,
            row_number() OVER (PARTITION BY s.cell_code ORDER BY (s.level = 'red') DESC, s.score DESC, s.site_id) AS worst
        FROM state AS s
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
            count(*) FILTER (WHERE r.look = 'red') AS red, count(*) FILTER (WHERE r.look = 'orange') AS orange,
            count(*) FILTER (WHERE r.look = 'yellow') AS yellow, count(*) FILTER (WHERE r.look = 'no_data') AS no_data,
            count(*) FILTER (WHERE r.look = 'no_owner') AS no_owner, count(*) FILTER (WHERE r.look = 'blue') AS blue,
            count(*) FILTER (WHERE r.status = 'missing') AS missing, count(*) FILTER (WHERE r.status = 'two_leads') AS two_leads,
            count(*) FILTER (WHERE r.status = 'disputed') AS disputed, count(*) FILTER (WHERE r.status = 'proposed') AS proposed,
            count(*) FILTER (WHERE r.status = 'no_person') AS no_person,
            min(r.site_id) FILTER (WHERE r.status <> 'confirmed') AS duty_gap_site_id,
            count(*) FILTER (WHERE r.level IN ('red', 'orange') AND NOT r.is_seen) AS unseen,
            count(*) FILTER (WHERE r.is_overdue) AS overdue,
            min(r.site_id) FILTER (WHERE r.is_overdue) AS overdue_site_id,
            min(r.overdue_at) FILTER (WHERE NOT r.is_overdue) AS next_overdue_at,
            avg(ST_X(r.at)) AS mean_x, avg(ST_Y(r.at)) AS mean_y,
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
        c.sites, c.top_site_id, c.has_duty_gap, c.top_has_duty_gap, c.is_stale, c.unknown_sites, moment,
        coalesce(least(o.changes_at, c.next_overdue_at), moment + interval '10 years'),
        c.red::integer, c.orange::integer, c.yellow::integer, c.no_data::integer, c.no_owner::integer, c.blue::integer,
        c.missing::integer, c.two_leads::integer, c.disputed::integer, c.proposed::integer, c.no_person::integer, c.duty_gap_site_id,
        c.unseen::integer, c.overdue::integer, c.overdue_site_id, c.mean_x, c.mean_y, c.lacks_data
    FROM coloured AS c CROSS JOIN office AS o
$$;
COMMENT ON FUNCTION analysis.risk_cell_of IS '有场所的网格的风险分及其场所计数（全部或指定）; scores of cells that have sites, all or these, with the constants in force at `constants` (else at the moment), and their sites counted by look, standing of the lead, and what is not seen or not checked.';

-- Cells whose kept row is old: one of their sites is due, a duty was changed, or the clock has passed a step. NULL = none is kept.
CREATE FUNCTION analysis.risk_due_cells() RETURNS text[]
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    due text[];
    rules text[];
BEGIN
    IF NOT analysis.risk_is_kept() THEN
        RETURN NULL;
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
    RETURN due;
END $$;
COMMENT ON FUNCTION analysis.risk_due_cells IS '保存的分数与计数已过时的网格; cells whose kept score and counts are old, and are worked out anew when they are asked for; NULL = none is kept.';

-- The same as analysis.risk_cell_of of all cells now: kept rows, and those that are due (analysis.risk_due_cells) worked out.
CREATE FUNCTION analysis.risk_cell_now(due text[]) RETURNS SETOF registry.cell_risk
LANGUAGE sql STABLE AS $$
    SELECT c.* FROM registry.cell_risk AS c
    WHERE due IS NOT NULL AND NOT EXISTS (SELECT FROM unnest(due) AS d (code) WHERE d.code = c.cell_code)
    UNION ALL
    SELECT c.* FROM analysis.risk_cell_of(now(), due) AS c WHERE due IS NULL OR cardinality(due) > 0
$$;
COMMENT ON FUNCTION analysis.risk_cell_now IS '当前时刻各网格的风险分与场所计数：保存的行，已过时的（due）现算; scores and counts of cells now: kept rows, and those that are due worked out.';

-- At any moment, of all cells or of one; with other constants where they are asked for.
CREATE FUNCTION analysis.risk_cell_state(moment timestamptz, only_cell text DEFAULT NULL, constants timestamptz DEFAULT NULL)
RETURNS SETOF registry.cell_risk
LANGUAGE plpgsql STABLE ROWS 1000 SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    due text[];
BEGIN
    IF only_cell IS NOT NULL OR moment <> now() OR constants <> now() THEN
        RETURN QUERY SELECT c.* FROM analysis.risk_cell_of(moment, CASE WHEN only_cell IS NOT NULL THEN ARRAY[only_cell] END, constants) AS c;
    ELSE
        due := analysis.risk_due_cells();
        RETURN QUERY SELECT c.* FROM analysis.risk_cell_now(due) AS c;
    END IF;
END $$;
COMMENT ON FUNCTION analysis.risk_cell_state IS '有场所的网格的风险分及场所计数：当前时刻取保存的行，已过时的现算; scores and counts of cells that have sites: for now() from kept rows, what is due worked out; for another moment worked out.';

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
