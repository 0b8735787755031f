-- Onboarding by year up to a day, of a town or of the district (NULL), newest first.
SELECT y.* FROM analysis.onboarding_on(%(on)s, %(town)s) AS y
ORDER BY y.year DESC
