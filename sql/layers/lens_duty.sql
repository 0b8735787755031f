-- Level of missing duties of each cell; the score is the share of its sites without a clear lead and person.
SELECT
    d.cell_no, d.level::text AS class, round(d.gap_share::numeric, 3)::double precision AS score,
    CASE WHEN NOT d.has_worker THEN 'no_grid_worker' END AS hatched
FROM analysis.duty_cell_at(coalesce(%(as_of)s::timestamptz, now())) AS d
ORDER BY d.cell_no
