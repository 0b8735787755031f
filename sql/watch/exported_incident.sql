-- One incident as a bundle of evidence tells of it: the camera that saw it first, and all that saw it. Times with their zone,
-- place in WGS84 degrees.
SELECT
    i.id, i.incident_no, i.class, i.state, i.review, i.review_reason, i.reviewed_at, i.reviewed_by, i.first_seen_at, i.last_seen_at,
    i.opened_at, i.closed_at, i.peak_score, i.model_hash, i.placing_method, i.semi_major_m, i.site_id, s.name_zh AS site_name_zh,
    i.town_code, i.is_generated, c.gb_id AS camera_gb_id, c.name_zh AS camera_name_zh,
    ARRAY(
        SELECT jsonb_build_object(
            'gb_id', k.gb_id, 'name_zh', k.name_zh, 'first_seen_at', v.first_seen_at, 'last_seen_at', v.last_seen_at,
            'peak_score', v.peak_score
        )
        FROM watch.incident_camera AS v
        JOIN registry.camera AS k ON k.id = v.camera_id
        WHERE v.incident_id = i.id
        ORDER BY v.first_seen_at, k.gb_id
    ) AS cameras,
    ST_X(ST_Transform(i.geom, 4326)) AS lon, ST_Y(ST_Transform(i.geom, 4326)) AS lat
FROM watch.incident AS i
LEFT JOIN registry.camera AS c ON c.id = i.camera_id
LEFT JOIN registry.site AS s ON s.id = i.site_id
WHERE i.incident_no = %(incident_no)s
