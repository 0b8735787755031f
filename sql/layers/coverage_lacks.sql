-- What the figures of drawn coverage lack.
SELECT b.said_zh, b.said_en FROM analysis.coverage_basis_at(%(moment)s) AS b
WHERE b.is_lacking AND b.name IN ('buildings', 'cameras_without_sector', 'shapes_left_out', 'areas_without_day')
