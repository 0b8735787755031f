-- Back to what 0024 made.
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
    PERFORM registry.mark_risk(ARRAY(SELECT s.id FROM registry.site AS s WHERE s.cell_code = ANY (cells) LIMIT 20001));
    RETURN NULL;
END $$;
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
    INSERT INTO registry.risk_due (cell_code)
    SELECT DISTINCT s.cell_code FROM registry.site AS s WHERE s.rule_code = ANY (rules) AND s.cell_code IS NOT NULL;
    RETURN NULL;
END $$;
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
    END IF;
    RETURN NULL;
END $$;
DROP FUNCTION registry.mark_risk_of_cells;
-- What names no site and no cell alone says that all is to be worked out again.
UPDATE registry.risk_due SET cell_code = NULL WHERE is_whole_cell;
ALTER TABLE registry.risk_due DROP COLUMN is_whole_cell, DROP COLUMN rule_code;
COMMENT ON TABLE registry.risk_due IS 'Sites whose kept score is old, and cells whose duties changed (site_id NULL); both NULL = every site.';
