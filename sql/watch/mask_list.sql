-- Masks and what they suppressed; those that nobody has decided first, ended and refused ones only if asked for.
SELECT
    m.id, c.gb_id, c.name_zh, m.class, m.cause, i.incident_no, m.polygon, m.until, m.suppressed, m.last_suppressed_at,
    m.proposed_at, m.proposed_by, m.decided_at, m.decided_by,
    CASE WHEN m.state = 'active' AND m.until <= %(at)s THEN 'expired' ELSE m.state END AS state
FROM watch.mask AS m
JOIN registry.camera AS c ON c.id = m.camera_id
LEFT JOIN watch.incident AS i ON i.id = m.incident_id
WHERE %(all)s OR m.state = 'proposed' OR (m.state = 'active' AND m.until > %(at)s)
ORDER BY m.state <> 'proposed', c.gb_id, m.id;
