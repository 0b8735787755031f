-- A message that is about to be sent: what it tells of stands before the first try, so that every try has the same key and
-- tells of the same. Nothing where the lease was lost.
WITH held AS (
    UPDATE watch.receiver AS r
    SET tokens = %(tokens)s, tokens_at = %(at)s, lease_until = %(at)s::timestamptz + make_interval(secs => %(lease_s)s)
    WHERE r.id = %(receiver_id)s AND r.lease_token = %(lease_token)s
    RETURNING r.id
),
joined AS (
    UPDATE watch.delivery AS d
    SET state = 'joined', joined_into = %(id)s, waits_for = NULL
    FROM held AS h
    WHERE d.receiver_id = h.id AND d.id = ANY (%(joined)s) AND d.state = 'waiting'
    RETURNING d.id
),
begun AS (
    UPDATE watch.delivery AS d
    SET
        attempts = d.attempts + 1,
        first_tried_at = coalesce(d.first_tried_at, %(at)s),
        last_tried_at = %(at)s,
        waits_for = 'retry'
    FROM held AS h
    WHERE d.receiver_id = h.id AND d.id = %(id)s AND d.state = 'waiting'
    RETURNING d.id, d.message_key, d.topic, d.subject, d.incident_id, d.attempts, d.first_tried_at
)
SELECT b.*, (SELECT count(*) FROM joined) AS newly_joined FROM begun AS b;
