-- What became of a try, and when the receiver may be tried again. Nothing where the lease was lost: it will be sent again
-- with the same key.
WITH held AS (
    UPDATE watch.receiver AS r
    SET
        failures = CASE WHEN %(is_receiver_ill)s THEN r.failures + 1 ELSE 0 END,
        failing_since = CASE WHEN %(is_receiver_ill)s THEN coalesce(r.failing_since, %(at)s) END,
        next_try_at = greatest(r.next_try_at, %(receiver_until)s),
        last_answer = %(answer)s,
        last_told_at = CASE WHEN %(state)s = 'delivered' THEN %(at)s ELSE r.last_told_at END
    WHERE r.id = %(receiver_id)s AND r.lease_token = %(lease_token)s
    RETURNING r.id
)
UPDATE watch.delivery AS d
SET
    state = %(state)s,
    waits_for = CASE WHEN %(state)s = 'waiting' THEN 'retry' END,
    next_try_at = %(until)s,
    last_answer = %(answer)s,
    delivered_at = CASE WHEN %(state)s = 'delivered' THEN %(at)s::timestamptz END
FROM held AS h
WHERE d.receiver_id = h.id AND d.id = %(id)s
RETURNING d.id;
