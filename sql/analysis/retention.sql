-- needs: event
-- How long frames are kept, what is held, what was deleted, how much room is left.
CREATE VIEW analysis.evidence_kept AS
WITH frame AS (
    SELECT
        e.id AS evidence_id, e.incident_id, i.incident_no, i.class, i.review, i.state, i.town_code,
        -- Several cameras may see an incident: the one that took this frame.
        coalesce(o.camera_id, i.camera_id) AS camera_id, e.captured_at, e.bytes, e.not_kept,
        greatest(i.last_seen_at, i.reviewed_at) AS counted_from
    FROM watch.evidence AS e
    JOIN watch.incident AS i ON i.id = e.incident_id
    LEFT JOIN watch.incident_observation AS o ON o.incident_id = e.incident_id AND o.observation_id = e.observation_id
)
SELECT
    f.evidence_id, f.incident_id, f.incident_no, f.class, f.review, f.town_code, f.camera_id, f.captured_at, f.bytes, f.not_kept,
    EXISTS (SELECT 1 FROM watch.legal_hold AS h WHERE h.incident_id = f.incident_id AND h.released_at IS NULL) AS is_held,
    p.days, p.basis_zh, p.basis_en,
    CASE WHEN f.state = 'closed' THEN f.counted_from + make_interval(days => p.days) END AS keep_until
FROM frame AS f
LEFT JOIN LATERAL (
    SELECT r.days, r.basis_zh, r.basis_en FROM watch.retention_policy AS r
    WHERE r.review = f.review AND r.class IN (f.class, 'any')
    ORDER BY r.class = 'any'
    LIMIT 1
) AS p ON true;
COMMENT ON VIEW analysis.evidence_kept IS '在存画面与到期时间; frames that are kept, until when and why.';
COMMENT ON COLUMN analysis.evidence_kept.keep_until IS 'NULL = its incident is not closed yet. A legal hold (is_held) keeps it beyond this.';
COMMENT ON COLUMN analysis.evidence_kept.not_kept IS 'Why there is no file (disk_full); NULL = the frame was kept.';

CREATE VIEW analysis.legal_hold AS
SELECT h.id, h.incident_id, e.incident_no, e.town_code, h.reason, h.since, h.held_by, h.released_at, h.released_by, h.release_reason
FROM watch.legal_hold AS h
JOIN watch.incident AS e ON e.id = h.incident_id;
COMMENT ON VIEW analysis.legal_hold IS '证据保全记录; what may not be deleted, by whom, why, since when, and until when.';

CREATE VIEW analysis.evidence_deleted AS
SELECT
    d.evidence_id, d.incident_id, d.incident_no, d.town_code, d.sha256, d.bytes, d.captured_at, d.review, d.class, d.days, d.basis_zh,
    d.basis_en, d.begun_at, d.deleted_at, d.was_missing
FROM watch.deletion AS d;
COMMENT ON VIEW analysis.evidence_deleted IS '画面删除记录: frames that were deleted, when and under which policy; deleted_at NULL = begun, not done.';

CREATE VIEW analysis.evidence_room AS
SELECT r.host, r.measured_at, r.total_bytes, r.free_bytes, r.state FROM watch.evidence_room AS r;
COMMENT ON VIEW analysis.evidence_room IS '取证画面存储空间: room left for frames on each machine, bytes; low = warn, full = new frames are not kept.';
