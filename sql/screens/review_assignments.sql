-- To whom a lead was given, newest first.
SELECT a.id, a.note, a.assigned_at, a.assigned_by, d.name_zh AS department_zh, d.name_en AS department_en, p.name_zh AS person_zh, p.phone
FROM watch.incident_assignment AS a
LEFT JOIN duty.department AS d ON d.code = a.department_code
LEFT JOIN duty.person AS p ON p.id = a.person_id
WHERE a.incident_id = %(id)s
ORDER BY a.id DESC
LIMIT 10
