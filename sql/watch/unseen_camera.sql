-- A camera's look that did not show an incident.
UPDATE watch.incident_camera AS v
SET looks = %(looks)s, looked_at = %(looked_at)s
WHERE v.incident_id = %(id)s AND v.camera_id = %(camera_id)s
RETURNING v.camera_id;
