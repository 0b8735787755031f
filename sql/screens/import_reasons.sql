-- What was found in the rows of one imported file, what was kept aside first.
SELECT * FROM analysis.import_reason AS r
WHERE r.batch_id = %(batch)s
ORDER BY array_position(ARRAY['rejected', 'warning', 'repaired'], r.kind), r.rows DESC, r.reason_code;
