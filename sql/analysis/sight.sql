-- needs: own_area
-- Shapes that are none (a ring that crosses itself): left out of what is seen, one by one, and named here.
CREATE VIEW analysis.shape_left_out AS
SELECT 'camera' AS kind, c.id::text AS subject_id, c.name_zh, ST_IsValidReason(c.sector) AS why
FROM registry.camera AS c WHERE c.sector IS NOT NULL AND c.ground IS NULL
UNION ALL
SELECT 'cell', g.code, g.name_zh, ST_IsValidReason(g.geom) FROM territory.grid_cell AS g WHERE NOT ST_IsValid(g.geom)
UNION ALL
SELECT 'key_risk_area', a.id::text, a.name_zh, ST_IsValidReason(a.geom) FROM registry.key_risk_area AS a WHERE NOT ST_IsValid(a.geom)
UNION ALL
SELECT 'building', b.id::text, b.name_zh, ST_IsValidReason(b.geom) FROM territory.building AS b WHERE NOT ST_IsValid(b.geom);
COMMENT ON VIEW analysis.shape_left_out IS '形状不合规、未计入可见地面的视域、网格、区域与建筑; sectors (kind camera), cells, key risk areas and buildings that are no valid shape, and why: a camera, cell or area of them is left out of what is seen, a building hides all within its hull.';

-- Of a place that is no shape, or in the box around a sector that is none, nobody can say how much is seen: not nothing.
CREATE FUNCTION analysis.cells_not_known() RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT g.code FROM territory.grid_cell AS g WHERE NOT ST_IsValid(g.geom)
        UNION
        SELECT g.code FROM registry.camera AS c JOIN territory.grid_cell AS g ON g.geom && c.sector
        WHERE c.sector IS NOT NULL AND c.ground IS NULL
    )
$$;
COMMENT ON FUNCTION analysis.cells_not_known IS '可见多少不知的网格; codes of the cells of which nobody can say how much cameras see: they, or a sector that lies near, are no valid shape.';
CREATE FUNCTION analysis.areas_not_known() RETURNS bigint[]
LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT a.id FROM registry.key_risk_area AS a WHERE NOT ST_IsValid(a.geom)
        UNION
        SELECT a.id FROM registry.camera AS c JOIN registry.key_risk_area AS a ON a.geom && c.sector
        WHERE c.sector IS NOT NULL AND c.ground IS NULL
    )
$$;
COMMENT ON FUNCTION analysis.areas_not_known IS '可见多少不知的重点风险源区域; ids of the key risk areas of which nobody can say how much cameras see, for the same reasons.';

-- What cameras would see of each cell and key risk area, as pieces that exactly one set of cameras sees: kept rows, and of places
-- that this transaction has changed the truth reckoned now. Ground that a set of cameras sees = the sum of the pieces that one of
-- them sees. Square metres; of all cameras that ever stood: who asks says which of them count.
CREATE FUNCTION analysis.cell_sights(only_cells text[] DEFAULT NULL) RETURNS TABLE (
    sight_id bigint, cell_code text, camera_ids bigint[], m2 double precision
) LANGUAGE sql STABLE AS $$
    WITH due AS MATERIALIZED (
        SELECT DISTINCT c.code
        FROM registry.sight_due AS d CROSS JOIN LATERAL unnest(d.cells) AS c (code)
        WHERE only_cells IS NULL OR c.code = ANY (only_cells)
    )
    SELECT s.id, s.cell_code, s.camera_ids, s.m2
    FROM registry.cell_sight AS s
    WHERE (only_cells IS NULL OR s.cell_code = ANY (only_cells)) AND NOT s.cell_code IN (SELECT d.code FROM due AS d)
    UNION ALL
    SELECT -row_number() OVER (), n.place, n.camera_ids, n.m2
    FROM (
        SELECT array_agg(g.code) AS codes, array_agg(g.geom) AS geoms
        FROM territory.grid_cell AS g WHERE g.code IN (SELECT d.code FROM due AS d)
    ) AS k
    CROSS JOIN LATERAL registry.sights_of(k.codes, k.geoms) AS n
$$;
COMMENT ON FUNCTION analysis.cell_sights IS '网格内恰由某组摄像机可见的地面; per cell (all, or only_cells) the square metres that exactly these cameras would see, whether they look or not.';

CREATE FUNCTION analysis.area_sights(only_areas bigint[] DEFAULT NULL) RETURNS TABLE (
    sight_id bigint, area_id bigint, camera_ids bigint[], m2 double precision
) LANGUAGE sql STABLE AS $$
    WITH due AS MATERIALIZED (
        SELECT DISTINCT a.id
        FROM registry.sight_due AS d CROSS JOIN LATERAL unnest(d.areas) AS a (id)
        WHERE only_areas IS NULL OR a.id = ANY (only_areas)
    )
    SELECT s.id, s.area_id, s.camera_ids, s.m2
    FROM registry.area_sight AS s
    WHERE (only_areas IS NULL OR s.area_id = ANY (only_areas)) AND NOT s.area_id IN (SELECT d.id FROM due AS d)
    UNION ALL
    SELECT -row_number() OVER (), n.place::bigint, n.camera_ids, n.m2
    FROM (
        SELECT array_agg(a.id::text) AS ids, array_agg(a.geom) AS geoms
        FROM registry.key_risk_area AS a WHERE a.id IN (SELECT d.id FROM due AS d)
    ) AS k
    CROSS JOIN LATERAL registry.sights_of(k.ids, k.geoms) AS n
$$;
COMMENT ON FUNCTION analysis.area_sights IS '重点风险源区域内恰由某组摄像机可见的地面; per key risk area (all, or only_areas) the square metres that exactly these cameras would see, whether they look or not.';

-- What a set of cameras sees of cells: which of them see something of each, and how much together.
CREATE FUNCTION analysis.cells_seen_by(cameras bigint[], only_cells text[] DEFAULT NULL) RETURNS TABLE (
    cell_code text, m2 double precision, camera_count bigint
) LANGUAGE sql STABLE AS $$
    WITH pair AS MATERIALIZED (
        SELECT s.sight_id, s.cell_code, s.m2, c.id AS camera_id
        FROM analysis.cell_sights(only_cells) AS s
        CROSS JOIN LATERAL unnest(s.camera_ids) AS k (id)
        JOIN unnest(cameras) AS c (id) ON c.id = k.id
    ),
    piece AS (
        SELECT p.cell_code, max(p.m2) AS m2 FROM pair AS p GROUP BY p.cell_code, p.sight_id
    ),
    ground AS (
        SELECT p.cell_code, sum(p.m2) AS m2 FROM piece AS p GROUP BY p.cell_code
    ),
    seen_by AS (
        SELECT p.cell_code, count(*) AS cameras FROM (SELECT DISTINCT p.cell_code, p.camera_id FROM pair AS p) AS p GROUP BY p.cell_code
    )
    SELECT g.cell_code, g.m2, b.cameras FROM ground AS g JOIN seen_by AS b ON b.cell_code = g.cell_code
$$;
COMMENT ON FUNCTION analysis.cells_seen_by IS '一组摄像机合起来看到的网格面积; square metres of each cell that at least one of these cameras sees, and how many of them see some of it.';
