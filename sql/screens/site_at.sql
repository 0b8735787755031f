-- One site with its risk and who leads, as it stood at a past moment.
SELECT
    s.*, r.score, r.level, r.reasons, r.unknown_parts, r.is_stale,
    ST_X(ST_Transform(s.geom, 4326)) AS lon, ST_Y(ST_Transform(s.geom, 4326)) AS lat
FROM registry.site AS here
CROSS JOIN LATERAL analysis.site_at(%(as_of)s, here.cell_code) AS s
LEFT JOIN LATERAL analysis.risk_site_at(%(as_of)s, here.cell_code) AS r ON r.site_id = s.id
WHERE here.id = %(id)s AND s.id = here.id
