-- Pairs of stored sites that may be one and that nobody has decided on, side by side.
CREATE VIEW analysis.import_merge AS
SELECT
    m.id AS merge_id, m.batch_id, m.proposed_at, m.distance_m, a.id AS left_id, b.id AS right_id, a.name_zh, a.address,
    ut.name_zh AS town_zh, ut.name_en AS town_en,
    to_jsonb(l) AS left_site, to_jsonb(r) AS right_site
FROM registry.site_merge AS m
JOIN registry.site AS a ON a.id = m.site_id
JOIN registry.site AS b ON b.id = m.other_id
LEFT JOIN territory.unit AS ut ON ut.code = a.town_code
CROSS JOIN LATERAL (
    SELECT
        a.uscc, a.local_id, a.rule_code, a.gbt4754, a.scale, a.nine_small, a.hazard_level, a.people, a.vulnerability, a.contact_name,
        a.contact_phone, a.visit_cap_per_year, a.active_from, a.active_to, a.cell_code, a.batch_id, a.updated_at
) AS l
CROSS JOIN LATERAL (
    SELECT
        b.uscc, b.local_id, b.rule_code, b.gbt4754, b.scale, b.nine_small, b.hazard_level, b.people, b.vulnerability, b.contact_name,
        b.contact_phone, b.visit_cap_per_year, b.active_from, b.active_to, b.cell_code, b.batch_id, b.updated_at
) AS r
WHERE m.state = 'proposed';
COMMENT ON VIEW analysis.import_merge IS '可能是同一家的两个场所，等人决定; two sites that may be one, for a person to decide.';
