-- Each file that was loaded, with what became of its rows: rows_in = stored + unchanged + repaired + kept aside.
CREATE VIEW analysis.import_batch AS
SELECT
    b.id AS batch_id, b.load_id AS run_id, b.section, b.file, b.is_correction, b.file_sha256, b.encoding, b.encoding_evidence, b.frame, b.frame_from, b.started_at, b.finished_at,
    CASE WHEN b.rolled_back_at IS NULL THEN 'done' ELSE 'rolled_back' END AS state,
    b.rows_in, b.rows_stored, b.rows_unchanged, b.rows_repaired, b.rows_rejected, b.rows_warned,
    b.rows_new, b.rows_changed, b.rows_moved, b.rows_gone,
    b.columns_used, b.notices, b.rolled_back_at, b.rolled_back_by, l.manifest, l.origin, l.started_by
FROM staging.batch AS b
LEFT JOIN staging.load AS l ON l.id = b.load_id;
COMMENT ON VIEW analysis.import_batch IS '导入批次：每个文件的行数账; imported files, with an account of their rows that adds up. For admins.';
