-- Towns and communities in force, with outline and seat where they are known.
SELECT u.code, u.level, u.name_zh, ST_AsBinary(u.geom) AS outline, ST_AsBinary(u.seat) AS seat
FROM territory.unit AS u
WHERE u.level IN ('town', 'community') AND u.valid_to IS NULL
ORDER BY u.code;
