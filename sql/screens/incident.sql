-- One lead with its newest frame; whether frames of it were deleted, or are held.
SELECT
    e.*, f.boxes, f.width_px, f.height_px, f.captured_at, f.not_kept AS evidence_not_kept, p.permit_no,
    (SELECT count(*) FROM watch.deletion AS d WHERE d.incident_id = e.id AND d.deleted_at IS NOT NULL) AS frames_deleted,
    EXISTS (SELECT 1 FROM watch.legal_hold AS h WHERE h.incident_id = e.id AND h.released_at IS NULL) AS is_held,
    ST_X(ST_Transform(e.geom, 4326)) AS lon, ST_Y(ST_Transform(e.geom, 4326)) AS lat
FROM analysis.event AS e
LEFT JOIN watch.evidence AS f ON f.id = e.evidence_id
LEFT JOIN registry.hot_work_permit AS p ON p.id = e.permit_id
WHERE e.id = %(id)s
