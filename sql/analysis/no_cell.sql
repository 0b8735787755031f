-- needs: parameter
-- Versions of the layers from which the ground in no cell follows.
CREATE FUNCTION analysis.no_cell_versions() RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT coalesce(string_agg(v.layer || ':' || v.version, ' ' ORDER BY v.layer), '')
    FROM territory.layer_version AS v WHERE v.layer IN ('cell', 'no_cell', 'unit')
$$;
COMMENT ON FUNCTION analysis.no_cell_versions IS '网格、声明与区划的版本; versions of cells, declared ground and units.';

-- Needs every cell of the district, whoever asks: run by the two functions below under their owner.
-- The truth: the towns, and what of the county lies in no town, minus all cells, computed now.
CREATE FUNCTION analysis.district_no_cell_ground() RETURNS TABLE (
    town_code text, declared_id integer, area_m2 double precision, geom geometry(Polygon, :srid)
) LANGUAGE sql STABLE AS $$
    -- The ground that must be in cells, by town; parts of the county outside every town keep a NULL town.
    WITH town AS (
        SELECT u.code, u.geom FROM territory.unit AS u
        WHERE u.level = 'town' AND u.valid_to IS NULL AND u.geom IS NOT NULL
    ),
    county AS (
        SELECT u.code, u.geom FROM territory.unit AS u
        WHERE u.level = 'county' AND u.valid_to IS NULL AND u.geom IS NOT NULL
    ),
    outside_towns AS (
        SELECT NULL::text AS code, coalesce(ST_Difference(c.geom, (SELECT ST_Union(t.geom) FROM town AS t)), c.geom) AS geom
        FROM county AS c
    ),
    ground AS (
        SELECT t.code, t.geom FROM town AS t
        UNION ALL
        SELECT o.code, o.geom FROM outside_towns AS o WHERE NOT ST_IsEmpty(o.geom)
    ),
    -- Big outlines cut into small ones first, so that each difference meets only the cells near it.
    tile AS (
        SELECT g.code, ST_Subdivide(g.geom, 128) AS geom FROM ground AS g
    ),
    bare AS (
        SELECT t.code, coalesce(ST_Difference(t.geom, k.cells), t.geom) AS geom
        FROM tile AS t
        LEFT JOIN LATERAL (
            SELECT ST_Union(c.geom) AS cells FROM territory.grid_cell AS c WHERE c.geom && t.geom
        ) AS k ON true
    ),
    -- Pieces of a town grown together again over the cuts.
    grown AS (
        SELECT b.code, (ST_Dump(ST_Union(b.geom))).geom AS geom FROM bare AS b WHERE NOT ST_IsEmpty(b.geom) GROUP BY b.code
    ),
    -- Declared ground is a known gap: each piece is split into its declared parts and the rest.
    declared_part AS (
        SELECT g.code, d.id AS declared_id, (ST_Dump(ST_Intersection(g.geom, d.geom))).geom AS geom
        FROM grown AS g JOIN territory.no_cell_ground AS d ON g.geom && d.geom AND ST_Intersects(g.geom, d.geom)
    ),
    undeclared_part AS (
        SELECT
            g.code, NULL::integer AS declared_id,
            (ST_Dump(coalesce(
                ST_Difference(g.geom, (SELECT ST_Union(d.geom) FROM territory.no_cell_ground AS d WHERE d.geom && g.geom)),
                g.geom
            ))).geom AS geom
        FROM grown AS g
    ),
    part AS (
        SELECT * FROM declared_part
        UNION ALL
        SELECT * FROM undeclared_part
    )
    SELECT p.code, p.declared_id, ST_Area(p.geom), p.geom
    FROM part AS p
    WHERE ST_GeometryType(p.geom) = 'ST_Polygon'
        AND ST_Area(p.geom) >= (SELECT analysis.parameter_value('sliver_m2'))
$$;
COMMENT ON FUNCTION analysis.district_no_cell_ground IS '全域减去全部网格，逐块，现算; the district minus all cells, piece by piece, computed now (square metres, metric zone).';
REVOKE EXECUTE ON FUNCTION analysis.district_no_cell_ground FROM PUBLIC;

-- The same for the caller: all of it for the whole district, that of the own towns for a town, none for anybody else.
-- Under the caller's own rights another town's ground would seem to be in no cell, because its cells are not seen.
CREATE FUNCTION analysis.no_cell_ground() RETURNS TABLE (
    town_code text, declared_id integer, area_m2 double precision, geom geometry(Polygon, :srid)
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT g.town_code, g.declared_id, g.area_m2, g.geom
    FROM analysis.district_no_cell_ground() AS g
    WHERE pg_has_role(access.caller(), 'geoapp_scope_district', 'USAGE')
        OR pg_has_role(access.caller(), 'geoapp_watch', 'USAGE')
        OR pg_has_role(access.caller(), current_user, 'USAGE')
        OR g.town_code IN (
            SELECT r.area_code
            FROM access.account AS a JOIN access.account_area AS r ON r.account_id = a.id
            WHERE a.db_role = access.caller() AND a.disabled_at IS NULL AND a.scope = 'town'
        )
$$;
COMMENT ON FUNCTION analysis.no_cell_ground IS '本人管辖范围内不在任何网格的地块，现算; ground in no cell within the caller''s area, computed now.';

-- Renews the copy where it is old; returns whether it had to.
CREATE FUNCTION analysis.refresh_no_cell() RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(748116312);
    IF EXISTS (SELECT 1 FROM territory.no_cell_made_from AS m WHERE m.versions = analysis.no_cell_versions()) THEN
        RETURN false;
    END IF;
    DELETE FROM territory.no_cell_piece;
    INSERT INTO territory.no_cell_piece (town_code, declared_id, area_m2, geom)
    SELECT g.town_code, g.declared_id, g.area_m2, g.geom FROM analysis.district_no_cell_ground() AS g
    ORDER BY g.town_code, ST_YMax(g.geom) DESC, ST_XMin(g.geom);
    INSERT INTO territory.no_cell_made_from AS m (versions, made_at) VALUES (analysis.no_cell_versions(), now())
    ON CONFLICT (only_row) DO UPDATE SET versions = excluded.versions, made_at = excluded.made_at;
    RETURN true;
END $$;
COMMENT ON FUNCTION analysis.refresh_no_cell IS '更新无网格地块的副本; renews territory.no_cell_piece where cells, units or declared ground have changed.';

-- At the end of a transaction that has changed cells, units or declared ground, the copy follows, once.
-- A fault here must not undo somebody's edit: the view then computes the truth until the next refresh.
CREATE FUNCTION analysis.keep_no_cell() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM analysis.refresh_no_cell();
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'territory.no_cell_piece: %', SQLERRM;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION analysis.keep_no_cell IS '提交时更新无网格地块的副本; trigger: renews the copy when a change of cells, units or declared ground is committed.';

CREATE CONSTRAINT TRIGGER layer_version_keep_no_cell AFTER INSERT OR UPDATE ON territory.layer_version
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.layer IN ('cell', 'no_cell', 'unit'))
EXECUTE FUNCTION analysis.keep_no_cell();

CREATE VIEW analysis.no_cell AS
-- The copy where its versions are current, else the truth computed now: the answer is the same.
WITH copy_is_current AS MATERIALIZED (
    SELECT EXISTS (SELECT 1 FROM territory.no_cell_made_from AS m WHERE m.versions = analysis.no_cell_versions()) AS yes
),
piece AS (
    SELECT p.id, p.town_code, p.declared_id, p.area_m2, p.geom, p.geom_3857
    FROM territory.no_cell_piece AS p WHERE (SELECT c.yes FROM copy_is_current AS c)
    UNION ALL
    SELECT
        (row_number() OVER (ORDER BY g.town_code, ST_YMax(g.geom) DESC, ST_XMin(g.geom)))::integer,
        g.town_code, g.declared_id, g.area_m2, g.geom, ST_Transform(g.geom, 3857)
    FROM analysis.no_cell_ground() AS g WHERE NOT (SELECT c.yes FROM copy_is_current AS c)
)
SELECT
    p.id, p.town_code, p.declared_id IS NOT NULL AS declared,
    coalesce(d.name_zh, '未划入网格的地块') AS name_zh,
    coalesce(nullif(d.name_en, ''), CASE WHEN d.id IS NULL THEN 'Ground in no cell' ELSE d.name_zh END) AS name_en,
    d.reason, d.declared_on, p.area_m2, p.geom, p.geom_3857
FROM piece AS p
LEFT JOIN territory.no_cell_ground AS d ON d.id = p.declared_id;
COMMENT ON VIEW analysis.no_cell IS '不在任何网格内的地块（已声明与未声明）; ground of the district in no grid cell, declared or not.';
COMMENT ON COLUMN analysis.no_cell.declared IS 'True = the committee has declared this ground to be in no cell: still a gap, but a known one.';

REVOKE EXECUTE ON FUNCTION analysis.refresh_no_cell, analysis.keep_no_cell FROM PUBLIC;

-- A database that got these definitions later starts with a true copy.
SELECT analysis.refresh_no_cell();
