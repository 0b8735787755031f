-- needs: parameter, duty_state, duty_lead
-- The site's own safety contact, for those who may read it; for the others that it is not shown, never that there is none.
CREATE FUNCTION analysis.site_contact(site bigint) RETURNS TABLE (is_shown boolean, name_zh text, phone text)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF has_column_privilege('registry.site', 'contact_name', 'SELECT') AND has_column_privilege('registry.site', 'contact_phone', 'SELECT') THEN
        RETURN QUERY SELECT true, nullif(btrim(s.contact_name), ''), s.contact_phone FROM registry.site AS s WHERE s.id = site;
    ELSE
        RETURN QUERY SELECT false, NULL::text, NULL::text FROM registry.site AS s WHERE s.id = site;
    END IF;
END $$;
COMMENT ON FUNCTION analysis.site_contact IS '场所安全联系人（有权者可见）; the site''s own contact for roles that may read it; is_shown false = this role may not.';

-- Who answers for a site on a day, from the district to its own contact: one row an office, also where nobody holds it, and
-- several where several do. Who answers meanwhile for an empty office: the nearest one above it on the ground that is held;
-- for a department that names nobody, its own office; for a lead that is not settled, the district's leader, who settles it.
CREATE FUNCTION analysis.duty_chain_at(moment timestamptz, site bigint) RETURNS TABLE (
    step integer, office text, unit_code text, unit_zh text, unit_en text, department_code text,
    state text, is_vacant boolean, why text, person_name text, phone text, since date, until date, document_no text,
    meanwhile_office text, meanwhile_name text, meanwhile_phone text
) LANGUAGE sql STABLE AS $$
    WITH place AS MATERIALIZED (
        SELECT
            s.id, s.name_zh, s.rule_code, s.town_code, s.cell_code, left(s.cell_code, 12) AS community_code,
            coalesce(left(s.town_code, 6), (SELECT c.code FROM territory.city AS c)) || '000000' AS county_code,
            analysis.city_date(moment) AS today
        FROM registry.site AS s
        WHERE s.id = site AND s.active_from <= analysis.city_date(moment)
            AND (s.active_to IS NULL OR s.active_to > analysis.city_date(moment))
    ),
    unit_office AS (
        SELECT o.step, o.office, o.unit_code, o.role, p.today
        FROM place AS p
        CROSS JOIN LATERAL (VALUES
            (1, 'district_leader', p.county_code, 'leader'),
            (3, 'town_leader', p.town_code, 'leader'),
            (4, 'town_safety_officer', p.town_code, 'safety_officer'),
            (5, 'community_leader', p.community_code, 'leader')
        ) AS o (step, office, unit_code, role)
    ),
    cell_office AS (
        SELECT o.step, o.office, p.cell_code, o.role, p.today
        FROM place AS p CROSS JOIN (VALUES (6, 'grid_chief', 'chief'), (7, 'grid_worker', 'worker')) AS o (step, office, role)
    ),
    -- The standing of the lead, and the assignments that make it.
    lead AS MATERIALIZED (
        SELECT d.status, d.department_codes, d.from_code, d.rule_code
        FROM place AS p JOIN analysis.duty_lead_at(moment) AS d ON d.unit_code = p.town_code AND d.rule_code = p.rule_code
    ),
    named AS (
        SELECT DISTINCT ON (a.department_code)
            a.department_code, l.status, a.person_id, a.valid_from, a.valid_to, a.document_no
        FROM lead AS l CROSS JOIN place AS p
        JOIN duty.assignment AS a ON a.rule_code = l.rule_code AND a.unit_code = l.from_code AND a.role = 'lead'
            AND a.department_code = ANY (l.department_codes) AND a.valid_from <= p.today AND (a.valid_to IS NULL OR a.valid_to > p.today)
            AND CASE l.status WHEN 'disputed' THEN a.status = 'disputed' WHEN 'proposed' THEN a.status = 'proposed'
                ELSE a.status IN ('confirmed', 'designated') END
        WHERE l.status <> 'missing'
        ORDER BY a.department_code, a.person_id IS NULL, a.valid_from, a.id
    ),
    held (step, office, unit_code, department_code, state, why, person_id, name_zh, phone, since, until, document_no) AS (
        SELECT
            o.step, o.office, o.unit_code, NULL::text, NULL::text,
            CASE WHEN o.unit_code IS NULL THEN CASE o.office WHEN 'community_leader' THEN 'no_cell' ELSE 'no_town' END END,
            s.person_id, q.name_zh, q.phone, s.assigned_from, s.assigned_to, NULL::text
        FROM unit_office AS o
        LEFT JOIN duty.unit_staff AS s ON s.unit_code = o.unit_code AND s.role = o.role AND s.assigned_from <= o.today
            AND (s.assigned_to IS NULL OR s.assigned_to > o.today)
        LEFT JOIN duty.person AS q ON q.id = s.person_id
        UNION ALL
        SELECT
            o.step, o.office, o.cell_code, NULL, NULL, CASE WHEN o.cell_code IS NULL THEN 'no_cell' END,
            s.person_id, q.name_zh, q.phone, s.assigned_from, s.assigned_to, NULL
        FROM cell_office AS o
        LEFT JOIN duty.grid_staff AS s ON s.cell_code = o.cell_code AND s.role = o.role AND s.assigned_from <= o.today
            AND (s.assigned_to IS NULL OR s.assigned_to > o.today)
        LEFT JOIN duty.person AS q ON q.id = s.person_id
        UNION ALL
        SELECT
            2, 'lead_department', p.town_code, n.department_code, coalesce(n.status, 'missing'),
            CASE WHEN p.rule_code IS NULL THEN 'no_rule' WHEN p.town_code IS NULL THEN 'no_town' END,
            n.person_id, q.name_zh, coalesce(q.phone, d.phone), n.valid_from, n.valid_to, n.document_no
        FROM place AS p
        LEFT JOIN named AS n ON true
        LEFT JOIN duty.department AS d ON d.code = n.department_code
        LEFT JOIN duty.person AS q ON q.id = n.person_id
        UNION ALL
        SELECT
            8, 'site_contact', NULL, NULL, CASE WHEN NOT c.is_shown THEN 'not_shown' END, NULL,
            NULL, c.name_zh, c.phone, NULL, NULL, NULL
        FROM place AS p CROSS JOIN LATERAL analysis.site_contact(p.id) AS c
    ),
    told AS MATERIALIZED (
        SELECT
            h.step, h.office, h.unit_code, h.department_code, h.why, h.name_zh, h.phone, h.since, h.until, h.document_no,
            coalesce(
                h.state,
                CASE WHEN h.name_zh IS NOT NULL THEN 'confirmed' WHEN h.office = 'grid_worker' THEN 'no_grid_worker' ELSE 'no_person' END
            ) AS state,
            CASE
                WHEN h.state = 'not_shown' THEN NULL
                WHEN h.office = 'lead_department' THEN h.state NOT IN ('confirmed', 'two_leads')
                ELSE h.name_zh IS NULL
            END AS is_vacant
        FROM held AS h
    )
    SELECT
        t.step, t.office, t.unit_code, CASE t.office WHEN 'site_contact' THEN p.name_zh ELSE coalesce(u.name_zh, nullif(g.name_zh, ''), g.code, d.name_zh) END,
        coalesce(u.name_en, d.name_en), t.department_code, t.state, t.is_vacant, t.why,
        CASE WHEN t.is_vacant IS NOT TRUE THEN t.name_zh END, CASE WHEN t.is_vacant IS NOT TRUE THEN t.phone END,
        t.since, t.until, t.document_no,
        CASE WHEN t.state = 'no_person' AND t.office = 'lead_department' THEN 'lead_department' ELSE m.office END,
        CASE WHEN t.state = 'no_person' AND t.office = 'lead_department' THEN d.name_zh ELSE m.name_zh END,
        CASE WHEN t.state = 'no_person' AND t.office = 'lead_department' THEN d.phone ELSE m.phone END
    FROM told AS t
    CROSS JOIN place AS p
    LEFT JOIN territory.unit AS u ON u.code = t.unit_code AND t.office NOT IN ('lead_department', 'grid_chief', 'grid_worker')
    LEFT JOIN territory.grid_cell AS g ON g.code = t.unit_code AND t.office IN ('grid_chief', 'grid_worker')
    LEFT JOIN duty.department AS d ON d.code = t.department_code
    LEFT JOIN LATERAL (
        SELECT a.office, a.name_zh, a.phone FROM told AS a
        WHERE t.is_vacant AND a.step < t.step AND a.office <> 'lead_department' AND NOT a.is_vacant
        ORDER BY a.step DESC, a.since, a.name_zh LIMIT 1
    ) AS m ON true
    ORDER BY t.step, t.since, t.department_code, t.name_zh
$$;
COMMENT ON FUNCTION analysis.duty_chain_at IS '某场所某日的责任链：区领导、牵头部门、乡镇、社区、网格长、网格员、场所联系人，空缺也列出并说明暂由谁负责; who answers for a site from the district down, empty offices included, with who answers meanwhile.';
