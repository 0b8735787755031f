-- Observations older than the limit that belong to no incident: their counts stay in watch.observation_hour.
WITH old AS (
    SELECT o.id
    FROM watch.observation AS o
    WHERE o.captured_at < %(before)s
        AND NOT EXISTS (SELECT FROM watch.incident_observation AS s WHERE s.observation_id = o.id)
        AND NOT EXISTS (SELECT FROM watch.evidence AS e WHERE e.observation_id = o.id)
        AND NOT EXISTS (
            SELECT FROM watch.incident AS i WHERE i.camera_id = o.camera_id AND i.state <> 'closed'
        )
    LIMIT 20000
)
DELETE FROM watch.observation AS o
USING old
WHERE o.id = old.id;
