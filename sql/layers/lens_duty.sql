-- Level of missing duties of each cell; the score is the share of its sites without a clear lead and person. The state is the gravest,
-- as analysis.duty_cell.state; a cell that lacks nothing but its chief is said to lack it.
SELECT
    d.cell_no, d.level::text AS class, round(d.gap_share::numeric, 3)::double precision AS score,
    CASE WHEN NOT d.has_worker THEN 'no_grid_worker' END AS hatched,
    CASE WHEN d.state = 'confirmed' AND NOT d.has_chief THEN 'no_chief' ELSE d.state END AS state
FROM analysis.duty_cell_at(coalesce(%(as_of)s::timestamptz, now())) AS d
ORDER BY d.cell_no
