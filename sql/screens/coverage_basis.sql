-- What the figures of coverage rest on, and what they lack.
SELECT b.name, b.is_lacking, b.said_zh, b.said_en FROM analysis.coverage_basis_at(%(moment)s) AS b
ORDER BY b.is_lacking DESC, b.name
