-- The constants in force at a moment whose name has the pattern in it: value, unit, note, since when, by whom and why.
SELECT v.name, v.value, p.unit, p.note_zh, p.note_en, v.valid_from, v.set_by, v.reason
FROM analysis.parameter_at(%(at)s) AS v
LEFT JOIN analysis.parameter AS p ON p.name = v.name
WHERE v.name LIKE '%%' || %(pattern)s || '%%'
ORDER BY v.name
