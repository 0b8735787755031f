-- The changeset after somebody else's yes or no.
UPDATE territory.changeset AS c SET state = %(state)s, review_note = %(review_note)s WHERE c.id = %(id)s
RETURNING c.id, c.state, c.planned_by, c.reviewed_by, c.reviewed_at
