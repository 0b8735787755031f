-- Frames of an incident in the order of time, kept or not, with what is known of each.
SELECT e.id, e.sha256, e.path, e.bytes, e.width_px, e.height_px, e.captured_at, e.received_at, e.boxes, e.not_kept
FROM watch.evidence AS e
WHERE e.incident_id = %(incident_id)s
ORDER BY e.captured_at, e.id
