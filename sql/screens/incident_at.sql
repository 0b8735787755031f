-- One lead as it stood at a past moment, with the newest frame taken by then; how often and how surely it had been seen, where that is kept.
SELECT
    e.id, e.incident_no, e.class, a.state, a.review, a.review_reason, a.first_seen_at, coalesce(a.last_seen_at, s.last_at) AS last_seen_at,
    CASE WHEN a.last_seen_at IS NOT NULL THEN e.peak_score ELSE s.peak_score END AS peak_score,
    CASE WHEN a.last_seen_at IS NOT NULL THEN e.observation_count ELSE nullif(s.n, 0) END AS observation_count,
    e.camera_id, e.camera_name_zh, e.site_id, e.site_name_zh, e.key_risk_area_id, e.key_risk_area_zh, e.cell_code, e.town_zh, e.town_en,
    e.placing_method, e.semi_major_m, e.semi_minor_m, f.id AS evidence_id, f.sha256 AS evidence_sha256, f.boxes, f.width_px, f.height_px,
    f.captured_at, f.not_kept AS evidence_not_kept, p.permit_no,
    (SELECT count(*) FROM watch.deletion AS d WHERE d.incident_id = e.id AND d.deleted_at IS NOT NULL) AS frames_deleted,
    EXISTS (SELECT 1 FROM watch.legal_hold AS h WHERE h.incident_id = e.id AND h.released_at IS NULL) AS is_held,
    ST_X(ST_Transform(e.geom, 4326)) AS lon, ST_Y(ST_Transform(e.geom, 4326)) AS lat
FROM analysis.event AS e
JOIN analysis.event_at(%(as_of)s) AS a ON a.id = e.id
CROSS JOIN LATERAL (
    SELECT count(*) AS n, max(v.score) AS peak_score, max(o.captured_at) AS last_at
    FROM watch.incident_observation AS v
    JOIN watch.observation AS o ON o.id = v.observation_id
    WHERE v.incident_id = e.id AND o.captured_at <= %(as_of)s
) AS s
LEFT JOIN LATERAL (
    SELECT w.id, w.sha256, w.boxes, w.width_px, w.height_px, w.captured_at, w.not_kept
    FROM watch.evidence AS w WHERE w.incident_id = e.id AND w.captured_at <= %(as_of)s
    ORDER BY w.not_kept NULLS FIRST, w.captured_at DESC, w.id LIMIT 1
) AS f ON true
LEFT JOIN registry.hot_work_permit AS p ON p.id = e.permit_id
WHERE e.id = %(id)s
