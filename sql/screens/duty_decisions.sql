-- What was decided on industries, newest first, with who leads now.
SELECT
    g.id, g.industry, g.rule_code, r.place_type_zh, r.place_type_en, d.name_zh AS department_zh, d.name_en AS department_en,
    g.document_no, g.valid_from, g.decided_at, g.decided_by
FROM duty.designation AS g
JOIN duty.rule AS r ON r.code = g.rule_code
LEFT JOIN duty.department AS d ON d.code = coalesce(g.department_code, r.lead_code)
ORDER BY g.id DESC
LIMIT %(most)s
