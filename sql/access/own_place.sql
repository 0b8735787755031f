-- Names of the caller's own towns, communities or sites; none for the whole district.
SELECT u.name_zh, coalesce(nullif(u.name_en, ''), u.name_zh) AS name_en
FROM access.my_area AS m JOIN territory.unit AS u ON u.code = m.area_code
UNION ALL
SELECT s.name_zh, s.name_zh
FROM access.my_site AS m JOIN registry.site AS s ON s.id = m.site_id
ORDER BY 1
