-- Key risk areas by verdict in each hour of a day, of a town where it is named.
SELECT v.*, analysis.parameter_value('seen_fraction_min') AS rule FROM analysis.area_verdicts(%(since)s, %(until)s, %(moment)s, %(town)s) AS v
ORDER BY v.hour
