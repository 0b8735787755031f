-- Whose figures these are. Views count the rows that the reader may see; such a count is true of a unit only where the
-- reader sees all of it. Figures of other units are left out or NULL: not known to this reader, never a part that looks whole.
CREATE FUNCTION analysis.sees_all() RETURNS boolean
LANGUAGE sql STABLE PARALLEL RESTRICTED AS $$
    SELECT NOT row_security_active('registry.site')
        OR pg_has_role(current_user, 'geoapp_scope_district', 'USAGE')
        OR pg_has_role(current_user, 'geoapp_watch', 'USAGE')
$$;
COMMENT ON FUNCTION analysis.sees_all IS '当前用户是否能看到全区; whether the reader sees every row of the district.';

CREATE VIEW analysis.whole_unit AS
SELECT u.code FROM territory.unit AS u
WHERE (SELECT analysis.sees_all())
    OR u.code = ANY (ARRAY(SELECT m.code FROM access.my_unit AS m WHERE m.is_whole));
COMMENT ON VIEW analysis.whole_unit IS '完整可见的行政单元; units of which the reader sees everything, so that figures over them are true.';

-- The same as an array, planned once a connection: a query that asks for it three times is planned in a tenth of the time.
CREATE FUNCTION analysis.whole_units() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
BEGIN
    RETURN ARRAY(SELECT w.code FROM analysis.whole_unit AS w);
END $$;
COMMENT ON FUNCTION analysis.whole_units IS '完整可见的行政单元代码; codes of analysis.whole_unit.';

-- One row: how the reader's area is drawn. Rows from outside (a neighbour's camera that looks in) are seen, but not counted.
CREATE VIEW analysis.own_area AS
SELECT
    s.sees_all,
    s.scope,
    s.sees_all OR s.scope IS NOT NULL AS is_known,
    s.areas,
    -- Ground and cells are counted for those who see whole towns, and whole communities.
    s.sees_all OR s.scope = 'town' AS has_ground,
    s.sees_all OR s.scope IN ('town', 'community') AS has_cells
FROM (
    SELECT
        analysis.sees_all() AS sees_all,
        (SELECT m.scope FROM access.my_account AS m) AS scope,
        ARRAY(SELECT r.area_code FROM access.my_area AS r) AS areas
) AS s;
COMMENT ON VIEW analysis.own_area IS '读者的管辖范围; the area of the reader: scope (NULL = no account), its towns or communities, what may be counted in it.';
