-- Deliveries that are not told yet: until when, and what they wait for. Nothing where the lease was lost.
UPDATE watch.delivery AS d
SET
    next_try_at = %(until)s,
    waits_for = %(waits_for)s,
    -- Quiet hours are not the receiver's fault: the time to deliver in begins at their end.
    due_since = CASE WHEN %(waits_for)s IN ('quiet_hours', 'cooldown') THEN greatest(d.due_since, %(until)s) ELSE d.due_since END
FROM watch.receiver AS r
WHERE r.id = d.receiver_id
    AND r.id = %(receiver_id)s
    AND r.lease_token = %(lease_token)s
    AND d.id = ANY (%(ids)s)
    AND d.state = 'waiting'
RETURNING d.id;
