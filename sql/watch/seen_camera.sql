-- A camera's look that showed an incident: its box and votes.
INSERT INTO watch.incident_camera AS v (
    incident_id, camera_id, box, looks, looked_at, first_seen_at, last_seen_at, peak_score
)
VALUES (%(id)s, %(camera_id)s, %(box)s, %(looks)s, %(looked_at)s, %(at)s, %(at)s, %(score)s)
ON CONFLICT (incident_id, camera_id) DO UPDATE SET
    box = EXCLUDED.box,
    looks = EXCLUDED.looks,
    looked_at = EXCLUDED.looked_at,
    first_seen_at = least(v.first_seen_at, EXCLUDED.first_seen_at),
    last_seen_at = greatest(v.last_seen_at, EXCLUDED.last_seen_at),
    peak_score = greatest(v.peak_score, EXCLUDED.peak_score)
RETURNING v.camera_id;
