-- What each department has in the units of a page (all units where none are named).
SELECT d.*
FROM analysis.duty_department_at(coalesce(%(as_of)s::timestamptz, now()), %(level)s, %(within)s) AS d
WHERE %(units)s::text[] IS NULL OR coalesce(d.unit_code, '-') = ANY (%(units)s::text[])
ORDER BY d.unit_code, d.town_code, d.department_code
