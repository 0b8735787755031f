-- The present versions of what simplified outlines are made from, and whether they were made from these.
SELECT
    v.cell_version, v.versions,
    EXISTS (SELECT FROM territory.simplified_made_from AS m WHERE m.cell_version = v.cell_version AND m.versions = v.versions) AS is_current
FROM (
    SELECT
        coalesce((SELECT l.version FROM territory.layer_version AS l WHERE l.layer = 'cell'), 0) AS cell_version,
        analysis.no_cell_versions() AS versions
) AS v
