-- Room left for frames on one machine, as measured last.
INSERT INTO watch.evidence_room AS r (host, measured_at, total_bytes, free_bytes, state)
VALUES (%(host)s, %(at)s, %(total)s, %(free)s, %(state)s)
ON CONFLICT (host) DO UPDATE
SET measured_at = excluded.measured_at, total_bytes = excluded.total_bytes, free_bytes = excluded.free_bytes, state = excluded.state
WHERE r.measured_at <= excluded.measured_at
