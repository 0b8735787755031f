-- The duty matrix, gaps first, then by how many sites hang on it.
SELECT m.*
FROM analysis.duty_matrix AS m
ORDER BY (m.status = 'confirmed'), m.site_count DESC, m.rule_code, m.unit_code
