-- needs: parameter, own_area, duty_lead, grid_cell
-- Duties counted over the ground: by unit, by unit and place type, by unit and department. Everything here is a sum of
-- analysis.duty_tally, so that a town is its cells and its sites in no cell, and the district its towns and its sites in no
-- town. A site belongs to the town that answers for it; one that stands in a cell of another town is a row of that cell
-- under its own town, so that sums by town_code are the town's and sums by unit_code are the cell's.
CREATE FUNCTION analysis.no_such_level(level text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RAISE EXCEPTION '没有这一级：% / there is no level %', level, level
        USING ERRCODE = 'invalid_parameter_value', HINT = 'district, town, community, cell';
END $$;
COMMENT ON FUNCTION analysis.no_such_level IS '级别名称有误时报错; the error for a level that is none of district, town, community, cell.';

-- Sites of each place type by unit. within: the code of a town or a community, to count only what is in it.
CREATE FUNCTION analysis.duty_tally(moment timestamptz, level text, within text DEFAULT NULL) RETURNS TABLE (
    unit_code text, town_code text, rule_code text, site_count integer
) LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
    SELECT
        CASE level
            WHEN 'cell' THEN s.cell_code
            WHEN 'community' THEN left(s.cell_code, 12)
            WHEN 'town' THEN s.town_code
            WHEN 'district' THEN (SELECT c.code FROM territory.city AS c) || '000000'
            ELSE analysis.no_such_level(level)
        END,
        CASE WHEN level <> 'district' THEN s.town_code END, s.rule_code, count(*)::integer
    FROM registry.site AS s
    WHERE s.active_from <= (SELECT analysis.city_date(moment))
        AND (s.active_to IS NULL OR s.active_to > (SELECT analysis.city_date(moment)))
        AND (within IS NULL OR CASE WHEN right(within, 3) = '000' THEN s.town_code = within ELSE left(s.cell_code, 12) = within END)
        -- Only units of which the reader sees everything: all sites of the town, or all that stand in the community.
        AND (
            (SELECT analysis.sees_all())
            OR CASE level WHEN 'district' THEN false ELSE s.town_code = ANY ((SELECT analysis.whole_units())::text[]) END
            OR CASE WHEN level IN ('cell', 'community')
                THEN left(s.cell_code, 12) = ANY ((SELECT analysis.whole_units())::text[]) ELSE false END
        )
    -- In the order of registry.site_duty_idx, which then gives each group as it comes.
    GROUP BY 2, 1, 3
$$;
COMMENT ON FUNCTION analysis.duty_tally IS '各单元各类型在营场所数; active sites of each place type by unit (level district, town, community, cell). unit_code NULL = in no cell (or no town); rule_code NULL = no place type.';

-- The county, its towns, communities or cells, with what they are called; cells and those without a grid worker.
CREATE FUNCTION analysis.duty_ground_at(moment timestamptz, level text DEFAULT 'town', within text DEFAULT NULL) RETURNS TABLE (
    unit_code text, town_code text, name_zh text, name_en text, cell_count bigint, no_grid_worker_count bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
    WITH cell AS (
        SELECT
            CASE level
                WHEN 'cell' THEN g.code
                WHEN 'community' THEN g.community_code
                WHEN 'town' THEN m.parent_code
                WHEN 'district' THEN (SELECT c.code FROM territory.city AS c) || '000000'
                ELSE analysis.no_such_level(level)
            END AS unit_code,
            CASE WHEN level <> 'district' THEN m.parent_code END AS town_code,
            CASE WHEN level = 'cell' THEN coalesce(nullif(g.name_zh, ''), substr(g.code, 7)) END AS name_zh,
            -- As analysis.grid_cell.worker_count counts them, asked for the cells that are wanted alone.
            EXISTS (
                SELECT FROM duty.grid_staff AS s
                WHERE s.cell_code = g.code AND s.role = 'worker'
                    AND s.assigned_from <= (SELECT analysis.city_date(moment))
                    AND (s.assigned_to IS NULL OR s.assigned_to > (SELECT analysis.city_date(moment)))
            ) AS has_worker
        FROM territory.grid_cell AS g
        LEFT JOIN (SELECT u.code, u.parent_code FROM territory.unit AS u) AS m ON m.code = g.community_code
        WHERE within IS NULL OR CASE WHEN right(within, 3) = '000' THEN m.parent_code = within ELSE g.community_code = within END
    ),
    counted AS (
        SELECT
            c.unit_code, min(c.town_code) AS town_code, min(c.name_zh) AS name_zh, count(*) AS cells,
            count(*) FILTER (WHERE NOT c.has_worker) AS without_worker
        FROM cell AS c GROUP BY c.unit_code
    ),
    -- Units of the level without a cell, too.
    unit AS (
        SELECT
            u.code, u.name_zh, u.name_en,
            CASE u.level WHEN 'town' THEN u.code WHEN 'community' THEN u.parent_code END AS town_code
        FROM territory.unit AS u
        WHERE u.valid_to IS NULL AND (within IS NULL OR within IN (u.code, u.parent_code))
            AND u.level = CASE duty_ground_at.level WHEN 'district' THEN 'county' ELSE duty_ground_at.level END
    )
    SELECT
        coalesce(c.unit_code, u.code), coalesce(u.town_code, c.town_code), coalesce(u.name_zh, c.name_zh, c.unit_code),
        coalesce(u.name_en, ''), coalesce(c.cells, 0), coalesce(c.without_worker, 0)
    FROM counted AS c
    FULL JOIN unit AS u ON u.code = c.unit_code
    WHERE (SELECT analysis.sees_all())
        OR CASE level WHEN 'cell' THEN left(c.unit_code, 12) ELSE coalesce(c.unit_code, u.code) END
            = ANY ((SELECT analysis.whole_units())::text[])
$$;
CREATE VIEW analysis.duty_ground AS SELECT * FROM analysis.duty_ground_at(now());
COMMENT ON VIEW analysis.duty_ground IS '各乡镇的网格数与无网格员网格数; towns (in the function any level) with their cells and those without a grid worker.';

CREATE FUNCTION analysis.duty_unit_at(moment timestamptz, level text DEFAULT 'town', within text DEFAULT NULL) RETURNS TABLE (
    unit_code text, town_code text, name_zh text, name_en text, site_count bigint, gap_count bigint,
    missing_count bigint, no_rule_count bigint, two_leads_count bigint, disputed_count bigint, proposed_count bigint,
    no_person_count bigint, cell_count bigint, no_grid_worker_count bigint, state text
) LANGUAGE plpgsql STABLE
SET enable_mergejoin = off SET work_mem = '64MB' SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    WITH counted AS (
        SELECT
            t.unit_code, t.town_code, sum(t.site_count) AS sites,
            coalesce(sum(t.site_count) FILTER (WHERE d.status IS NULL OR d.status = 'missing'), 0) AS missing,
            coalesce(sum(t.site_count) FILTER (WHERE t.rule_code IS NULL), 0) AS no_rule,
            coalesce(sum(t.site_count) FILTER (WHERE d.status = 'two_leads'), 0) AS two_leads,
            coalesce(sum(t.site_count) FILTER (WHERE d.status = 'disputed'), 0) AS disputed,
            coalesce(sum(t.site_count) FILTER (WHERE d.status = 'proposed'), 0) AS proposed,
            coalesce(sum(t.site_count) FILTER (WHERE d.status = 'no_person'), 0) AS no_person
        -- Standings are the towns', whatever the level is.
        FROM analysis.duty_tally(moment, CASE level WHEN 'district' THEN 'town' ELSE level END, within) AS t
        LEFT JOIN analysis.duty_lead_at(moment) AS d ON d.unit_code = t.town_code AND d.rule_code = t.rule_code
            -- All sites of a town are that town's; what stands in a community may be another town's.
            AND (within IS NULL OR right(within, 3) <> '000' OR d.unit_code = within)
        WHERE level <> 'district' OR (SELECT analysis.sees_all())
        GROUP BY t.unit_code, t.town_code
    ),
    placed AS (
        SELECT
            CASE WHEN level = 'district' THEN (SELECT c.code FROM territory.city AS c) || '000000' ELSE k.unit_code END AS unit_code,
            CASE WHEN level <> 'district' THEN k.town_code END AS town_code,
            sum(k.sites)::bigint AS sites, sum(k.missing)::bigint AS missing, sum(k.no_rule)::bigint AS no_rule,
            sum(k.two_leads)::bigint AS two_leads, sum(k.disputed)::bigint AS disputed, sum(k.proposed)::bigint AS proposed,
            sum(k.no_person)::bigint AS no_person
        FROM counted AS k GROUP BY 1, 2
    )
    SELECT
        coalesce(p.unit_code, g.unit_code), CASE WHEN p.sites IS NULL THEN g.town_code ELSE p.town_code END,
        coalesce(g.name_zh, p.unit_code, ''), coalesce(g.name_en, ''),
        coalesce(p.sites, 0), coalesce(p.missing + p.two_leads + p.disputed + p.proposed + p.no_person, 0),
        coalesce(p.missing, 0), coalesce(p.no_rule, 0), coalesce(p.two_leads, 0), coalesce(p.disputed, 0),
        coalesce(p.proposed, 0), coalesce(p.no_person, 0), coalesce(g.cell_count, 0), coalesce(g.no_grid_worker_count, 0),
        CASE
            WHEN p.missing > 0 THEN 'missing' WHEN p.two_leads > 0 THEN 'two_leads' WHEN p.disputed > 0 THEN 'disputed'
            WHEN p.proposed > 0 THEN 'proposed' WHEN p.no_person > 0 THEN 'no_person'
            WHEN g.no_grid_worker_count > 0 THEN 'no_grid_worker' ELSE 'confirmed'
        END
    FROM placed AS p
    FULL JOIN analysis.duty_ground_at(moment, level, within) AS g
        ON g.unit_code = p.unit_code AND coalesce(g.town_code, '') = coalesce(p.town_code, '');
END $$;
CREATE VIEW analysis.duty_unit AS SELECT * FROM analysis.duty_unit_at(now());
COMMENT ON VIEW analysis.duty_unit IS '各乡镇按责任状态的场所数; sites of each town (in the function any level) by the standing of their lead, cells without a worker.';
COMMENT ON COLUMN analysis.duty_unit.unit_code IS 'NULL = sites in no cell (levels cell, community) or in no town (level town).';
COMMENT ON COLUMN analysis.duty_unit.gap_count IS 'Sites whose lead is missing, doubled, disputed, unconfirmed or without a named person.';
COMMENT ON COLUMN analysis.duty_unit.no_rule_count IS 'Part of missing_count: sites of no known place type (see analysis.duty_proposal).';
COMMENT ON COLUMN analysis.duty_unit.state IS 'The gravest state (analysis.duty_state).';

CREATE FUNCTION analysis.duty_department_at(moment timestamptz, level text DEFAULT 'town', within text DEFAULT NULL) RETURNS TABLE (
    unit_code text, town_code text, department_code text, department_zh text, department_en text,
    lead_count bigint, no_person_count bigint, two_leads_count bigint, disputed_count bigint, proposed_count bigint, missing_count bigint
) LANGUAGE plpgsql STABLE
-- Standings are few and in a million sites' way: hashed, and never sorted into their order; sums of every cell in memory.
SET enable_mergejoin = off SET work_mem = '128MB' SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    -- Each department that a town's standing for a place type is about.
    WITH named AS (
        SELECT
            d.unit_code, d.rule_code, n.department_code,
            d.status IN ('confirmed', 'no_person') AS leads, d.status = 'no_person' AS no_person, d.status = 'two_leads' AS two_leads,
            d.status = 'disputed' AS disputed, d.status = 'proposed' AS proposed, d.status = 'missing' AS missing
        FROM analysis.duty_lead_at(moment) AS d LEFT JOIN LATERAL unnest(d.department_codes) AS n (department_code) ON true
        -- All sites of a town are that town's; what stands in a community may be another town's.
        WHERE within IS NULL OR right(within, 3) <> '000' OR d.unit_code = within
    ),
    counted AS (
        SELECT
            CASE WHEN level = 'district' THEN (SELECT c.code FROM territory.city AS c) || '000000' ELSE t.unit_code END AS unit_code,
            CASE WHEN level <> 'district' THEN t.town_code END AS town_code,
            n.department_code,
            sum(t.site_count) FILTER (WHERE n.leads) AS leads,
            sum(t.site_count) FILTER (WHERE n.no_person) AS no_person,
            sum(t.site_count) FILTER (WHERE n.two_leads) AS two_leads,
            sum(t.site_count) FILTER (WHERE n.disputed) AS disputed,
            sum(t.site_count) FILTER (WHERE n.proposed) AS proposed,
            sum(t.site_count) FILTER (WHERE n.missing IS NOT FALSE) AS missing
        FROM analysis.duty_tally(moment, CASE level WHEN 'district' THEN 'town' ELSE level END, within) AS t
        LEFT JOIN named AS n ON n.unit_code = t.town_code AND n.rule_code = t.rule_code
        WHERE level <> 'district' OR (SELECT analysis.sees_all())
        GROUP BY 1, 2, 3
    )
    SELECT
        c.unit_code, c.town_code, c.department_code, d.name_zh, d.name_en,
        coalesce(c.leads, 0), coalesce(c.no_person, 0), coalesce(c.two_leads, 0), coalesce(c.disputed, 0), coalesce(c.proposed, 0),
        coalesce(c.missing, 0)
    FROM counted AS c LEFT JOIN duty.department AS d ON d.code = c.department_code;
END $$;
CREATE VIEW analysis.duty_department AS SELECT * FROM analysis.duty_department_at(now());
COMMENT ON VIEW analysis.duty_department IS '责任矩阵：乡镇 × 部门; duty matrix, towns (in the function any level) by department.';
COMMENT ON COLUMN analysis.duty_department.department_code IS 'NULL = no department is known: sites of no place type, or whose rule names nobody.';
COMMENT ON COLUMN analysis.duty_department.lead_count IS 'Sites that this department alone leads; no_person_count of them without a named person.';
COMMENT ON COLUMN analysis.duty_department.two_leads_count IS 'Sites that this department and another lead: counted with each of them.';
COMMENT ON COLUMN analysis.duty_department.missing_count IS 'Sites that nobody leads here, counted with the department that the rule names as usual.';

CREATE FUNCTION analysis.duty_type_at(moment timestamptz, level text DEFAULT 'town', within text DEFAULT NULL) RETURNS TABLE (
    unit_code text, town_code text, rule_code text, place_type_zh text, place_type_en text, site_count integer, status text,
    department_codes text[], lead_zh text, lead_en text, person_name text, person_phone text
) LANGUAGE sql STABLE AS $$
    SELECT
        t.unit_code, t.town_code, t.rule_code, r.place_type_zh, r.place_type_en, t.site_count, coalesce(d.status, 'missing'),
        coalesce(d.department_codes, '{}'), d.lead_zh, d.lead_en, d.person_name, d.person_phone
    FROM analysis.duty_tally(moment, level, within) AS t
    LEFT JOIN duty.rule AS r ON r.code = t.rule_code
    -- The county's own standing where the level is the district; a town's may differ.
    LEFT JOIN analysis.duty_lead_at(moment) AS d ON d.rule_code = t.rule_code AND d.unit_code = coalesce(t.town_code, t.unit_code)
$$;
CREATE VIEW analysis.duty_type AS SELECT * FROM analysis.duty_type_at(now());
COMMENT ON VIEW analysis.duty_type IS '责任矩阵：乡镇 × 场所类型（有场所的）; duty matrix, towns (in the function any level) by place type, where there are sites.';

-- Leads that begin after that day: planned, and of no effect yet.
CREATE FUNCTION analysis.duty_planned_at(moment timestamptz) RETURNS TABLE (
    assignment_id bigint, unit_code text, unit_zh text, unit_en text, rule_code text, place_type_zh text, place_type_en text,
    department_code text, department_zh text, department_en text, status text, valid_from date, valid_to date, document_no text
) LANGUAGE sql STABLE AS $$
    SELECT
        a.id, a.unit_code, u.name_zh, u.name_en, a.rule_code, r.place_type_zh, r.place_type_en,
        a.department_code, d.name_zh, d.name_en, a.status, a.valid_from, a.valid_to, a.document_no
    FROM duty.assignment AS a
    JOIN duty.rule AS r ON r.code = a.rule_code
    JOIN duty.department AS d ON d.code = a.department_code
    LEFT JOIN territory.unit AS u ON u.code = a.unit_code
    WHERE a.role = 'lead' AND a.valid_from > (SELECT analysis.city_date(moment))
$$;
CREATE VIEW analysis.duty_planned AS SELECT * FROM analysis.duty_planned_at(now());
COMMENT ON VIEW analysis.duty_planned IS '已计划、尚未生效的牵头分工; leads that begin on a later day: planned, of no effect yet.';
