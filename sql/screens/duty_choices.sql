-- What the page's filters and forms choose from: towns that the reader sees whole (who sees a community, his communities), and all
-- departments.
SELECT u.level AS kind, u.code, u.name_zh, u.name_en
FROM territory.unit AS u
WHERE u.level = CASE WHEN (SELECT o.scope FROM analysis.own_area AS o) = 'community' THEN 'community' ELSE 'town' END
    AND u.valid_to IS NULL AND u.code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
UNION ALL
SELECT 'department', d.code, d.name_zh, d.name_en FROM duty.department AS d
ORDER BY 1, 2
