-- Rows that were stored and that somebody should look at, a few for each reason.
SELECT w.row_no, w.field, w.reason_code, w.reason_zh, w.reason_en
FROM (
    SELECT r.*, row_number() OVER (PARTITION BY r.reason_code ORDER BY r.id) AS nth
    FROM staging.warning AS r WHERE r.batch_id = %(batch_id)s
) AS w
WHERE w.nth <= %(each)s
ORDER BY w.reason_code, w.id;
