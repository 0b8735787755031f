-- All figures as they stood at a past moment, by name.
SELECT h.* FROM analysis.headline_at(%(as_of)s) AS h
