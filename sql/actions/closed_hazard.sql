-- A hazard whose fix has been checked and accepted; no row where none was handed in, or it is not seen.
UPDATE inspection.hazard AS h SET state = 'verified_closed', closed_at = now()
WHERE h.id = %(id)s AND h.state = ANY (%(from_states)s)
RETURNING h.id, h.site_id, h.state, h.closed_at
