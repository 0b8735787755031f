-- Where the demo's people work: a town, and in it a site that has something to see.
WITH towns AS (
    SELECT u.code
    FROM territory.unit AS u
    WHERE u.level = 'town' AND u.valid_to IS NULL
    ORDER BY (u.code = %(town)s) DESC, u.code
    LIMIT 1
),
-- A key risk area with a camera at it makes an enterprise's screen worth a look.
sites AS (
    SELECT
        s.id,
        EXISTS (SELECT FROM registry.key_risk_area AS k WHERE k.site_id = s.id) AS has_area,
        EXISTS (
            SELECT FROM registry.camera AS c
            WHERE c.site_id = s.id
                OR EXISTS (SELECT FROM registry.key_risk_area AS k WHERE k.site_id = s.id AND ST_Intersects(c.sector, k.geom))
        ) AS is_watched
    FROM registry.site AS s JOIN towns AS t ON t.code = s.town_code
)
SELECT t.code AS town_code, (SELECT s.id FROM sites AS s ORDER BY s.has_area DESC, s.is_watched DESC, s.id LIMIT 1) AS site_id
FROM towns AS t
