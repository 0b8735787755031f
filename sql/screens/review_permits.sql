-- Hot-work permits at the lead's site or over its spot, within a day of it; is_valid: it holds there and then.
SELECT
    p.id, p.permit_no, p.level, p.starts_at, p.ends_at, p.status, p.watcher, s.name_zh AS site_name_zh,
    p.id = i.permit_id AS is_linked,
    p.status IN ('approved', 'active', 'extended') AND i.first_seen_at < p.ends_at AND i.last_seen_at >= p.starts_at
        AND ST_DWithin(p.geom, i.geom, coalesce(i.semi_major_m, 0)) AS is_valid,
    round(ST_Distance(p.geom, i.geom)) AS distance_m
FROM watch.incident AS i
JOIN registry.hot_work_permit AS p
    ON (p.site_id = i.site_id OR p.id = i.permit_id OR ST_DWithin(p.geom, i.geom, greatest(coalesce(i.semi_major_m, 0), 50)))
    AND p.starts_at <= i.last_seen_at + interval '1 day' AND p.ends_at >= i.first_seen_at - interval '1 day'
LEFT JOIN registry.site AS s ON s.id = p.site_id
WHERE i.id = %(id)s
ORDER BY is_linked DESC NULLS LAST, is_valid DESC, p.starts_at DESC
LIMIT 6
