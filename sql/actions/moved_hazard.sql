-- A hazard in its next state, which must follow from the one it is in; no row where it does not, or is not seen.
UPDATE inspection.hazard AS h SET state = %(state)s
WHERE h.id = %(id)s AND h.state = ANY (%(from_states)s)
RETURNING h.id, h.site_id, h.state, h.closed_at
