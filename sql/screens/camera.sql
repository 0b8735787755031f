-- One camera, now or as it stood at a past moment.
SELECT
    c.id, c.gb_id, c.name_zh, c.observed, c.reason, c.since, c.last_observed_at, c.is_online, c.cell_code,
    u.name_zh AS town_zh, u.name_en AS town_en, s.name_zh AS site_name_zh, c.site_id,
    round(ST_Area(c.sector)::numeric) AS sector_m2,
    ST_X(ST_Transform(c.geom, 4326)) AS lon, ST_Y(ST_Transform(c.geom, 4326)) AS lat
FROM analysis.camera_at(coalesce(%(as_of)s::timestamptz, now())) AS c
LEFT JOIN territory.unit AS u ON u.code = c.town_code
LEFT JOIN registry.site AS s ON s.id = c.site_id
WHERE c.id = %(id)s
