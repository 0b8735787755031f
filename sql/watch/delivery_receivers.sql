-- Receivers now held by this process, each with something to be told. Every claim raises the token; an older token writes
-- nothing.
WITH due AS (
    SELECT r.id
    FROM watch.receiver AS r
    WHERE r.removed_at IS NULL
        AND r.paused_at IS NULL
        AND r.next_try_at <= %(at)s::timestamptz
        AND (r.lease_until IS NULL OR r.lease_until < %(at)s::timestamptz)
        AND EXISTS (
            SELECT FROM watch.delivery AS d
            WHERE d.receiver_id = r.id AND d.state = 'waiting' AND d.next_try_at <= %(at)s::timestamptz
        )
    ORDER BY r.next_try_at, r.id
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
UPDATE watch.receiver AS r
SET
    lease_owner = %(owner)s,
    lease_until = %(at)s::timestamptz + make_interval(secs => %(lease_s)s),
    lease_token = r.lease_token + 1
FROM due
WHERE r.id = due.id
RETURNING r.*;
