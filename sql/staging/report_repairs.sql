-- The first repairs of a batch, a few of each reason, before and after.
SELECT m.row_no, m.field, m.reason_code, m.reason_zh, m.reason_en, left(m.before, 400) AS before, left(m.after, 400) AS after
FROM (
    SELECT r.*, row_number() OVER (PARTITION BY r.reason_code ORDER BY r.id) AS nth
    FROM staging.repaired AS r WHERE r.batch_id = %(batch_id)s
) AS m
WHERE m.nth <= %(each)s
ORDER BY m.reason_code, m.id;
