-- What is set for the receiver of this name, and which secrets it has; its row is held until the transaction ends.
SELECT
    r.name, r.kind, r.address, r.recipients, r.sender, r.language, r.topics, r.classes, r.transitions, r.towns, r.min_score,
    r.only_confirmed, r.cooldown_s, r.quiet_from, r.quiet_to, r.quiet_passes, r.per_minute, r.give_up_after_s,
    ARRAY(
        SELECT s.field FROM access.secret AS s WHERE s.subject_kind = 'receiver' AND s.subject_id = r.id::text ORDER BY s.field
    ) AS secrets
FROM watch.receiver AS r
WHERE r.name = %(name)s AND r.removed_at IS NULL
FOR UPDATE OF r
