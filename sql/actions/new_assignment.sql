-- A duty in a unit that lies wholly in the caller's area (not one above it); no row for any other.
INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, person_id, valid_from, valid_to, document_no)
SELECT %(rule_code)s, u.code, %(department_code)s, %(role)s, %(status)s, %(person_id)s, %(valid_from)s, %(valid_to)s, %(document_no)s
FROM territory.unit AS u
JOIN access.my_unit AS m ON m.code = u.code AND m.is_whole
WHERE u.code = %(unit_code)s AND u.valid_to IS NULL
RETURNING id, rule_code, unit_code, department_code, role, status, person_id, valid_from, valid_to
