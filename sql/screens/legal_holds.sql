-- Legal holds that are not released, the oldest first.
SELECT h.incident_no, h.incident_id, h.reason, h.since, h.held_by
FROM analysis.legal_hold AS h
WHERE h.released_at IS NULL
ORDER BY h.since
LIMIT 100
