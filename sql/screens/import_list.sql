-- The newest imports: runs, each with its files; a file that came without a run has a line of its own. `before`: only older ones.
WITH
top AS (
    SELECT r.started_at, r.run_id, NULL::bigint AS batch_id FROM analysis.import_run AS r
    WHERE r.started_at < coalesce(%(before)s::timestamptz, 'infinity')
    UNION ALL
    SELECT b.started_at, NULL, b.batch_id FROM analysis.import_batch AS b
    WHERE b.run_id IS NULL AND b.started_at < coalesce(%(before)s::timestamptz, 'infinity')
    ORDER BY started_at DESC
    LIMIT %(most)s
)
SELECT
    t.run_id, t.started_at, coalesce(r.manifest, '') AS manifest, r.origin, r.started_by, r.state AS run_state, r.message, r.finished_at, r.step,
    r.rows_done, r.rows_total, r.share_done, r.heard_at,
    b.batch_id, b.section, b.file, b.state, b.rows_in, b.rows_stored, b.rows_unchanged, b.rows_repaired, b.rows_rejected, b.rows_warned,
    b.rows_new, b.rows_changed, b.rows_moved, b.rows_gone
FROM top AS t
LEFT JOIN analysis.import_run AS r ON r.run_id = t.run_id
LEFT JOIN analysis.import_batch AS b ON b.run_id = t.run_id OR b.batch_id = t.batch_id
ORDER BY t.started_at DESC, t.run_id DESC, b.batch_id;
