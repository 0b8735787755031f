-- A draft for a town that lies wholly in the caller's area; no row for any other.
INSERT INTO territory.changeset (title, reason, town_code, proposal)
SELECT %(title)s, %(reason)s, u.code, %(proposal)s::jsonb
FROM territory.unit AS u
JOIN access.my_unit AS m ON m.code = u.code AND m.is_whole
WHERE u.code = %(town_code)s AND u.level = 'town' AND u.valid_to IS NULL
RETURNING id, state, planned_by, planned_at
