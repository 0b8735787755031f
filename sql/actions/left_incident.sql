-- A lead let go of.
DELETE FROM watch.incident_hold AS h WHERE h.incident_id = %(id)s AND h.db_role = access.caller()
RETURNING h.incident_id
