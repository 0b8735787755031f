-- Frames of false alarms. Not those in which another incident was seen that nobody called false: they are no negatives.
SELECT
    e.id, e.path, e.sha256, e.bytes, e.width_px, e.height_px, e.captured_at, e.boxes,
    i.id AS incident_id, i.incident_no, i.class, i.review_reason, to_jsonb(i) ->> 'false_cause' AS cause, i.reviewed_at, i.model_hash
FROM watch.evidence AS e
JOIN watch.incident AS i ON i.id = e.incident_id
WHERE i.review = 'false' AND e.not_kept IS NULL
    AND NOT EXISTS (
        SELECT
        FROM watch.incident_observation AS s
        JOIN watch.incident AS o ON o.id = s.incident_id
        WHERE s.observation_id = e.observation_id AND o.review <> 'false'
    )
ORDER BY e.captured_at, e.id;
