-- What a map missed while it was away: outbox rows after an id, oldest first.
SELECT o.id, o.topic, o.payload, o.created_at
FROM watch.outbox AS o
WHERE o.id > %(after)s
ORDER BY o.id
LIMIT %(limit)s
