-- Place types in the units of a page, with the standing of their lead.
SELECT t.*
FROM analysis.duty_type_at(coalesce(%(as_of)s::timestamptz, now()), %(level)s, %(within)s) AS t
WHERE coalesce(t.unit_code, '-') = ANY (%(units)s::text[])
