-- An incident that an observed scan did not show.
UPDATE watch.incident AS i
SET state = %(state)s, closed_at = CASE WHEN %(state)s = 'closed' THEN %(at)s::timestamptz END
WHERE i.id = %(id)s AND i.state <> %(state)s
RETURNING i.incident_no, i.review;
