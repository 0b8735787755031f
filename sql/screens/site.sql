-- One site with its risk and who leads.
SELECT
    s.*, r.score, r.level, r.reasons, r.unknown_parts, r.is_stale,
    ST_X(ST_Transform(s.geom, 4326)) AS lon, ST_Y(ST_Transform(s.geom, 4326)) AS lat
FROM analysis.site AS s
LEFT JOIN analysis.risk_site_at(now(), only_sites => ARRAY[%(id)s]::bigint[]) AS r ON r.site_id = s.id
WHERE s.id = %(id)s
