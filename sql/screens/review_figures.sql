-- The figures of a shift as they would be written now.
SELECT f.* FROM analysis.shift_figures_between(%(since)s, %(now)s) AS f
