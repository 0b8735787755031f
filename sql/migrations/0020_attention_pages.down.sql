CREATE OR REPLACE FUNCTION access.actions_of(wanted name) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$  -- the web process may not enter the schemas
    SELECT array_remove(ARRAY[
        CASE WHEN has_column_privilege($1, 'watch.evidence', 'path', 'SELECT') THEN 'look_at_evidence' END,
        CASE WHEN has_column_privilege($1, 'watch.incident', 'review', 'UPDATE') THEN 'review_incident' END,
        CASE WHEN has_column_privilege($1, 'territory.changeset', 'title', 'INSERT') THEN 'propose_changeset' END,
        CASE WHEN has_column_privilege($1, 'territory.changeset', 'review_note', 'UPDATE') THEN 'review_changeset' END,
        CASE WHEN has_column_privilege($1, 'duty.assignment', 'status', 'INSERT') THEN 'assign_duty' END,
        CASE WHEN has_column_privilege($1, 'inspection.visit', 'outcome', 'INSERT') THEN 'record_visit' END,
        CASE WHEN has_column_privilege($1, 'inspection.hazard', 'class', 'INSERT') THEN 'write_hazard' END,
        CASE WHEN has_function_privilege($1, 'access.record_export(text, text, bigint, text, inet, jsonb)', 'EXECUTE') THEN 'export' END,
        CASE WHEN has_column_privilege($1, 'access.account', 'login', 'INSERT') THEN 'manage_accounts' END,
        CASE WHEN has_column_privilege($1, 'analysis.parameter', 'value', 'UPDATE') THEN 'change_parameter' END,
        CASE WHEN has_table_privilege($1, 'staging.rejected', 'SELECT') THEN 'read_imports' END
    ], NULL)
    WHERE $1 = access.caller() OR access.caller() = current_user OR pg_has_role(access.caller(), 'geoapp_web', 'MEMBER')
$$;
DROP INDEX watch.incident_camera_seen_idx;
DROP TRIGGER audit_change ON watch.receiver;
CREATE TRIGGER audit_change AFTER INSERT OR DELETE OR UPDATE OF name, kind, address, recipients, sender, topics, classes, transitions,
    towns, min_score, only_confirmed, paused_at, removed_at ON watch.receiver
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id');
DROP TRIGGER receiver_written ON watch.receiver;
DROP TRIGGER mask_decided ON watch.mask;
DROP TRIGGER mode_written ON watch.camera_mode;
DROP FUNCTION watch.mode_written, watch.mask_decided, watch.receiver_written;
