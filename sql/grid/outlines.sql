-- Outlines in force of the county, its towns and communities.
SELECT u.code, u.level, ST_AsBinary(u.geom) AS wkb
FROM territory.unit AS u
WHERE u.level IN ('county', 'town', 'community') AND u.valid_to IS NULL AND u.geom IS NOT NULL
ORDER BY u.code;
