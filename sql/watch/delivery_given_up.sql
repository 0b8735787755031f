-- Deliveries that nobody took for too long, given up; one row each.
WITH late AS (
    SELECT d.id, r.name, r.last_answer
    FROM watch.delivery AS d
    JOIN watch.receiver AS r ON r.id = d.receiver_id
    WHERE d.state = 'waiting'
        -- A test that comes hours later tells nobody anything: ten minutes.
        AND (
            d.due_since + make_interval(secs => CASE WHEN d.topic = 'test' THEN least(r.give_up_after_s, 600) ELSE r.give_up_after_s END)
                <= %(at)s::timestamptz
            OR r.removed_at IS NOT NULL
        )
        AND (r.lease_until IS NULL OR r.lease_until < %(at)s::timestamptz)
    ORDER BY d.id
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE watch.delivery AS d
SET state = 'given_up', waits_for = NULL, last_answer = coalesce(d.last_answer, late.last_answer)
FROM late
WHERE d.id = late.id
RETURNING d.id, late.name, d.attempts, d.last_answer;
