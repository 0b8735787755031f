-- The town of a code or of a name in either language.
SELECT u.code, u.name_zh, u.name_en FROM territory.unit AS u
WHERE u.level = 'town' AND u.valid_to IS NULL
    AND (u.code = %(town)s OR u.name_zh = %(town)s OR lower(u.name_en) = lower(%(town)s))
ORDER BY u.code
