-- Rows and rights of this schema's roles go with their tables; what is left on the tables that stay is taken off here.
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT c.oid::regclass AS name, t.tgname FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE t.tgname = 'audit_change'
    LOOP
        EXECUTE format('DROP TRIGGER audit_change ON %s', found.name);
    END LOOP;
    FOR found IN
        SELECT p.polrelid::regclass AS name, p.polname FROM pg_policy AS p
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', found.polname, found.name);
    END LOOP;
    FOR found IN
        SELECT c.oid::regclass AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relrowsecurity AND n.nspname IN ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'staging', 'analysis')
    LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', found.name);
    END LOOP;
    FOR found IN
        SELECT r.rolname FROM pg_roles AS r
        WHERE r.rolname IN ('geoapp_view', 'geoapp_web', 'geoapp_watch', 'geoapp_committee', 'geoapp_planner', 'geoapp_analyst',
            'geoapp_duty_officer', 'geoapp_inspector', 'geoapp_enterprise', 'geoapp_admin', 'geoapp_scope_district',
            'geoapp_scope_town', 'geoapp_scope_community', 'geoapp_scope_site')
    LOOP
        EXECUTE format('DROP OWNED BY %I', found.rolname);
    END LOOP;
END $$;
DROP FUNCTION watch.pulse;
DROP TRIGGER outbox_names_subject ON watch.outbox;
DROP FUNCTION watch.outbox_subject;
ALTER TABLE watch.outbox DROP COLUMN incident_id, DROP COLUMN camera_id;
DROP FUNCTION access.cameras_of_caller, access.key_risk_areas_of_caller, access.sites_of_caller, access.units_of_caller, access.areas_of_caller;
DROP VIEW access.my_reaching_camera, access.my_key_risk_area;
DROP TRIGGER incidents_follow_site ON registry.site;
DROP TRIGGER incident_put_down ON watch.incident;
DROP FUNCTION registry.site_moved, watch.incident_put_down;
DROP TRIGGER key_risk_area_of_site ON registry.key_risk_area;
DROP FUNCTION registry.key_risk_area_of_site;
ALTER TABLE registry.key_risk_area DROP COLUMN site_town_code, DROP COLUMN site_community_code;
ALTER TABLE watch.incident DROP COLUMN site_town_code, DROP COLUMN site_community_code;
DROP TRIGGER camera_reach_insert ON territory.grid_cell;
DROP TRIGGER camera_reach_update ON territory.grid_cell;
DROP TRIGGER camera_reach_delete ON territory.grid_cell;
DROP TRIGGER camera_reach_follows ON registry.camera;
DROP FUNCTION registry.cell_reached;
DROP FUNCTION registry.camera_reached;
DROP TABLE registry.camera_reach;
ALTER TABLE registry.camera DROP COLUMN is_connected;
DROP INDEX watch.incident_key_risk_area_idx, registry.key_risk_area_site_idx,
    registry.camera_site_idx, watch.incident_site_idx, watch.incident_community_idx,
    registry.site_community_idx, registry.site_over_border_idx, registry.site_apart_idx;
ALTER FUNCTION watch.tell_live() SECURITY INVOKER RESET ALL;
ALTER FUNCTION territory.keep_cell_version() SECURITY INVOKER RESET ALL;
ALTER FUNCTION territory.bump_layer() SECURITY INVOKER RESET ALL;
GRANT EXECUTE ON FUNCTION watch.tell_live, territory.keep_cell_version, territory.bump_layer TO PUBLIC;
DROP TRIGGER incident_review ON watch.incident;
DROP FUNCTION watch.incident_reviewed;
DROP TRIGGER person_is_seen ON duty.assignment;
DROP FUNCTION duty.person_is_seen;
DROP TABLE territory.changeset;
DROP FUNCTION territory.changeset_reviewed;
DROP VIEW access.my_unit, access.my_site, access.my_area, access.my_account;
ALTER TABLE territory.grid_cell_history DROP COLUMN town_code;
DROP INDEX territory.grid_cell_town_idx;
ALTER TABLE territory.grid_cell DROP COLUMN town_code;
DROP TABLE access.audit, access.secret, access.oidc_flow, access.sign_in_attempt, access.token, access.session,
    access.account_site, access.account_area, access.account CASCADE;
DROP FUNCTION IF EXISTS access.city_sign, access.health, access.metrics, access.first_admin, access.record_export, access.actions_of, access.account_admin_stays,
    access.account_sql_ends, access.account_followed, access.audit_row, access.record, access.write_record, access.writes_too_much, access.forget_ended, access.caller, access.keep_audit;
