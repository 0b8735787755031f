-- What policies.sql and grants.sql gave, taken back before a step down: a revision is the same whichever way it is reached.
-- Functions stay closed: what they give away is not opened by a way back.
DO $$
DECLARE
    found record;
    roles text;
BEGIN
    IF to_regclass('access.account') IS NULL THEN
        RETURN;
    END IF;
    SELECT string_agg(quote_ident(r.rolname), ', ') INTO roles FROM pg_roles AS r
    WHERE r.rolname IN ('geoapp_view', 'geoapp_web', 'geoapp_watch', 'geoapp_committee', 'geoapp_planner', 'geoapp_analyst',
        'geoapp_duty_officer', 'geoapp_inspector', 'geoapp_enterprise', 'geoapp_admin');
    FOR found IN SELECT p.polrelid::regclass AS name, p.polname FROM pg_policy AS p LOOP
        EXECUTE format('DROP POLICY %I ON %s', found.polname, found.name);
    END LOOP;
    FOR found IN
        SELECT c.oid::regclass AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relrowsecurity
            AND n.nspname IN ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'access', 'staging', 'analysis')
    LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', found.name);
    END LOOP;
    FOR found IN
        SELECT n.nspname AS name FROM pg_namespace AS n
        WHERE n.nspname IN ('territory', 'registry', 'duty', 'watch', 'casework', 'inspection', 'access', 'staging', 'analysis', 'tiles')
    LOOP
        EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %s', found.name, roles);
        EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM %s', found.name, roles);
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %s', found.name, roles);
    END LOOP;
    FOR found IN
        SELECT c.oid::regclass AS name FROM pg_class AS c
        WHERE c.relnamespace = 'access'::regnamespace AND c.relkind = 'v'
    LOOP
        EXECUTE format('ALTER VIEW %s RESET (security_barrier)', found.name);
    END LOOP;
END $$;
