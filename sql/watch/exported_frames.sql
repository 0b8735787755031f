-- Frames of an incident in the order of time, kept or not, with what is known of each and the camera that took it.
SELECT
    e.id, e.sha256, e.path, e.bytes, e.width_px, e.height_px, e.captured_at, e.received_at, e.boxes, e.not_kept,
    c.gb_id AS camera_gb_id, c.name_zh AS camera_name_zh
FROM watch.evidence AS e
LEFT JOIN watch.incident_observation AS o ON o.incident_id = e.incident_id AND o.observation_id = e.observation_id
LEFT JOIN registry.camera AS c ON c.id = o.camera_id
WHERE e.incident_id = %(incident_id)s
ORDER BY e.captured_at, e.id
