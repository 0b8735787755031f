-- Rows of the outbox that open maps may not have heard of. An id is taken before its transaction commits, so a lower id can
-- appear after a higher one: the last minute is looked at again and the listener drops what it has told already.
SELECT o.id, o.topic, o.payload, o.created_at
FROM watch.outbox AS o
WHERE o.id > %(after)s OR (o.id > %(after)s - 200 AND o.created_at > now() - interval '1 minute' AND o.id > %(floor)s)
ORDER BY o.id
LIMIT %(limit)s
