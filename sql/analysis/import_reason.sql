-- What was found in the rows of each import, by kind and code: how many rows, the sentence of the first, and what to do.
CREATE VIEW analysis.import_reason AS
WITH
found AS (
    SELECT r.batch_id, 'rejected' AS kind, r.id, r.row_no, r.reason_code, r.field, r.reason_zh, r.reason_en, r.fix_zh, r.fix_en
    FROM staging.rejected AS r
    UNION ALL
    SELECT w.batch_id, 'warning', w.id, w.row_no, w.reason_code, w.field, w.reason_zh, w.reason_en, w.fix_zh, w.fix_en
    FROM staging.warning AS w
    UNION ALL
    SELECT m.batch_id, 'repaired', m.id, m.row_no, m.reason_code, m.field, m.reason_zh, m.reason_en, '', ''
    FROM staging.repaired AS m
)
SELECT
    f.batch_id, f.kind, f.reason_code, count(DISTINCT f.row_no) AS rows,
    (array_agg(f.field ORDER BY f.id))[1] AS field,
    (array_agg(f.reason_zh ORDER BY f.id))[1] AS example_zh, (array_agg(f.reason_en ORDER BY f.id))[1] AS example_en,
    (array_agg(f.fix_zh ORDER BY f.id))[1] AS fix_zh, (array_agg(f.fix_en ORDER BY f.id))[1] AS fix_en,
    (array_agg(DISTINCT f.row_no))[1:8] AS first_rows
FROM found AS f
GROUP BY f.batch_id, f.kind, f.reason_code;
COMMENT ON VIEW analysis.import_reason IS '导入问题按原因汇总; reasons of each import with how many rows have them. For admins.';
COMMENT ON COLUMN analysis.import_reason.kind IS 'rejected (kept aside) | warning (stored, to be looked at) | repaired (stored after a change).';
