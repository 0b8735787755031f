-- A lead taken in hand, or kept so; no row where a colleague has it, or it is not the caller's to see.
INSERT INTO watch.incident_hold (incident_id, since, held_until)
SELECT e.id, clock_timestamp(), clock_timestamp() + make_interval(secs => %(seconds)s)
FROM analysis.event AS e WHERE e.id = %(id)s
ON CONFLICT (incident_id) DO UPDATE SET held_until = excluded.held_until
WHERE incident_hold.db_role = access.caller() OR incident_hold.held_until <= clock_timestamp()
RETURNING incident_id, login, held_until
