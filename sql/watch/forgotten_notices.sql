-- Notices that no open map can still ask for: a map that was away longer loads everything anew. What receivers are still to
-- be told of is kept, by itself (watch.delivery), or here until somebody has planned it.
DELETE FROM watch.outbox AS o
WHERE o.created_at < %(before)s
    AND (o.planned_at IS NOT NULL OR NOT EXISTS (SELECT FROM watch.receiver AS r WHERE r.removed_at IS NULL))
RETURNING o.id;
