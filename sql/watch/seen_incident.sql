-- An incident seen again: last box and time, best score. Its review belongs to people and is not touched.
UPDATE watch.incident AS i
SET
    state = %(state)s,
    class = %(class)s,
    last_seen_at = greatest(i.last_seen_at, %(at)s),
    opened_at = coalesce(i.opened_at, %(opened_at)s),
    peak_score = greatest(i.peak_score, %(score)s),
    observation_count = i.observation_count + 1,
    model_hash = %(model_hash)s,
    box = %(box)s
WHERE i.id = %(id)s
RETURNING i.incident_no, i.review;
