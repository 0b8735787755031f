-- A lead given to a department, a person or both; no row where the caller does not see it.
INSERT INTO watch.incident_assignment (incident_id, department_code, person_id, note)
SELECT e.id, %(department_code)s, %(person_id)s, %(note)s FROM analysis.event AS e WHERE e.id = %(id)s
RETURNING id, incident_id, department_code, person_id, note, assigned_at, assigned_by
