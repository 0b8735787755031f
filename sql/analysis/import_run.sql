-- Each run of a manifest: how far it is or how it ended, and what became of its rows.
CREATE VIEW analysis.import_run AS
SELECT
    l.id AS run_id, l.manifest, l.origin, l.feed_id, l.started_by, l.started_at, l.heard_at, l.finished_at,
    CASE
        -- Nobody works on it any more: the process was killed, and nothing of it is stored.
        WHEN l.state = 'running' AND NOT staging.is_held(l.id) THEN 'cut_off'
        ELSE l.state
    END AS state,
    l.message, l.step, l.rows_done, l.rows_total,
    CASE WHEN l.rows_total > 0 THEN least(1.0, l.rows_done::double precision / l.rows_total) END AS share_done,
    (SELECT count(*) FROM staging.batch AS b WHERE b.load_id = l.id) AS batches,
    (SELECT sum(b.rows_in) FROM staging.batch AS b WHERE b.load_id = l.id) AS rows_in,
    (SELECT sum(b.rows_rejected) FROM staging.batch AS b WHERE b.load_id = l.id) AS rows_rejected
FROM staging.load AS l;
COMMENT ON VIEW analysis.import_run IS '导入运行：状态、进度、结果; runs of manifests with their state and progress. For admins.';
COMMENT ON COLUMN analysis.import_run.state IS 'running | done | refused | failed | rolled_back | cut_off (the process is gone, nothing is stored).';
