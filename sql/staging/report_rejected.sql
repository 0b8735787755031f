-- Rows that a batch kept aside, a few for each reason, with their columns and all their reasons.
WITH
chosen AS (
    SELECT DISTINCT f.row_no FROM (
        SELECT r.row_no, row_number() OVER (PARTITION BY r.reason_code ORDER BY r.id) AS nth
        FROM staging.rejected AS r WHERE r.batch_id = %(batch_id)s
    ) AS f
    WHERE f.nth <= %(each)s
)
SELECT
    r.row_no, (array_agg(r.columns ORDER BY r.id))[1] AS columns,
    jsonb_agg(jsonb_build_object('code', r.reason_code, 'field', r.field, 'zh', r.reason_zh, 'en', r.reason_en) ORDER BY r.id) AS reasons
FROM staging.rejected AS r
JOIN chosen AS c ON c.row_no = r.row_no
WHERE r.batch_id = %(batch_id)s
GROUP BY r.row_no
ORDER BY r.row_no
LIMIT %(most)s;
