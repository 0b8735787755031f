-- What two writers beside each other left old: scores of a site that somebody else had not committed yet when a worker was
-- assigned to its cell, a lead to its place type, or a camera turned towards it.

ALTER TABLE registry.risk_due
ADD COLUMN is_whole_cell boolean NOT NULL DEFAULT false,
ADD COLUMN rule_code text;
COMMENT ON TABLE registry.risk_due IS 'Sites whose kept score is old, and cells whose duties changed (site_id NULL): with is_whole_cell every site that stands in the cell by now, with rule_code every cell with a site of that place type by now; all NULL = every site.';

CREATE FUNCTION registry.mark_risk_of_cells(cells text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO registry.risk_due (cell_code, is_whole_cell)
    SELECT DISTINCT c.code, true FROM unnest(cells) AS c (code) WHERE c.code IS NOT NULL AND cardinality(cells) <= 5000
    UNION ALL
    SELECT NULL, false WHERE cardinality(cells) > 5000
$$;
COMMENT ON FUNCTION registry.mark_risk_of_cells IS 'Notes that the scores of all sites in these cells are to be worked out again, also of those that others are just writing; of more than 5,000 cells, that all are.';

-- A grid worker counts for every site of the cell.
CREATE OR REPLACE FUNCTION registry.staff_risk_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    cells text[] := '{}';
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO registry.risk_due DEFAULT VALUES;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        cells := cells || ARRAY(SELECT DISTINCT n.cell_code FROM new_row AS n WHERE n.role = 'worker');
    END IF;
    IF TG_OP <> 'INSERT' THEN
        cells := cells || ARRAY(SELECT DISTINCT o.cell_code FROM old_row AS o WHERE o.role = 'worker');
    END IF;
    -- The sites, too: one of another town that stands in the cell is that town's to read, the cell is not.
    PERFORM registry.mark_risk(ARRAY(SELECT s.id FROM registry.site AS s WHERE s.cell_code = ANY (cells) LIMIT 20001));
    PERFORM registry.mark_risk_of_cells(cells);
    RETURN NULL;
END $$;

-- Who leads changes no score: it is asked for with the score. Cells say whether a duty is missing, and are added up again.
CREATE OR REPLACE FUNCTION registry.duty_risk_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rules text[] := '{}';
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO registry.risk_due DEFAULT VALUES;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        rules := rules || ARRAY(SELECT DISTINCT n.rule_code FROM new_row AS n WHERE n.role = 'lead');
    END IF;
    IF TG_OP <> 'INSERT' THEN
        rules := rules || ARRAY(SELECT DISTINCT o.rule_code FROM old_row AS o WHERE o.role = 'lead');
    END IF;
    INSERT INTO registry.risk_due (rule_code) SELECT DISTINCT r.code FROM unnest(rules) AS r (code) WHERE r.code IS NOT NULL;
    RETURN NULL;
END $$;

-- What an online camera sees, before and after it was drawn anew. Whether it is online is asked for with the score.
CREATE OR REPLACE FUNCTION registry.camera_risk_touched() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    grounds geometry[];
BEGIN
    IF TG_OP = 'UPDATE' THEN
        grounds := ARRAY(
            SELECT g.ground FROM new_row AS n JOIN old_row AS o ON o.id = n.id
            CROSS JOIN LATERAL (VALUES (n.ground), (o.ground)) AS g (ground)
            WHERE n.ground IS DISTINCT FROM o.ground AND g.ground IS NOT NULL LIMIT 501
        );
    ELSIF TG_OP = 'DELETE' THEN
        grounds := ARRAY(SELECT o.ground FROM old_row AS o WHERE o.ground IS NOT NULL LIMIT 501);
        DELETE FROM registry.risk_online AS k USING old_row AS o WHERE k.camera_id = o.id;
    END IF;
    IF TG_OP = 'TRUNCATE' OR cardinality(grounds) > 500 THEN
        INSERT INTO registry.risk_due DEFAULT VALUES;
    ELSIF cardinality(grounds) > 0 THEN
        PERFORM registry.mark_risk(ARRAY(
            SELECT k.id FROM unnest(grounds) AS g (ground)
            CROSS JOIN LATERAL (
                SELECT s.id FROM registry.site AS s WHERE s.geom && g.ground AND ST_Intersects(g.ground, s.geom)
                UNION ALL
                SELECT a.site_id FROM registry.key_risk_area AS a WHERE a.geom && g.ground AND ST_Intersects(g.ground, a.geom)
                OFFSET 0
            ) AS k
            LIMIT 20001
        ));
        -- A site that somebody writes there meanwhile.
        PERFORM registry.mark_risk_of_cells(ARRAY(
            SELECT DISTINCT k.code FROM unnest(grounds) AS g (ground)
            CROSS JOIN LATERAL (
                SELECT c.code FROM territory.grid_cell AS c WHERE c.geom && g.ground AND ST_Intersects(c.geom, g.ground) OFFSET 0
            ) AS k
        ));
    END IF;
    RETURN NULL;
END $$;
