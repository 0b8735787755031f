-- What the page's filters and forms choose from: towns that the reader sees whole (who sees a community: his communities, and above
-- them their towns by name only), and all departments.
WITH place AS (
    SELECT u.level, u.code, u.parent_code, u.name_zh, u.name_en
    FROM territory.unit AS u
    WHERE u.level = CASE WHEN (SELECT o.scope FROM analysis.own_area AS o) = 'community' THEN 'community' ELSE 'town' END
        AND u.valid_to IS NULL AND u.code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
)
SELECT p.level AS kind, p.code, p.name_zh, p.name_en FROM place AS p
UNION ALL
SELECT 'above', u.code, u.name_zh, u.name_en
FROM territory.unit AS u
WHERE u.valid_to IS NULL AND u.code IN (SELECT p.parent_code FROM place AS p WHERE p.level = 'community')
UNION ALL
SELECT 'department', d.code, d.name_zh, d.name_en FROM duty.department AS d
ORDER BY 1, 2
