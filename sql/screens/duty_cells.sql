-- Cells without a grid worker in office.
SELECT g.code, g.name_zh, g.community_zh, g.town_zh, g.town_en, g.chief_name, count(*) OVER () AS in_all
FROM analysis.grid_cell_at(coalesce(%(as_of)s::timestamptz, now())) AS g
WHERE g.worker_count = 0
    AND (%(within)s::text IS NULL OR %(within)s IN (g.town_code, g.community_code))
    AND (%(unit)s::text IS NULL OR %(level)s::text = 'district'
        OR %(unit)s = CASE %(level)s WHEN 'town' THEN g.town_code WHEN 'community' THEN g.community_code ELSE g.code END)
ORDER BY g.code
LIMIT %(most)s OFFSET %(skip)s
