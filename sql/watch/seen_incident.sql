-- An incident seen again: time, best score, and the box where its first camera saw it. Its review belongs to people.
UPDATE watch.incident AS i
SET
    state = %(state)s,
    class = %(class)s,
    mode = %(mode)s,
    first_seen_at = least(i.first_seen_at, %(at)s),
    last_seen_at = greatest(i.last_seen_at, %(at)s),
    opened_at = coalesce(i.opened_at, %(opened_at)s),
    peak_score = greatest(i.peak_score, %(score)s),
    observation_count = i.observation_count + 1,
    model_hash = %(model_hash)s,
    box = CASE WHEN i.camera_id = %(camera_id)s THEN %(box)s ELSE i.box END
WHERE i.id = %(id)s
RETURNING i.incident_no, i.review;
