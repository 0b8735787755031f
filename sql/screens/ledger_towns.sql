-- Towns that have a camera of the caller's.
SELECT u.code, u.name_zh, u.name_en
FROM territory.unit AS u
WHERE u.level = 'town' AND u.valid_to IS NULL
    AND EXISTS (SELECT FROM registry.camera AS c WHERE c.town_code = u.code)
ORDER BY u.code
