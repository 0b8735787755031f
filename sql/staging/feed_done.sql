-- A turn that ended well: what is stored is what the source held at `looked_at`. Nothing where the lease is another's by now.
UPDATE staging.feed AS f
SET
    fingerprint = %(fingerprint)s,
    last_outcome = %(outcome)s,
    last_message = %(message)s,
    last_success_at = %(looked_at)s,
    last_changed_at = CASE WHEN %(is_change)s THEN %(looked_at)s ELSE f.last_changed_at END,
    last_load_id = coalesce(%(load_id)s, f.last_load_id),
    failing_since = NULL,
    failures = 0,
    next_due_at = %(next_due_at)s,
    lease_owner = NULL,
    lease_until = NULL
WHERE f.id = %(id)s AND f.lease_token = %(token)s AND f.lease_owner IS NOT NULL
RETURNING f.id;
