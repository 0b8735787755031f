-- Leads that begin later than the day shown.
SELECT p.*, count(*) OVER () AS in_all
FROM analysis.duty_planned_at(coalesce(%(as_of)s::timestamptz, now())) AS p
ORDER BY p.valid_from, p.unit_code, p.rule_code
LIMIT %(most)s
