-- What a point of the ground belongs to: cell, town, key risk area and site.
-- A point in no cell has no cell: it is not moved into the nearest one.
WITH spot AS (
    SELECT
        ST_SetSRID(ST_MakePoint(%(x)s, %(y)s), %(srid)s) AS point,
        ST_GeomFromText(%(ring)s, %(srid)s) AS ellipse
),
cell AS (
    SELECT g.code FROM territory.grid_cell AS g, spot AS s WHERE ST_Covers(g.geom, s.point) ORDER BY g.code LIMIT 1
),
town AS (
    SELECT u.code
    FROM territory.unit AS u, spot AS s
    WHERE u.level = 'town' AND u.valid_to IS NULL AND ST_Covers(u.geom, s.point)
    ORDER BY u.code
    LIMIT 1
),
-- The area that holds the point; else the one that most of the error ellipse lies over, from a tenth on.
area AS (
    SELECT a.id, a.site_id
    FROM registry.key_risk_area AS a, spot AS s
    WHERE a.status = 'active' AND ST_Intersects(a.geom, coalesce(s.ellipse, s.point))
    ORDER BY ST_Covers(a.geom, s.point) DESC, ST_Area(ST_Intersection(a.geom, coalesce(s.ellipse, s.point))) DESC, a.id
    LIMIT 1
),
sure_area AS (
    SELECT a.id, a.site_id
    FROM area AS r
    JOIN registry.key_risk_area AS a ON a.id = r.id
    CROSS JOIN spot AS s
    WHERE ST_Covers(a.geom, s.point)
        OR ST_Area(ST_Intersection(a.geom, s.ellipse)) >= 0.1 * ST_Area(s.ellipse)
)
SELECT
    (SELECT code FROM cell) AS cell_code,
    coalesce((SELECT code FROM town), (SELECT substr(code, 1, 9) || '000' FROM cell), c.town_code) AS town_code,
    (SELECT id FROM sure_area) AS key_risk_area_id,
    coalesce((SELECT site_id FROM sure_area), c.site_id) AS site_id
FROM registry.camera AS c
WHERE c.id = %(camera_id)s;
