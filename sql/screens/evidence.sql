-- File and digest of one evidence frame, its boxes, and the incident it belongs to. Without the right to look at frames: refused.
SELECT e.id, e.path, e.sha256, e.not_kept, e.boxes, e.captured_at, i.incident_no, i.town_code, i.site_id
FROM watch.evidence AS e
JOIN watch.incident AS i ON i.id = e.incident_id
WHERE e.id = %(id)s
