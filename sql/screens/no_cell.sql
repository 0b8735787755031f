-- One piece of ground in no cell.
SELECT
    n.id, n.declared, n.name_zh, n.name_en, n.reason, n.declared_on, n.area_m2, u.name_zh AS town_zh, u.name_en AS town_en,
    ST_X(ST_Transform(ST_PointOnSurface(n.geom), 4326)) AS lon, ST_Y(ST_Transform(ST_PointOnSurface(n.geom), 4326)) AS lat
FROM analysis.no_cell AS n
LEFT JOIN territory.unit AS u ON u.code = n.town_code
WHERE n.id = %(id)s
