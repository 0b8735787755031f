-- A test message that waits for the teller; each has a subject of its own, so that none waits for another's cooldown.
INSERT INTO watch.delivery (receiver_id, message_key, topic, subject, transition, happened_at, next_try_at, due_since)
VALUES (%(receiver_id)s, %(key)s, 'test', 'test:' || %(key)s::text, 'test', %(at)s, %(at)s, %(at)s);
