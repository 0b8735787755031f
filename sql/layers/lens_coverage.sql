-- The gravest kind of gap of each cell, and all its kinds; the score is the share of the cell that online cameras see.
SELECT
    c.cell_no,
    CASE
        WHEN 'no_camera' = ANY (c.gap_kinds) THEN 'no_camera'
        WHEN 'not_observed' = ANY (c.gap_kinds) THEN 'not_observed'
        WHEN 'no_grid_worker' = ANY (c.gap_kinds) THEN 'no_grid_worker'
        WHEN 'not_checked' = ANY (c.gap_kinds) THEN 'not_checked'
        ELSE 'clear'
    END AS class,
    round(c.seen_fraction::numeric, 3)::double precision AS score,
    CASE WHEN c.seen_fraction IS NULL THEN 'unknown' END AS hatched,
    nullif(c.gap_kinds, '{}') AS kinds
FROM analysis.coverage_cell_at(coalesce(%(as_of)s::timestamptz, now())) AS c
ORDER BY c.cell_no
