-- The city, the extent of its counties in degrees (EPSG:4326: west, south, east, north), and the names of the reader's
-- own towns, communities or sites: empty for the whole district.
WITH extent AS (
    SELECT ST_Extent(ST_Transform(u.geom, 4326)) AS box FROM territory.unit AS u WHERE u.level = 'county' AND u.geom IS NOT NULL
)
SELECT
    c.name_zh, c.name_en, c.code, c.timezone, c.is_generated, c.metric_srid,
    ARRAY(
        SELECT u.name_zh FROM access.my_area AS m JOIN territory.unit AS u ON u.code = m.area_code
        UNION ALL SELECT s.name_zh FROM access.my_site AS m JOIN registry.site AS s ON s.id = m.site_id
        ORDER BY 1
    ) AS own_areas_zh,
    ARRAY(
        SELECT coalesce(nullif(u.name_en, ''), u.name_zh) FROM access.my_area AS m JOIN territory.unit AS u ON u.code = m.area_code
        UNION ALL SELECT s.name_zh FROM access.my_site AS m JOIN registry.site AS s ON s.id = m.site_id
        ORDER BY 1
    ) AS own_areas_en,
    ST_XMin(e.box) AS west, ST_YMin(e.box) AS south, ST_XMax(e.box) AS east, ST_YMax(e.box) AS north
FROM territory.city AS c CROSS JOIN extent AS e
