-- Receivers that this process gives back.
UPDATE watch.receiver AS r
SET lease_owner = NULL, lease_until = NULL, next_try_at = greatest(r.next_try_at, %(until)s)
WHERE r.id = %(receiver_id)s AND r.lease_token = %(lease_token)s
RETURNING r.id;
