-- The city and the extent of its counties in degrees (EPSG:4326), west, south, east, north.
WITH extent AS (
    SELECT ST_Extent(ST_Transform(u.geom, 4326)) AS box FROM territory.unit AS u WHERE u.level = 'county' AND u.geom IS NOT NULL
)
SELECT
    c.name_zh, c.name_en, c.code, c.timezone, c.is_generated, c.metric_srid,
    ST_XMin(e.box) AS west, ST_YMin(e.box) AS south, ST_XMax(e.box) AS east, ST_YMax(e.box) AS north
FROM territory.city AS c CROSS JOIN extent AS e
