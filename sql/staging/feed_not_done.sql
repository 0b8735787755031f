-- A turn that stored nothing: what is stored stays, and so does its age. One that waits for a file is no failure.
UPDATE staging.feed AS f
SET
    last_outcome = %(outcome)s,
    last_message = %(message)s,
    failing_since = CASE WHEN %(is_failure)s THEN coalesce(f.failing_since, %(at)s) ELSE f.failing_since END,
    failures = f.failures + %(is_failure)s::integer,
    next_due_at = %(next_due_at)s,
    lease_owner = NULL,
    lease_until = NULL
WHERE f.id = %(id)s AND f.lease_token = %(token)s AND f.lease_owner IS NOT NULL
RETURNING f.id;
