-- Frames kept, not kept, deleted, held, and the least room left on any machine; as the reader may see them.
WITH kept AS (
    SELECT
        count(*) FILTER (WHERE k.not_kept IS NULL) AS frames, coalesce(sum(k.bytes) FILTER (WHERE k.not_kept IS NULL), 0)::bigint AS bytes,
        count(k.not_kept) AS not_kept
    FROM analysis.evidence_kept AS k
),
deleted AS (
    SELECT
        count(*) FILTER (WHERE d.deleted_at > %(at)s - interval '30 days') AS deleted,
        coalesce(sum(d.bytes) FILTER (WHERE d.deleted_at > %(at)s - interval '30 days'), 0)::bigint AS deleted_bytes,
        count(*) FILTER (WHERE d.deleted_at IS NULL) AS unfinished
    FROM analysis.evidence_deleted AS d
),
held AS (
    SELECT count(DISTINCT h.incident_id) AS held FROM analysis.legal_hold AS h WHERE h.released_at IS NULL
),
-- The machine with the least room speaks for all; nothing measured is not "enough".
room AS (
    SELECT r.host, r.free_bytes, r.total_bytes, r.state, r.measured_at FROM analysis.evidence_room AS r ORDER BY r.free_bytes LIMIT 1
)
SELECT k.*, d.*, h.held, r.host, r.free_bytes, r.total_bytes, r.state, r.measured_at
FROM kept AS k CROSS JOIN deleted AS d CROSS JOIN held AS h
LEFT JOIN room AS r ON true
