-- Feeds now held by this process for one turn each: due, neither paused nor held by another, the longest due first; or the one
-- that is named, due or not. Every claim raises the token; a turn with an older token writes nothing.
WITH due AS (
    SELECT f.id, f.lease_owner AS cut_off_owner
    FROM staging.feed AS f
    WHERE CASE WHEN %(only)s::text IS NULL THEN f.next_due_at <= %(at)s::timestamptz AND f.paused_at IS NULL ELSE f.name = %(only)s END
        AND (f.lease_until IS NULL OR f.lease_until < %(at)s::timestamptz)
    ORDER BY f.next_due_at
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
)
UPDATE staging.feed AS f
SET
    lease_owner = %(owner)s,
    lease_until = %(at)s::timestamptz + make_interval(secs => %(lease_s)s),
    lease_token = f.lease_token + 1,
    last_tried_at = %(at)s
FROM due
WHERE f.id = due.id
RETURNING f.*, due.cut_off_owner;
