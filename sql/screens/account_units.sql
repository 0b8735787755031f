-- Towns and communities of today, to choose an account's area from.
SELECT u.code, u.level, u.name_zh, coalesce(nullif(u.name_en, ''), u.name_zh) AS name_en
FROM territory.unit AS u
WHERE u.level IN ('town', 'community') AND (u.valid_to IS NULL OR u.valid_to > analysis.city_date(now()))
ORDER BY u.level DESC, u.code
