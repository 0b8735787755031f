-- Who answers for the place of a lead: who leads the site's kind, then staff of the cell, community, town and county.
WITH lead AS (
    SELECT i.cell_code, i.town_code, s.town_code AS site_town_code, s.rule_code, analysis.city_date(%(now)s) AS today
    FROM watch.incident AS i LEFT JOIN registry.site AS s ON s.id = i.site_id
    WHERE i.id = %(id)s
)
SELECT 'department_lead' AS role, d.person_name AS name_zh, d.person_phone AS phone, 0 AS place, d.lead_zh AS unit_zh, d.lead_en AS unit_en
FROM lead AS l JOIN analysis.duty_lead_at(%(now)s) AS d ON d.unit_code = l.site_town_code AND d.rule_code = l.rule_code
WHERE d.lead_code IS NOT NULL
UNION ALL
SELECT s.role, p.name_zh, p.phone, 1, NULL, NULL
FROM lead AS l
JOIN duty.grid_staff AS s ON s.cell_code = l.cell_code AND s.assigned_from <= l.today AND (s.assigned_to IS NULL OR s.assigned_to > l.today)
JOIN duty.person AS p ON p.id = s.person_id
UNION ALL
SELECT s.role, p.name_zh, p.phone, CASE u.level WHEN 'community' THEN 2 WHEN 'town' THEN 3 ELSE 4 END, u.name_zh, u.name_en
FROM lead AS l
JOIN territory.unit AS u ON u.code IN (left(l.cell_code, 12), l.town_code, left(coalesce(l.cell_code, l.town_code), 6) || '000000')
JOIN duty.unit_staff AS s ON s.unit_code = u.code AND s.assigned_from <= l.today AND (s.assigned_to IS NULL OR s.assigned_to > l.today)
JOIN duty.person AS p ON p.id = s.person_id
ORDER BY place, role, name_zh
LIMIT 14
