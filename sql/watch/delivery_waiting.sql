-- What waits for one receiver, by subject: those that are due, fire first, then what was not tried yet (so that one message
-- that is never taken does not stand before the others), then the oldest; with when each was told last.
WITH due AS (
    SELECT
        d.subject, bool_or(d.class IS NOT DISTINCT FROM 'fire') AS is_fire, max(d.attempts) > 0 AS is_tried,
        min(d.happened_at) AS since
    FROM watch.delivery AS d
    WHERE d.receiver_id = %(receiver_id)s AND d.state = 'waiting' AND d.next_try_at <= %(at)s::timestamptz
    GROUP BY d.subject
    ORDER BY is_fire DESC, is_tried, since, d.subject
    LIMIT %(most)s
),
told AS (
    SELECT d.subject, max(d.delivered_at) AS told_at
    FROM watch.delivery AS d
    JOIN due AS u ON u.subject = d.subject
    WHERE d.receiver_id = %(receiver_id)s AND d.state = 'delivered'
    GROUP BY d.subject
)
SELECT d.id, d.subject, d.topic, d.transition, d.class, d.payload, d.attempts, d.next_try_at, t.told_at
FROM due AS u
JOIN watch.delivery AS d ON d.subject = u.subject AND d.receiver_id = %(receiver_id)s AND d.state = 'waiting'
LEFT JOIN told AS t ON t.subject = u.subject
ORDER BY u.is_fire DESC, u.is_tried, u.since, u.subject, d.id;
