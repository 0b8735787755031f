-- What receivers were told before a moment. A message goes with all that was joined into it, when the newest of them is old
-- enough; never while something waits, or an incident that it tells of is under a legal hold. At most so many messages at once.
WITH message AS (
    SELECT h.id
    FROM watch.delivery AS h
    WHERE h.happened_at < %(before)s AND h.state IN ('delivered', 'given_up', 'refused')
        AND NOT EXISTS (
            SELECT FROM watch.delivery AS j WHERE j.joined_into = h.id AND j.happened_at >= %(before)s
        )
        AND NOT EXISTS (
            SELECT
            FROM watch.delivery AS d
            JOIN watch.legal_hold AS l ON l.incident_id = d.incident_id AND l.released_at IS NULL
            WHERE d.id = h.id OR d.joined_into = h.id
        )
    ORDER BY h.happened_at
    LIMIT %(most)s
)
DELETE FROM watch.delivery AS d
USING message AS m
WHERE d.id = m.id OR d.joined_into = m.id
RETURNING d.id;
