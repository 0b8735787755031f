-- Sites, cells, cameras and towns whose name or code holds the words; a name that begins with them comes first.
WITH found AS (
    SELECT 'town' AS kind, u.code AS id, u.name_zh, u.name_en, u.code AS code, 0 AS rank, ST_Transform(u.geom, 4326)::box3d AS box
    FROM territory.unit AS u
    WHERE u.level = 'town' AND (u.valid_to IS NULL OR u.valid_to > analysis.city_date(now()))
        AND (u.name_zh ILIKE %(like)s OR u.name_en ILIKE %(like)s OR u.code LIKE %(digits)s)
    UNION ALL
    SELECT 'site', s.id::text, s.name_zh, '', coalesce(s.uscc, s.local_id, ''), 1, NULL
    FROM registry.site AS s
    WHERE s.name_zh ILIKE %(like)s OR s.uscc = upper(%(text)s) OR s.local_id = %(text)s
    UNION ALL
    SELECT 'camera', c.id::text, c.name_zh, '', c.gb_id, 2, NULL
    FROM registry.camera AS c
    WHERE c.name_zh ILIKE %(like)s OR c.gb_id LIKE %(digits)s
    UNION ALL
    SELECT 'cell', g.code, g.name_zh, '', g.code, 3, NULL
    FROM territory.grid_cell AS g
    WHERE g.code LIKE %(digits)s OR g.name_zh ILIKE %(like)s
)
SELECT
    f.kind, f.id, f.name_zh, f.name_en, f.code,
    ST_XMin(f.box) AS west, ST_YMin(f.box) AS south, ST_XMax(f.box) AS east, ST_YMax(f.box) AS north
FROM found AS f
ORDER BY f.rank, position(lower(%(text)s) IN lower(f.name_zh || f.name_en)), length(f.name_zh), f.code
LIMIT 12
