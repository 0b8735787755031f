-- needs: parameter
-- Who leads a place type in a unit. A town's own confirmed, designated or disputed lead sets the county's aside;
-- a town's mere proposal does not, because only confirmed or designated counts.
CREATE FUNCTION analysis.duty_lead_at(moment timestamptz) RETURNS TABLE (
    unit_code text, rule_code text, lead_count bigint, lead_code text, lead_zh text, lead_en text,
    person_name text, person_phone text, status text, department_codes text[], from_code text
) LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
    -- Lead assignments in force on that day.
    WITH lead AS (
        SELECT a.rule_code, a.unit_code, a.department_code, a.status, a.person_id
        FROM duty.assignment AS a
        WHERE a.role = 'lead'
            AND a.valid_from <= (SELECT analysis.city_date(moment))
            AND (a.valid_to IS NULL OR a.valid_to > (SELECT analysis.city_date(moment)))
    ),
    -- The units that the matrix has: the county and its towns.
    matrix_unit AS (
        SELECT u.code, left(u.code, 6) || '000000' AS county_code
        FROM territory.unit AS u
        WHERE u.level IN ('county', 'town') AND u.valid_to IS NULL
    ),
    -- Towns with a lead of their own for a rule.
    own AS (
        SELECT DISTINCT l.unit_code, l.rule_code FROM lead AS l WHERE l.status <> 'proposed'
    ),
    -- Every unit and rule, with the unit whose assignments count there.
    pair AS (
        SELECT
            m.code AS unit_code, r.code AS rule_code, r.lead_code AS usual_code,
            CASE WHEN o.unit_code IS NULL THEN m.county_code ELSE m.code END AS from_code
        FROM matrix_unit AS m
        CROSS JOIN duty.rule AS r
        LEFT JOIN own AS o ON o.unit_code = m.code AND o.rule_code = r.code
    ),
    -- The leads of a pair by standing. One department named twice is one lead.
    counted AS (
        SELECT
            p.unit_code, p.rule_code, p.usual_code, p.from_code,
            array_agg(DISTINCT l.department_code) FILTER (WHERE l.status IN ('confirmed', 'designated')) AS leading,
            array_agg(DISTINCT l.department_code) FILTER (WHERE l.status = 'disputed') AS disputing,
            array_agg(DISTINCT l.department_code) FILTER (WHERE l.status = 'proposed') AS proposed,
            min(l.person_id) FILTER (WHERE l.status IN ('confirmed', 'designated')) AS person_id
        FROM pair AS p
        LEFT JOIN lead AS l ON l.rule_code = p.rule_code AND l.unit_code = p.from_code
        GROUP BY p.unit_code, p.rule_code, p.usual_code, p.from_code
    ),
    standing AS (
        SELECT
            c.unit_code, c.rule_code, c.from_code, c.person_id, coalesce(cardinality(c.leading), 0)::bigint AS lead_count,
            CASE WHEN cardinality(c.leading) = 1 THEN c.leading[1] END AS lead_code,
            CASE
                WHEN cardinality(c.leading) > 1 THEN 'two_leads'
                WHEN cardinality(c.leading) = 1 AND c.person_id IS NULL THEN 'no_person'
                WHEN cardinality(c.leading) = 1 THEN 'confirmed'
                WHEN c.disputing IS NOT NULL THEN 'disputed'
                WHEN c.proposed IS NOT NULL THEN 'proposed'
                ELSE 'missing'
            END AS status,
            coalesce(c.leading, c.disputing, c.proposed, array_remove(ARRAY[c.usual_code], NULL)) AS department_codes
        FROM counted AS c
    )
    SELECT
        s.unit_code, s.rule_code, s.lead_count, s.lead_code, d.name_zh, d.name_en,
        CASE WHEN s.lead_count = 1 THEN q.name_zh END,
        CASE WHEN s.lead_count = 1 THEN coalesce(q.phone, d.phone) END,
        s.status, s.department_codes, s.from_code
    FROM standing AS s
    LEFT JOIN duty.department AS d ON d.code = s.lead_code
    LEFT JOIN duty.person AS q ON q.id = s.person_id
$$;
CREATE VIEW analysis.duty_lead AS SELECT * FROM analysis.duty_lead_at(now());
COMMENT ON VIEW analysis.duty_lead IS '各单元各场所类型由谁牵头（乡镇确认的优先于区）; who leads each place type in each unit, a town''s own confirmed lead before the county''s.';
COMMENT ON COLUMN analysis.duty_lead.status IS 'confirmed | proposed | disputed | missing | two_leads | no_person (analysis.duty_state). Only confirmed and no_person have exactly one confirmed lead.';
COMMENT ON COLUMN analysis.duty_lead.department_codes IS 'The departments that the standing is about: those that lead, dispute or are proposed; where it is missing, the one that the rule names as usual.';
COMMENT ON COLUMN analysis.duty_lead.from_code IS 'The unit whose assignments count there: the town itself, or the county.';
