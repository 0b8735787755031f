-- One key risk source area, now or as it stood at a past moment.
SELECT
    a.*, u.name_zh AS town_zh, u.name_en AS town_en,
    ST_X(ST_Transform(ST_PointOnSurface(a.geom), 4326)) AS lon, ST_Y(ST_Transform(ST_PointOnSurface(a.geom), 4326)) AS lat
FROM analysis.key_risk_area_at(coalesce(%(as_of)s::timestamptz, now())) AS a
LEFT JOIN territory.unit AS u ON u.code = a.town_code
WHERE a.id = %(id)s
