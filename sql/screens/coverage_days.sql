-- Onboarding day by day, from the first day of a year to a day of it.
SELECT d.day, d.year_joined, d.target, d.due_by_day, d.in_network, d.left_day_not_known
FROM analysis.onboarding_days(date_trunc('year', %(on)s::date)::date, %(on)s, %(town)s) AS d
ORDER BY d.day
