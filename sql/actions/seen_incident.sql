-- Whether the caller sees an incident at all.
SELECT 1 AS seen FROM analysis.event AS e WHERE e.id = %(id)s
