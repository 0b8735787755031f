-- West, south, east, north of all units and cells, degrees (EPSG:4326); NULL where there are none.
WITH box AS (
    SELECT ST_Transform(ST_SetSRID(ST_Extent(u.geom_3857)::geometry, 3857), 4326) AS g
    FROM (SELECT geom_3857 FROM territory.unit UNION ALL SELECT geom_3857 FROM territory.grid_cell) AS u
)
SELECT ST_XMin(g) AS west, ST_YMin(g) AS south, ST_XMax(g) AS east, ST_YMax(g) AS north FROM box
