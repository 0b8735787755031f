-- Simplified outlines are those of these versions.
INSERT INTO territory.simplified_made_from AS m (cell_version, versions, ground, made_at)
VALUES (%(cell_version)s, %(versions)s, %(ground)s, now())
ON CONFLICT (only_row) DO UPDATE
SET cell_version = excluded.cell_version, versions = excluded.versions, ground = excluded.ground, made_at = excluded.made_at
