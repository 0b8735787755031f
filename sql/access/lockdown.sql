-- What PostgreSQL lets every role do by default, and an account that signs in to SQL must not: spend the server, reach
-- other databases of it, write outside tables, run SQL that is hidden in a text. Other roles of this server lose nothing
-- but what PUBLIC had in this database; what they need is granted to them by name.
-- Which functions are left is told by tests/access/test_lockdown.py, one by one.
DO $$
DECLARE
    closed constant text[] := ARRAY[
        'set_config',  -- lifts a limit from inside a SELECT
        'pg_sleep', 'pg_sleep_for', 'pg_sleep_until',
        'pg_notify', 'pg_notification_queue_usage',
        'pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_advisory_unlock', 'pg_advisory_unlock_all', 'pg_advisory_unlock_shared',
        'pg_advisory_xact_lock', 'pg_advisory_xact_lock_shared', 'pg_try_advisory_lock', 'pg_try_advisory_lock_shared',
        'pg_try_advisory_xact_lock', 'pg_try_advisory_xact_lock_shared',
        -- Large objects are written even in a read-only transaction.
        'lo_close', 'lo_creat', 'lo_create', 'lo_from_bytea', 'lo_get', 'lo_lseek', 'lo_lseek64', 'lo_open', 'lo_put', 'lo_tell',
        'lo_tell64', 'lo_truncate', 'lo_truncate64', 'lo_unlink', 'loread', 'lowrite', 'lo_import', 'lo_export',
        -- SQL in a text.
        'query_to_xml', 'query_to_xml_and_xmlschema', 'query_to_xmlschema', 'cursor_to_xml', 'cursor_to_xmlschema',
        'table_to_xml', 'table_to_xml_and_xmlschema', 'table_to_xmlschema', 'schema_to_xml', 'schema_to_xml_and_xmlschema',
        'schema_to_xmlschema', 'database_to_xml', 'database_to_xml_and_xmlschema', 'database_to_xmlschema', 'ts_stat',
        'pg_cancel_backend', 'pg_terminate_backend', 'pg_logical_emit_message', 'pg_export_snapshot', 'nextval', 'setval',
        'currval', 'lastval', 'pg_nextoid', 'pg_import_system_collations', 'pg_current_wal_lsn', 'pg_current_wal_insert_lsn',
        'pg_current_wal_flush_lsn', 'pg_control_checkpoint', 'pg_control_init', 'pg_control_recovery', 'pg_control_system',
        'pg_read_file_old', 'pg_rotate_logfile_old', 'pg_stop_making_pinned_objects', 'pg_lock_status', 'pg_prepared_xact',
        'brin_summarize_new_values', 'brin_summarize_range', 'brin_desummarize_range', 'gin_clean_pending_list'
    ];
    -- Extensions that reach other servers, files, or run SQL from a text; none of them is needed here.
    outward constant text[] := ARRAY['dblink', 'postgres_fdw', 'file_fdw', 'adminpack', 'pgrouting', 'pageinspect', 'plpython3u'];
    needed constant text := 'geoapp_web, geoapp_watch, geoapp_admin';
    found record;
BEGIN
    EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    -- By login, never by group: groups are the server's, and another city's district accounts would see all of this one.
    FOR found IN SELECT a.db_role FROM access.account AS a WHERE a.has_sql_login AND a.disabled_at IS NULL LOOP
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), found.db_role);
    END LOOP;
    IF NOT (SELECT r.rolsuper FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        RAISE NOTICE 'The server''s own functions stay open to SQL logins: a superuser can run sql/access/lockdown.sql';
        RETURN;
    END IF;
    FOR found IN
        SELECT p.oid::regprocedure AS signature FROM pg_proc AS p
        LEFT JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        LEFT JOIN pg_extension AS e ON e.oid = d.refobjid
        WHERE (p.pronamespace = 'pg_catalog'::regnamespace
                AND (p.proname = ANY (closed) OR p.proname LIKE 'binary\_upgrade\_%' OR p.proname LIKE '%\_replication\_slot%'
                    OR p.proname LIKE 'pg\_logical\_slot\_%' OR p.oid = 'ts_rewrite(tsquery, text)'::regprocedure))
            OR e.extname = ANY (outward)
            OR (e.extname = 'postgis' AND p.prosecdef)  -- ST_EstimatedExtent: statistics of rows that a policy hides
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', found.signature);
    END LOOP;
    EXECUTE 'GRANT EXECUTE ON FUNCTION set_config(text, text, boolean), pg_advisory_xact_lock(bigint),'
        ' pg_advisory_xact_lock_shared(bigint), pg_notify(text, text) TO ' || needed;
    -- Trigger functions are run without it; DO blocks and new functions need it.
    REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
    -- A server that belongs to this installation alone (its first superuser is ours): nobody else's work is in the databases
    -- that every server has, where none of the above is closed.
    IF (SELECT r.oid = 10 FROM pg_roles AS r WHERE r.rolname = current_user) THEN
        FOR found IN
            SELECT d.datname FROM pg_database AS d
            WHERE d.datname IN ('postgres', 'template1') AND has_database_privilege('public', d.oid, 'CONNECT')
        LOOP
            EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', found.datname);
        END LOOP;
    END IF;
END $$;
