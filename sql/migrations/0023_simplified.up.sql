-- Ground for small scales: cells and units with fewer vertices, their common borders simplified once for both sides.

-- Made in Python (geoapp/territory/simplified.py): PostGIS 3.3 has no coverage functions. A row is true of its cell as it is: a
-- cell that changes loses its rows here, and is drawn from its full outline until they are made again.
CREATE TABLE territory.cell_simplified (
    level smallint NOT NULL CHECK (level BETWEEN 1 AND 3),
    cell_no integer NOT NULL,
    code text NOT NULL,
    community_code text NOT NULL,
    town_code text GENERATED ALWAYS AS (left(community_code, 9) || '000') STORED,
    geom_3857 geometry(Geometry, 3857) NOT NULL,
    PRIMARY KEY (level, cell_no)
);
CREATE INDEX cell_simplified_geom_3857_1_idx ON territory.cell_simplified USING gist (geom_3857) WHERE level = 1;
CREATE INDEX cell_simplified_geom_3857_2_idx ON territory.cell_simplified USING gist (geom_3857) WHERE level = 2;
CREATE INDEX cell_simplified_geom_3857_3_idx ON territory.cell_simplified USING gist (geom_3857) WHERE level = 3;
CREATE INDEX cell_simplified_cell_no_idx ON territory.cell_simplified (cell_no);
CREATE INDEX cell_simplified_town_idx ON territory.cell_simplified (town_code);
COMMENT ON TABLE territory.cell_simplified IS '小比例尺网格（共同边界一致）; derived: outlines of cells for small scales (level 1 to zoom 10, 2 at 11, 3 at 12), common borders the same on both sides.';

CREATE TABLE territory.unit_simplified (
    level smallint NOT NULL CHECK (level BETWEEN 1 AND 3),
    code text NOT NULL,
    geom_3857 geometry(Geometry, 3857) NOT NULL,
    PRIMARY KEY (level, code)
);
COMMENT ON TABLE territory.unit_simplified IS '小比例尺行政边界，由简化网格合并而成; derived: outlines of units for small scales, from the simplified cells where the unit has any; true while simplified_made_from holds the present versions.';

CREATE TABLE territory.simplified_made_from (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    cell_version bigint NOT NULL,
    versions text NOT NULL,
    ground text,
    made_at timestamptz NOT NULL
);
COMMENT ON TABLE territory.simplified_made_from IS 'Version of the cells, versions of cells, declared ground and units, and of the last two alone (ground), that the simplified outlines were made from.';

-- Rows of cells that are not what they were: by statement, and for a load of many nothing but one comparison of versions.
CREATE FUNCTION territory.forget_simplified() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM territory.cell_simplified;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM territory.cell_simplified AS s USING old_cell AS o WHERE s.cell_no = o.cell_no;
    ELSE
        DELETE FROM territory.cell_simplified AS s USING old_cell AS o JOIN new_cell AS n ON n.cell_no = o.cell_no
        WHERE s.cell_no = o.cell_no AND (o.version, o.code) IS DISTINCT FROM (n.version, n.code);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER cell_simplified_update AFTER UPDATE ON territory.grid_cell
REFERENCING OLD TABLE AS old_cell NEW TABLE AS new_cell FOR EACH STATEMENT EXECUTE FUNCTION territory.forget_simplified();
CREATE TRIGGER cell_simplified_delete AFTER DELETE ON territory.grid_cell
REFERENCING OLD TABLE AS old_cell FOR EACH STATEMENT EXECUTE FUNCTION territory.forget_simplified();
CREATE TRIGGER cell_simplified_truncate AFTER TRUNCATE ON territory.grid_cell
FOR EACH STATEMENT EXECUTE FUNCTION territory.forget_simplified();

CREATE TRIGGER simplified_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON territory.simplified_made_from
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('simplified');

-- Planned changes are a layer of the map.
CREATE TRIGGER changeset_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON territory.changeset
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('changeset');
