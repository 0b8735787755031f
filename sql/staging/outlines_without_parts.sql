-- Derived outlines of units none of whose parts has an outline any more: there is nothing to derive them from.
UPDATE territory.unit AS u
SET geom = NULL, version = u.version + 1
WHERE u.source_frame = 'derived' AND u.geom IS NOT NULL AND NOT u.is_generated AND NOT EXISTS (
    SELECT FROM territory.unit AS part
    WHERE part.parent_code = u.code AND part.geom IS NOT NULL
) AND NOT EXISTS (
    SELECT FROM territory.unit AS part
    WHERE u.level = 'county' AND part.level = 'town' AND left(part.code, 6) = left(u.code, 6) AND part.geom IS NOT NULL
);
