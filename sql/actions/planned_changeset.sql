-- The changeset after its planner has handed it in or taken it back.
UPDATE territory.changeset AS c SET state = %(state)s WHERE c.id = %(id)s
RETURNING c.id, c.state, c.planned_by, c.reviewed_by, c.reviewed_at
