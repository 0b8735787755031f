-- Who answers for a site; the site's own name and standing in every row.
SELECT
    c.*, s.name_zh AS site_zh, s.place_type_zh, s.place_type_en, s.status AS site_status, s.cell_code, s.town_code
FROM analysis.duty_chain_at(coalesce(%(as_of)s::timestamptz, now()), %(id)s::bigint) AS c
CROSS JOIN LATERAL (
    SELECT k.name_zh, r.place_type_zh, r.place_type_en, coalesce(d.status, 'missing') AS status, k.cell_code, k.town_code
    FROM registry.site AS k
    LEFT JOIN duty.rule AS r ON r.code = k.rule_code
    LEFT JOIN analysis.duty_lead_at(coalesce(%(as_of)s::timestamptz, now())) AS d ON d.unit_code = k.town_code AND d.rule_code = k.rule_code
    WHERE k.id = %(id)s::bigint
) AS s
ORDER BY c.step, c.since, c.department_code, c.person_name
