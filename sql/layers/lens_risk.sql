-- Class, score and hatching of each cell. Missing data never look calm: a cell without a site, and a cell of a low or moderate
-- score of whose sites all is old or unknown, is "no data"; a low one for whose highest site nobody answers is "no owner". Red
-- and orange stay what they are, and are hatched.
SELECT
    r.cell_no,
    CASE
        WHEN r.level IS NULL THEN 'no_data'
        WHEN r.level IN ('red', 'orange') THEN r.level
        WHEN r.is_stale OR r.unknown_site_count = r.site_count THEN 'no_data'
        WHEN r.level = 'blue' AND r.top_has_duty_gap THEN 'no_owner'
        ELSE r.level
    END AS class,
    round(r.score::numeric, 1)::double precision AS score,
    CASE
        WHEN r.level IS NULL THEN NULL
        WHEN r.top_has_duty_gap THEN 'duty_gap'
        WHEN r.is_stale THEN 'stale'
        WHEN r.unknown_site_count > 0 THEN 'unknown'
    END AS hatched
FROM analysis.risk_cell_at(coalesce(%(as_of)s::timestamptz, now())) AS r
ORDER BY r.cell_no
