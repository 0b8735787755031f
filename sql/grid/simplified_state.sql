-- The present versions of what simplified outlines are made from, whether they were made from these, whether units or their ground
-- in no cell have changed, and how many cells there are and lack an outline.
WITH present AS (
    SELECT
        coalesce((SELECT l.version FROM territory.layer_version AS l WHERE l.layer = 'cell'), 0) AS cell_version,
        analysis.no_cell_versions() AS versions,
        (
            SELECT string_agg(l.layer || ':' || l.version, ' ' ORDER BY l.layer)
            FROM territory.layer_version AS l WHERE l.layer IN ('no_cell', 'unit')
        ) AS ground
)
SELECT
    p.cell_version, p.versions, p.ground,
    EXISTS (SELECT FROM territory.simplified_made_from AS m WHERE m.versions = p.versions) AS is_current,
    NOT EXISTS (SELECT FROM territory.simplified_made_from AS m WHERE m.ground IS NOT DISTINCT FROM p.ground) AS has_new_ground,
    (SELECT count(*) FROM territory.grid_cell) AS cells,
    (SELECT count(*) FROM territory.grid_cell) - (
        SELECT count(*) FROM (SELECT FROM territory.cell_simplified AS s GROUP BY s.cell_no HAVING count(*) = 3) AS h
    ) AS missing
FROM present AS p
