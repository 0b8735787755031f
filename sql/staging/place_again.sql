-- Sites, cameras and key risk areas whose cell or town is another one since the ground changed: put right. Metres.
WITH
-- where each stored thing stands
thing AS (
    SELECT 'site' AS kind, id, geom FROM registry.site
    UNION ALL
    SELECT 'camera', id, geom FROM registry.camera
),
-- the cell and the town at that place; on a shared border the lowest code
place AS (
    SELECT
        t.kind,
        t.id,
        (SELECT min(c.code) FROM territory.grid_cell AS c WHERE ST_Intersects(c.geom, t.geom)) AS cell_code,
        (
            SELECT min(u.code) FROM territory.unit AS u
            WHERE u.level = 'town' AND ST_Intersects(u.geom, t.geom)
        ) AS town_code
    FROM thing AS t
),
-- a town that the row named itself stays where the new outlines say nothing, or overlap there
site_moved AS (
    UPDATE registry.site AS s
    SET cell_code = p.cell_code, town_code = COALESCE(p.town_code, s.town_code)
    FROM place AS p
    WHERE p.kind = 'site' AND p.id = s.id AND (
        s.cell_code IS DISTINCT FROM p.cell_code
        OR (p.town_code IS NOT NULL AND NOT EXISTS (
            SELECT FROM territory.unit AS u WHERE u.code = s.town_code AND ST_Intersects(u.geom, s.geom)
        ))
    )
    RETURNING s.id
),
camera_moved AS (
    UPDATE registry.camera AS c
    SET cell_code = p.cell_code, town_code = COALESCE(p.town_code, c.town_code)
    FROM place AS p
    WHERE p.kind = 'camera' AND p.id = c.id AND (
        c.cell_code IS DISTINCT FROM p.cell_code
        OR (p.town_code IS NOT NULL AND NOT EXISTS (
            SELECT FROM territory.unit AS u WHERE u.code = c.town_code AND ST_Intersects(u.geom, c.geom)
        ))
    )
    RETURNING c.id
)
SELECT (SELECT count(*) FROM site_moved) AS sites, (SELECT count(*) FROM camera_moved) AS cameras;
