-- A new receiver. Nothing where one of this name is there.
INSERT INTO watch.receiver (
    name, kind, address, recipients, sender, language, topics, classes, transitions, towns, min_score, only_confirmed,
    cooldown_s, quiet_from, quiet_to, quiet_passes, per_minute, give_up_after_s, added_at, added_by, next_try_at, tokens,
    tokens_at
)
VALUES (
    %(name)s, %(kind)s, %(address)s, %(recipients)s, %(sender)s, %(language)s, %(topics)s, %(classes)s, %(transitions)s,
    %(towns)s, %(min_score)s, %(only_confirmed)s, %(cooldown_s)s, %(quiet_from)s, %(quiet_to)s, %(quiet_passes)s,
    %(per_minute)s, %(give_up_after_s)s, %(at)s, %(by)s, %(at)s, greatest(1, %(per_minute)s / 4.0), %(at)s
)
ON CONFLICT (name) WHERE removed_at IS NULL DO NOTHING
RETURNING id;
