-- Notices that no open map can still ask for: a map that was away longer loads everything anew.
DELETE FROM watch.outbox AS o
WHERE o.created_at < %(before)s
RETURNING o.id;
