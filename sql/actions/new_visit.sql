-- A visit to a site in the caller's area; no row for any other.
INSERT INTO inspection.visit (site_id, kind, done_at, outcome)
SELECT s.id, %(kind)s, %(done_at)s, %(outcome)s FROM registry.site AS s WHERE s.id = %(site_id)s
RETURNING id, site_id, kind, done_at, outcome
