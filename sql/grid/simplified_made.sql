-- Simplified outlines are those of these versions.
INSERT INTO territory.simplified_made_from AS m (cell_version, versions, made_at)
VALUES (%(cell_version)s, %(versions)s, now())
ON CONFLICT (only_row) DO UPDATE
SET cell_version = excluded.cell_version, versions = excluded.versions, made_at = excluded.made_at
