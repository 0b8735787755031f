-- A mask accepted, refused or ended; no row where it is not in a state that allows it.
UPDATE watch.mask AS m
SET state = %(state)s, until = coalesce(%(until)s::timestamptz, m.until), decided_at = %(at)s, decided_by = %(by)s
WHERE m.id = %(id)s AND m.state = ANY (%(was)s::text[])
RETURNING m.id, m.state, m.until;
