-- Each row that a batch kept aside, once, with its columns and all its reasons.
SELECT
    r.row_no,
    (array_agg(r.columns ORDER BY r.id))[1] AS columns,
    jsonb_agg(
        jsonb_build_object(
            'code', r.reason_code, 'field', r.field, 'zh', r.reason_zh, 'en', r.reason_en, 'fix_zh', r.fix_zh, 'fix_en', r.fix_en
        )
        ORDER BY r.id
    ) AS reasons
FROM staging.rejected AS r
WHERE r.batch_id = %(batch_id)s
GROUP BY r.row_no
ORDER BY r.row_no;
