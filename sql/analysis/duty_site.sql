-- needs: parameter, duty_lead
-- Active sites with the standing of their lead, everywhere or in one cell: what every count of duties counts.
CREATE FUNCTION analysis.duty_site_at(moment timestamptz, only_cell text DEFAULT NULL) RETURNS TABLE (
    site_id bigint, name_zh text, rule_code text, place_type_zh text, place_type_en text, gbt4754 text,
    cell_code text, community_code text, town_code text, status text, department_codes text[],
    lead_code text, lead_zh text, lead_en text, person_name text, person_phone text, geom geometry(Point, :srid)
) LANGUAGE sql STABLE AS $$
    SELECT
        s.id, s.name_zh, s.rule_code, r.place_type_zh, r.place_type_en, s.gbt4754,
        s.cell_code, left(s.cell_code, 12), s.town_code,
        -- Without a place type, or in no town, no department can lead.
        coalesce(d.status, 'missing'), coalesce(d.department_codes, '{}'),
        d.lead_code, d.lead_zh, d.lead_en, d.person_name, d.person_phone, s.geom
    FROM registry.site AS s
    LEFT JOIN duty.rule AS r ON r.code = s.rule_code
    LEFT JOIN analysis.duty_lead_at(moment) AS d ON d.unit_code = s.town_code AND d.rule_code = s.rule_code
    WHERE (only_cell IS NULL OR s.cell_code = only_cell)
        AND s.active_from <= (SELECT analysis.city_date(moment))
        AND (s.active_to IS NULL OR s.active_to > (SELECT analysis.city_date(moment)))
$$;
CREATE VIEW analysis.duty_site AS SELECT * FROM analysis.duty_site_at(now());
COMMENT ON VIEW analysis.duty_site IS '在营场所的责任状态; active sites with the standing of their lead: what every count of duties counts.';
COMMENT ON COLUMN analysis.duty_site.department_codes IS 'Departments that the standing is about (analysis.duty_lead); empty = none is known.';
COMMENT ON COLUMN analysis.duty_site.person_phone IS 'Duty phone of the named person, else of the department.';
