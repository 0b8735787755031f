-- Modes and masks are set, and receivers kept, from pages too: who acted and when is what the database knows of the caller,
-- whatever the page says. The owner's commands name who sits at them.
CREATE FUNCTION watch.mode_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF access.caller() <> current_user THEN
        NEW.set_at := clock_timestamp();
        NEW.set_by := coalesce((SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller()), access.caller());
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER mode_written BEFORE INSERT ON watch.camera_mode FOR EACH ROW EXECUTE FUNCTION watch.mode_written();

CREATE FUNCTION watch.mask_decided() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF access.caller() <> current_user THEN
        NEW.decided_at := clock_timestamp();
        NEW.decided_by := coalesce((SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller()), access.caller());
        IF NEW.state NOT IN ('active', 'refused', 'ended') THEN
            RAISE EXCEPTION '遮罩只能启用、不采用或停用 / a mask is accepted, refused or ended' USING ERRCODE = 'check_violation';
        END IF;
        -- Never for ever, whoever asks.
        IF NEW.state = 'active' AND NEW.until NOT BETWEEN clock_timestamp() AND clock_timestamp() + interval '367 days' THEN
            RAISE EXCEPTION '遮罩最长一年 / a mask holds a year at most' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;
-- Not of reviews taken back (watch.mask_proposed says who), nor of what a mask suppresses.
CREATE TRIGGER mask_decided BEFORE UPDATE OF state, until ON watch.mask
FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION watch.mask_decided();

CREATE FUNCTION watch.receiver_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who text;
BEGIN
    -- What was sealed for one address goes to no other: whoever changes it gives the secrets again.
    IF TG_OP = 'UPDATE' AND (NEW.address, NEW.kind) IS DISTINCT FROM (OLD.address, OLD.kind) THEN
        DELETE FROM access.secret AS s WHERE s.subject_kind = 'receiver' AND s.subject_id = OLD.id::text;
    END IF;
    IF access.caller() <> current_user THEN
        who := coalesce((SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller()), access.caller());
        IF TG_OP = 'INSERT' THEN
            NEW.added_at := clock_timestamp();
            NEW.added_by := who;
        ELSE
            IF NEW.paused_at IS NOT NULL AND OLD.paused_at IS NULL THEN
                NEW.paused_at := clock_timestamp();
                NEW.paused_by := who;
            END IF;
            IF NEW.removed_at IS NOT NULL AND OLD.removed_at IS NULL THEN
                NEW.removed_at := clock_timestamp();
                NEW.removed_by := who;
            END IF;
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER receiver_written BEFORE INSERT OR UPDATE OF address, kind, paused_at, removed_at ON watch.receiver
FOR EACH ROW EXECUTE FUNCTION watch.receiver_written();
REVOKE EXECUTE ON FUNCTION watch.mode_written, watch.mask_decided, watch.receiver_written FROM PUBLIC;

-- What a receiver is told, and when, is a change of it as well.
DROP TRIGGER audit_change ON watch.receiver;
CREATE TRIGGER audit_change AFTER INSERT OR DELETE OR UPDATE OF name, kind, address, recipients, sender, language, topics, classes,
    transitions, towns, min_score, only_confirmed, cooldown_s, quiet_from, quiet_to, quiet_passes, per_minute, give_up_after_s, paused_at,
    removed_at ON watch.receiver
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id');

-- What a camera saw of late, and its last kept frame.
CREATE INDEX incident_camera_seen_idx ON watch.incident_camera (camera_id, last_seen_at DESC);

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
        CASE WHEN has_table_privilege($1, 'staging.rejected', 'SELECT') THEN 'read_imports' END,
        CASE WHEN has_column_privilege($1, 'watch.camera_mode', 'mode', 'INSERT') THEN 'set_mode' END,
        CASE WHEN has_column_privilege($1, 'watch.mask', 'state', 'UPDATE') THEN 'decide_mask' END,
        CASE WHEN has_column_privilege($1, 'watch.receiver', 'address', 'INSERT') THEN 'keep_receivers' END
    ], NULL)
    WHERE $1 = access.caller() OR access.caller() = current_user OR pg_has_role(access.caller(), 'geoapp_web', 'MEMBER')
$$;
