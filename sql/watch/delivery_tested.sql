-- A test message on record.
INSERT INTO watch.delivery (
    receiver_id, message_key, topic, subject, transition, happened_at, state, next_try_at, due_since, attempts, first_tried_at,
    last_tried_at, last_answer, delivered_at
)
VALUES (
    %(receiver_id)s, %(message_key)s, 'test', 'test', 'test', %(at)s, %(state)s, %(at)s, %(at)s, 1, %(at)s, %(at)s, %(answer)s,
    CASE WHEN %(state)s = 'delivered' THEN %(at)s::timestamptz END
)
RETURNING id;
