-- Every batch of every run, newest first; a run that stored nothing has one line without a batch.
SELECT
    b.id AS batch_id, l.id AS load_id, COALESCE(l.manifest, '') AS manifest, b.section, b.file, b.encoding, b.frame,
    COALESCE(b.started_at, l.started_at) AS started_at, COALESCE(b.finished_at, l.finished_at) AS finished_at,
    CASE
        WHEN b.rolled_back_at IS NOT NULL THEN 'rolled_back'
        WHEN l.state = 'running' AND NOT staging.is_held(l.id) THEN 'cut_off'
        ELSE COALESCE(l.state, 'done')
    END AS state,
    l.origin, l.started_by, l.message, b.rows_in, b.rows_stored, b.rows_new, b.rows_changed, b.rows_moved, b.rows_gone,
    b.rows_unchanged, b.rows_repaired, b.rows_rejected, b.rows_warned
FROM staging.load AS l
FULL JOIN staging.batch AS b ON b.load_id = l.id
ORDER BY COALESCE(b.started_at, l.started_at) DESC, b.id DESC;
