-- The city, the extent of the reader's own ground in degrees (EPSG:4326: west, south, east, north), and the names of the
-- reader's own towns, communities or sites: empty for the whole district.
WITH whole AS (
    SELECT ST_Extent(ST_Transform(u.geom, 4326)) AS box FROM territory.unit AS u WHERE u.level = 'county' AND u.geom IS NOT NULL
),
-- Towns and communities: their cells and, where they have an outline, that.
area AS (
    SELECT ST_Extent(ST_Transform(g.geom, 4326)) AS box
    FROM (
        SELECT u.geom FROM access.my_area AS m JOIN territory.unit AS u ON u.code = m.area_code
        UNION ALL
        SELECT c.geom FROM territory.grid_cell AS c WHERE EXISTS (SELECT 1 FROM access.my_area)
    ) AS g
),
-- A firm: 300 m around its sites.
firm AS (
    SELECT ST_Extent(ST_Transform(ST_Expand(s.geom, 300), 4326)) AS box
    FROM access.my_site AS m JOIN registry.site AS s ON s.id = m.site_id
),
extent AS (
    SELECT coalesce(f.box, a.box, w.box) AS box FROM firm AS f CROSS JOIN area AS a CROSS JOIN whole AS w
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
