-- All figures, by name.
SELECT h.* FROM analysis.headline AS h
