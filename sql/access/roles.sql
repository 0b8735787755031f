-- Roles of the server, made once and kept (they belong to the server, not to one database). Run before each migration.
-- Group roles hold rights and rows; nobody signs in as one of them.
--   geoapp_view            owns the views of analysis and tiles: neither superuser, nor BYPASSRLS, nor owner of a table
--   geoapp_<role>          what an account of a contract role may do (sql/access/grants.sql)
--   geoapp_scope_<scope>   which rows an account sees (sql/access/policies.sql)
--   geoapp_web             the web process: reads accounts and sessions and nothing of the city; may take an account's role
--   geoapp_watch           the watch: reads the register, writes what was seen
DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY[
        'geoapp_view',
        'geoapp_committee', 'geoapp_planner', 'geoapp_analyst', 'geoapp_duty_officer', 'geoapp_inspector',
        'geoapp_enterprise', 'geoapp_admin',
        'geoapp_scope_district', 'geoapp_scope_town', 'geoapp_scope_community', 'geoapp_scope_site',
        'geoapp_watch'
    ] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles AS r WHERE r.rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;  -- another database of this server was faster
            END;
        END IF;
    END LOOP;
    -- NOINHERIT: what it may become is never what it is.
    IF NOT EXISTS (SELECT 1 FROM pg_roles AS r WHERE r.rolname = 'geoapp_web') THEN
        BEGIN
            CREATE ROLE geoapp_web NOLOGIN NOINHERIT;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END IF;
    -- An owner who is no superuser must be a member to hand views over.
    IF NOT pg_has_role(current_user, 'geoapp_view', 'MEMBER') THEN
        EXECUTE format('GRANT geoapp_view TO %I', current_user);
    END IF;
END $$;
