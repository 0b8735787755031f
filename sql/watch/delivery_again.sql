-- Messages that were refused or given up, waiting again.
UPDATE watch.delivery AS d
SET state = 'waiting', waits_for = NULL, next_try_at = %(at)s, due_since = %(at)s
WHERE d.receiver_id = %(receiver_id)s
    AND d.state IN ('refused', 'given_up')
    AND d.topic <> 'test'
    AND d.happened_at >= %(since)s
    AND (%(ids)s::bigint[] IS NULL OR d.id = ANY (%(ids)s))
RETURNING d.id;
