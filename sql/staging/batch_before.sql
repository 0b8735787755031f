-- The latest earlier import of the same file: rows that were usable, the share that was kept aside, rows that were gone.
SELECT
    b.rows_in - b.rows_rejected AS taken,
    CASE WHEN b.rows_in = 0 THEN 0 ELSE b.rows_rejected / b.rows_in::double precision END AS rejected_share,
    b.rows_gone AS gone
FROM staging.batch AS b
WHERE b.section = %(section)s AND b.file = %(file)s AND b.id < %(batch_id)s AND b.rolled_back_at IS NULL AND b.finished_at IS NOT NULL
ORDER BY b.id DESC
LIMIT 1;
