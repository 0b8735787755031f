-- A receiver with what it is told, and when, changed; tried again at once.
UPDATE watch.receiver AS r
SET
    address = %(address)s, recipients = %(recipients)s, sender = %(sender)s, language = %(language)s, topics = %(topics)s,
    classes = %(classes)s, transitions = %(transitions)s, towns = %(towns)s, min_score = %(min_score)s,
    only_confirmed = %(only_confirmed)s, cooldown_s = %(cooldown_s)s, quiet_from = %(quiet_from)s, quiet_to = %(quiet_to)s,
    quiet_passes = %(quiet_passes)s, per_minute = %(per_minute)s, give_up_after_s = %(give_up_after_s)s, next_try_at = %(at)s
WHERE r.id = %(id)s AND r.removed_at IS NULL;
