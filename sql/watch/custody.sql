-- Chain of custody of an incident's frames: kept, looked at, taken out, held, released, deleted; in the order of time.
WITH frame AS (
    SELECT e.id, e.received_at, e.sha256 FROM watch.evidence AS e WHERE e.incident_id = %(incident_id)s
),
kept AS (
    SELECT f.received_at AS at, 'kept' AS step, 'geoapp watch' AS who, f.id::text AS evidence_id, jsonb_build_object('sha256', f.sha256) AS detail
    FROM frame AS f
),
audited AS (
    SELECT a.at, a.action, coalesce(a.login, a.db_role::text), a.subject_id, jsonb_strip_nulls(jsonb_build_object('why', a.reason, 'ok', a.ok, 'detail', a.detail))
    FROM access.audit AS a
    WHERE a.subject = 'watch.evidence'
        AND (a.subject_id = %(incident_id)s::text OR a.subject_id IN (SELECT f.id::text FROM frame AS f))
),
held AS (
    SELECT h.since, 'held', h.held_by, NULL, jsonb_build_object('why', h.reason) FROM watch.legal_hold AS h WHERE h.incident_id = %(incident_id)s
    UNION ALL
    SELECT h.released_at, 'released', h.released_by, NULL, jsonb_build_object('why', h.release_reason)
    FROM watch.legal_hold AS h WHERE h.incident_id = %(incident_id)s AND h.released_at IS NOT NULL
),
gone AS (
    SELECT d.deleted_at, 'deleted', 'geoapp watch', d.evidence_id::text, jsonb_build_object('sha256', d.sha256, 'days', d.days, 'basis', d.basis_zh)
    FROM watch.deletion AS d WHERE d.incident_id = %(incident_id)s AND d.deleted_at IS NOT NULL
)
SELECT * FROM kept UNION ALL SELECT * FROM audited UNION ALL SELECT * FROM held UNION ALL SELECT * FROM gone
ORDER BY at, step
