-- Class, score and hatching of each cell (analysis.risk_look): hatched where nobody answers for the site behind the colour, or
-- all is old, or something unknown.
SELECT
    r.cell_no, r.look AS class, round(r.score::numeric, 1)::double precision AS score,
    CASE
        WHEN r.level IS NULL THEN NULL
        WHEN r.top_has_duty_gap THEN 'duty_gap'
        WHEN r.is_stale THEN 'stale'
        WHEN r.unknown_site_count > 0 THEN 'unknown'
    END AS hatched
FROM analysis.risk_cell_at(coalesce(%(as_of)s::timestamptz, now())) AS r
ORDER BY r.cell_no
