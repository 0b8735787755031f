-- Which rows an account sees and may write: one line a table, one column a scope. Accounts of the whole district see every
-- row (their policy is true, so it costs nothing and no index is lost); the others by their towns, communities or sites.
-- {areas} the caller's towns or communities, {sites} its sites, {units} units it may read, {cameras} cameras it sees,
-- {areas_of_risk} its key risk areas, {staff} people who hold an office that it sees. Each is asked once a query, not once
-- a row. {over_border}: what is booked to another town than the cell it stands in belongs to both. A row of a table that
-- hangs on a site or an incident is seen with it: EXISTS, so that one site's rows cost one look-up and a whole town's one
-- hash table. A table of these schemas that is missing here is closed to everybody.
DO $$
DECLARE
    areas constant text := '(SELECT access.areas_of_caller())::text[]';
    sites constant text := '(SELECT access.sites_of_caller())::bigint[]';
    units constant text := '(SELECT access.units_of_caller())::text[]';
    cameras constant text := '(SELECT access.cameras_of_caller())::bigint[]';
    areas_of_risk constant text := '(SELECT access.key_risk_areas_of_caller())::bigint[]';
    over_border constant text := '(town_code IS DISTINCT FROM left(cell_code, 9) || ''000'''
        ' AND left(cell_code, 9) || ''000'' = ANY ({areas}))';
    staff constant text := 'ARRAY(SELECT g.person_id FROM duty.grid_staff AS g UNION SELECT u.person_id FROM duty.unit_staff AS u'
        ' UNION SELECT l.person_id FROM duty.assignment AS l)';
    its_site constant text := 'EXISTS (SELECT 1 FROM registry.site AS s WHERE s.id = site_id)';
    its_incident constant text := 'EXISTS (SELECT 1 FROM watch.incident AS i WHERE i.id = incident_id)';
    found record;
    line record;
    part record;
    term record;
    condition text;
BEGIN
    FOR found IN
        SELECT p.polrelid::regclass AS name, p.polname FROM pg_policy AS p
        JOIN pg_class AS c ON c.oid = p.polrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'access', 'analysis', 'staging')
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', found.polname, found.name);
    END LOOP;
    FOR found IN
        SELECT c.oid::regclass AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p')
            AND n.nspname IN ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'access', 'analysis', 'staging')
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', found.name);
    END LOOP;
    FOR line IN
        SELECT * FROM (VALUES
            -- What everybody who has signed in may know: which city, its base map, the rules, versions, constants.
            ('territory.city', 'true', 'true', 'true'),
            ('territory.base_feature', 'true', 'true', 'true'),
            ('territory.building', 'true', 'true', 'true'),
            ('territory.layer_version', 'true', 'true', 'true'),
            ('territory.no_cell_made_from', 'true', 'true', 'true'),
            ('territory.simplified_made_from', 'true', 'true', 'true'),
            ('duty.department', 'true', 'true', 'true'),
            ('duty.rule', 'true', 'true', 'true'),
            ('analysis.parameter', 'true', 'true', 'true'),
            -- Ground.
            ('territory.unit', 'code = ANY ({units})', 'code = ANY ({units})', 'code = ANY ({units})'),
            ('territory.grid_cell', 'town_code = ANY ({areas})', 'community_code = ANY ({areas})',
                'code = ANY (ARRAY(SELECT s.cell_code FROM registry.site AS s))'),
            ('territory.grid_cell_history', 'town_code = ANY ({areas})', 'community_code = ANY ({areas})', 'false'),
            ('territory.no_cell_ground', 'town_code = ANY ({areas}) OR id = ANY (ARRAY(SELECT p.declared_id FROM territory.no_cell_piece AS p))',
                'false', 'false'),
            ('territory.cell_simplified', 'town_code = ANY ({areas})', 'community_code = ANY ({areas})',
                'code = ANY (ARRAY(SELECT s.cell_code FROM registry.site AS s))'),
            ('territory.unit_simplified', 'code = ANY ({units})', 'code = ANY ({units})', 'code = ANY ({units})'),
            ('territory.no_cell_piece', 'town_code = ANY ({areas})', 'false', 'false'),
            ('territory.changeset', 'town_code = ANY ({areas})', 'false', 'false'),
            -- Who answers: for the own units and for those above them. Staff of the offices are known to each other; a firm
            -- knows those who answer for it.
            ('duty.person', 'unit_code IS NULL OR unit_code = ANY ({units}) OR id = ANY ({staff})',
                'unit_code IS NULL OR unit_code = ANY ({units}) OR id = ANY ({staff})', 'id = ANY ({staff})'),
            ('duty.assignment', 'unit_code = ANY ({units})', 'unit_code = ANY ({units})', 'unit_code = ANY ({units})'),
            ('duty.unit_staff', 'unit_code = ANY ({units})', 'unit_code = ANY ({units})', 'unit_code = ANY ({units})'),
            ('duty.grid_staff', 'left(cell_code, 9) || ''000'' = ANY ({areas})'
                ' OR cell_code = ANY (ARRAY(SELECT s.cell_code FROM registry.site AS s'
                ' WHERE s.town_code IS DISTINCT FROM left(s.cell_code, 9) || ''000''))', 'left(cell_code, 12) = ANY ({areas})',
                'cell_code = ANY (ARRAY(SELECT s.cell_code FROM registry.site AS s))'),
            -- What stands there.
            ('registry.site', 'town_code = ANY ({areas}) OR {over_border}', 'left(cell_code, 12) = ANY ({areas})', 'id = ANY ({sites})'),
            ('registry.site_bin', 'town_code = ANY ({areas}) OR cell_town_code = ANY ({areas})', 'community_code = ANY ({areas})', 'false'),
            ('registry.site_bin_made', 'true', 'true', 'true'),
            ('registry.key_risk_area', 'id = ANY ({areas_of_risk})', 'id = ANY ({areas_of_risk})', 'id = ANY ({areas_of_risk})'),
            -- The district's targets are everybody's to know in its offices; a town's, in the town and above.
            ('registry.onboarding_target', 'town_code IS NULL OR town_code = ANY ({units})', 'town_code IS NULL OR town_code = ANY ({units})',
                'false'),
            ('registry.camera', 'id = ANY ({cameras})', 'id = ANY ({cameras})', 'id = ANY ({cameras})'),
            ('registry.camera_reach', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})'),
            ('registry.certificate', '{its_site}', '{its_site}', 'site_id = ANY ({sites})'),
            ('registry.hot_work_permit', '{its_site}', '{its_site}', 'site_id = ANY ({sites})'),
            -- Help comes from over every border; a firm calls 119, and has no list of hydrants and store-keepers' phones.
            ('registry.resource', 'true', 'true', 'false'),
            -- What was checked.
            ('inspection.visit', '{its_site}', '{its_site}', 'site_id = ANY ({sites})'),
            ('inspection.hazard', '{its_site}', '{its_site}', 'site_id = ANY ({sites})'),
            -- What was seen: where it lies, and where the site stands whose risk it raises.
            ('watch.incident', 'town_code = ANY ({areas}) OR site_town_code = ANY ({areas})',
                'left(cell_code, 12) = ANY ({areas}) OR site_community_code = ANY ({areas})',
                'site_id = ANY ({sites}) OR (site_id IS NULL AND key_risk_area_id = ANY ({areas_of_risk}))'),
            -- Counts of them: what is not a town's or community's own goes by the same two codes. A firm counts its incidents.
            ('watch.event_change', 'town_code = ANY ({areas}) OR site_town_code = ANY ({areas})',
                'community_code = ANY ({areas}) OR site_community_code = ANY ({areas})', 'false'),
            ('watch.event_bin', 'town_code = ANY ({areas}) OR site_town_code = ANY ({areas})',
                'community_code = ANY ({areas}) OR site_community_code = ANY ({areas})', 'false'),
            ('watch.event_day', 'town_code = ANY ({areas}) OR site_town_code = ANY ({areas})',
                'community_code = ANY ({areas}) OR site_community_code = ANY ({areas})', 'false'),
            ('watch.event_fold', 'true', 'true', 'true'),
            ('watch.incident_observation', '{its_incident}', '{its_incident}', '{its_incident}'),
            ('watch.evidence', '{its_incident}', '{its_incident}', '{its_incident}'),
            ('watch.incident_camera', '{its_incident}', '{its_incident}', '{its_incident}'),
            -- How cameras count, and where they are masked, is the watch's business: no firm's.
            ('watch.camera_mode', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'false'),
            ('watch.mask', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'false'),
            ('watch.set_aside_hour', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'false'),
            -- Rules of keeping are everybody's to know; a firm hears of holds and deletions as little as of reviews.
            ('watch.retention_policy', 'true', 'true', 'true'),
            ('watch.legal_hold', '{its_incident}', '{its_incident}', 'false'),
            ('watch.deletion', 'town_code = ANY ({areas})', '{its_incident}', 'false'),
            ('watch.evidence_room', 'true', 'true', 'false'),
            ('watch.reported_event', 'town_code = ANY ({areas})', 'left(cell_code, 12) = ANY ({areas})', 'false'),
            ('watch.observation', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})'),
            ('watch.observation_hour', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})'),
            ('watch.camera_connection', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})'),
            -- A date that says nothing of any camera.
            ('watch.connection_record', 'true', 'true', 'true'),
            ('watch.camera_health', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})'),
            ('watch.camera_health_event', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})'),
            ('watch.scan_due', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})', 'camera_id = ANY ({cameras})'),
            -- Of the desk nothing is a firm's: neither who looks, nor whom a lead was given to, nor what shifts tell each other.
            ('watch.incident_hold', '{its_incident}', '{its_incident}', 'false'),
            ('watch.incident_assignment', '{its_incident}', '{its_incident}', 'false'),
            ('watch.handover', 'cardinality(area_codes) > 0 AND area_codes <@ {areas}', 'cardinality(area_codes) > 0 AND area_codes <@ {areas}',
                'false'),
            ('watch.handover_receipt', 'EXISTS (SELECT 1 FROM watch.handover AS h WHERE h.id = handover_id)',
                'EXISTS (SELECT 1 FROM watch.handover AS h WHERE h.id = handover_id)', 'false'),
            ('watch.outbox',
                'CASE WHEN incident_id IS NOT NULL THEN {its_incident} ELSE camera_id = ANY ({cameras}) END',
                'CASE WHEN incident_id IS NOT NULL THEN {its_incident} ELSE camera_id = ANY ({cameras}) END',
                'CASE WHEN incident_id IS NOT NULL THEN {its_incident} ELSE camera_id = ANY ({cameras}) END'),
            -- Who was told what: with the incident or the camera; receivers are the district's, and a firm hears of neither.
            ('watch.receiver', 'true', 'true', 'false'),
            ('watch.delivery',
                'CASE WHEN incident_id IS NOT NULL THEN {its_incident} ELSE camera_id = ANY ({cameras}) END',
                'CASE WHEN incident_id IS NOT NULL THEN {its_incident} ELSE camera_id = ANY ({cameras}) END', 'false'),
            -- Imports hold rows as they came: nobody but an admin (of the district) has rights on them.
            ('staging.batch', 'false', 'false', 'false'),
            ('staging.rejected', 'false', 'false', 'false'),
            ('staging.load', 'false', 'false', 'false'),
            ('staging.feed', 'false', 'false', 'false'),
            ('staging.repaired', 'false', 'false', 'false'),
            ('staging.warning', 'false', 'false', 'false'),
            ('staging.change', 'false', 'false', 'false'),
            -- Doubles of sites are seen with their sites, and decided by an admin.
            ('registry.site_merge', '{its_site}', '{its_site}', 'false'),
            ('registry.site_alias', '{its_site}', '{its_site}', 'false')
        ) AS t (name, town, community, site)
    LOOP
        EXECUTE format('CREATE POLICY district ON %s TO geoapp_scope_district USING (true)', line.name);
        EXECUTE format('CREATE POLICY watch ON %s TO geoapp_watch USING (true)', line.name);
        FOR part IN SELECT * FROM (VALUES ('town', line.town), ('community', line.community), ('site', line.site)) AS p (scope, rule) LOOP
            condition := part.rule;
            FOR term IN
                SELECT * FROM (VALUES
                    ('{over_border}', over_border), ('{areas_of_risk}', areas_of_risk), ('{its_site}', its_site),
                    ('{its_incident}', its_incident), ('{areas}', areas), ('{sites}', sites), ('{units}', units),
                    ('{cameras}', cameras), ('{staff}', staff)
                ) AS v (name, meaning)
            LOOP
                condition := replace(condition, term.name, term.meaning);
            END LOOP;
            EXECUTE format('CREATE POLICY %I ON %s TO %I USING (%s)', part.scope, line.name, 'geoapp_scope_' || part.scope, condition);
        END LOOP;
    END LOOP;
END $$;

-- Beyond area: what some roles may never write, whatever their rights (restrictive: it can only take away).
CREATE POLICY enterprise_checks_itself ON inspection.visit AS RESTRICTIVE FOR INSERT TO geoapp_enterprise WITH CHECK (kind = 'self_check');
CREATE POLICY inspector_checks_others ON inspection.visit AS RESTRICTIVE FOR INSERT TO geoapp_inspector WITH CHECK (kind <> 'self_check');
-- Who reads the county's duties does not write them: only units that lie wholly in the own area.
CREATE POLICY own_units_only ON duty.assignment AS RESTRICTIVE FOR INSERT TO geoapp_committee
WITH CHECK (unit_code = ANY (ARRAY(SELECT u.code FROM access.my_unit AS u WHERE u.is_whole)));
CREATE POLICY own_units_kept ON duty.assignment AS RESTRICTIVE FOR UPDATE TO geoapp_committee
USING (unit_code = ANY (ARRAY(SELECT u.code FROM access.my_unit AS u WHERE u.is_whole)));
-- A target is set for the own towns; that of the whole district by its own committee.
CREATE POLICY own_targets_only ON registry.onboarding_target AS RESTRICTIVE FOR INSERT TO geoapp_committee
WITH CHECK ((SELECT m.scope FROM access.my_account AS m) = 'district'
    OR coalesce(town_code = ANY (ARRAY(SELECT u.code FROM access.my_unit AS u WHERE u.is_whole)), false));
-- A shadow incident was told to nobody and is on no screen: nobody reviews it.
CREATE POLICY shadow_unreviewed ON watch.incident AS RESTRICTIVE FOR UPDATE TO geoapp_duty_officer USING (mode = 'alert');
-- A lead that a colleague has in hand is not taken out of it, nor let go of by somebody else.
CREATE POLICY own_hold_kept ON watch.incident_hold AS RESTRICTIVE FOR UPDATE TO geoapp_duty_officer
USING (db_role = access.caller() OR held_until <= clock_timestamp());
CREATE POLICY own_hold_left ON watch.incident_hold AS RESTRICTIVE FOR DELETE TO geoapp_duty_officer USING (db_role = access.caller());
-- A camera that looks into the own area from next door is seen, and not set: how it counts is for those where it stands.
CREATE POLICY own_cameras_set ON watch.camera_mode AS RESTRICTIVE FOR INSERT TO geoapp_planner, geoapp_committee, geoapp_admin
WITH CHECK ((SELECT m.scope FROM access.my_account AS m) = 'district' OR EXISTS (
    SELECT FROM registry.camera AS c WHERE c.id = camera_id
        AND ARRAY[c.town_code, left(c.cell_code, 9) || '000', left(c.cell_code, 12)] && (SELECT access.areas_of_caller())::text[]
));
CREATE POLICY own_cameras_masked ON watch.mask AS RESTRICTIVE FOR UPDATE TO geoapp_planner, geoapp_committee, geoapp_admin
USING ((SELECT m.scope FROM access.my_account AS m) = 'district' OR EXISTS (
    SELECT FROM registry.camera AS c WHERE c.id = camera_id
        AND ARRAY[c.town_code, left(c.cell_code, 9) || '000', left(c.cell_code, 12)] && (SELECT access.areas_of_caller())::text[]
));
-- An admin writes no message but a test, and of those that were told or not only asks for what nobody took, once more.
CREATE POLICY tests_only ON watch.delivery AS RESTRICTIVE FOR INSERT TO geoapp_admin
WITH CHECK (topic = 'test' AND transition = 'test' AND starts_with(subject, 'test:') AND state = 'waiting');
CREATE POLICY told_again ON watch.delivery AS RESTRICTIVE FOR UPDATE TO geoapp_admin
USING (state IN ('refused', 'given_up') AND topic <> 'test') WITH CHECK (state = 'waiting');
-- The watch forgets what was told long ago, and nothing that is still to be told.
CREATE POLICY told_only ON watch.delivery AS RESTRICTIVE FOR DELETE TO geoapp_watch
USING (state <> 'waiting');
CREATE POLICY removed_stays ON watch.receiver AS RESTRICTIVE FOR UPDATE TO geoapp_admin USING (removed_at IS NULL) WITH CHECK (true);
CREATE POLICY enterprise_submits ON inspection.hazard AS RESTRICTIVE FOR UPDATE TO geoapp_enterprise
USING (state IN ('assigned', 'fixing', 'rejected', 'submitted')) WITH CHECK (state IN ('fixing', 'submitted'));

-- Accounts: the web process reads them to sign people in; an admin keeps them; everybody sees and keeps the own password.
CREATE POLICY web ON access.account TO geoapp_web USING (true);
CREATE POLICY admin ON access.account TO geoapp_admin USING (true);
CREATE POLICY own ON access.account TO PUBLIC USING (db_role = current_user);
CREATE POLICY web ON access.account_area TO geoapp_web USING (true);
CREATE POLICY admin ON access.account_area TO geoapp_admin USING (true);
CREATE POLICY web ON access.account_site TO geoapp_web USING (true);
CREATE POLICY admin ON access.account_site TO geoapp_admin USING (true);
CREATE POLICY web ON access.session TO geoapp_web USING (true);
CREATE POLICY admin ON access.session TO geoapp_admin USING (true);
CREATE POLICY own ON access.session TO PUBLIC USING (account_id = (SELECT m.id FROM access.my_account AS m));
CREATE POLICY web ON access.token TO geoapp_web USING (true);
CREATE POLICY admin ON access.token TO geoapp_admin USING (true);
CREATE POLICY own ON access.token TO PUBLIC USING (account_id = (SELECT m.id FROM access.my_account AS m));
-- What has ended stays ended: neither its owner nor an admin opens a session or a token again.
CREATE POLICY ended_stays ON access.session AS RESTRICTIVE FOR UPDATE
TO geoapp_committee, geoapp_planner, geoapp_analyst, geoapp_duty_officer, geoapp_inspector, geoapp_enterprise, geoapp_admin
USING (ended_at IS NULL) WITH CHECK (ended_at IS NOT NULL);
CREATE POLICY revoked_stays ON access.token AS RESTRICTIVE FOR UPDATE
TO geoapp_committee, geoapp_planner, geoapp_analyst, geoapp_duty_officer, geoapp_inspector, geoapp_enterprise, geoapp_admin
USING (revoked_at IS NULL) WITH CHECK (revoked_at IS NOT NULL);
CREATE POLICY web ON access.sign_in_attempt TO geoapp_web USING (true);
CREATE POLICY web ON access.oidc_flow TO geoapp_web USING (true);
-- Sealed values: the watch opens them with the key file; an admin may set and delete, never read (no SELECT on sealed).
CREATE POLICY watch ON access.secret TO geoapp_watch USING (true);
CREATE POLICY admin ON access.secret TO geoapp_admin USING (true);
-- The audit: everybody the own records; an admin all; the committee what happened in its area. Only access.record() and
-- triggers write.
CREATE POLICY own ON access.audit FOR SELECT TO PUBLIC USING (db_role = current_user);
CREATE POLICY admin ON access.audit FOR SELECT TO geoapp_admin USING (true);
CREATE POLICY committee ON access.audit FOR SELECT TO geoapp_committee USING (
    (SELECT m.scope FROM access.my_account AS m) = 'district'
    OR town_code = ANY ((SELECT access.areas_of_caller())::text[])
);
