-- As before: the town comes from the row, or from its site.
CREATE OR REPLACE FUNCTION access.audit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    old_row jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    new_row jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
    any_row jsonb := coalesce(new_row, old_row);
    masked text;
    old_kept jsonb;
    new_kept jsonb;
    who access.account;
    place text;
BEGIN
    SELECT jsonb_object_agg(e.key, e.value) INTO old_kept FROM jsonb_each(old_row) AS e
    WHERE e.key NOT LIKE '%\_3857' AND (new_row IS NULL OR new_row -> e.key IS DISTINCT FROM e.value);
    SELECT jsonb_object_agg(e.key, e.value) INTO new_kept FROM jsonb_each(new_row) AS e
    WHERE e.key NOT LIKE '%\_3857' AND (old_row IS NULL OR old_row -> e.key IS DISTINCT FROM e.value);
    IF TG_OP = 'UPDATE' AND old_kept IS NULL AND new_kept IS NULL THEN
        RETURN NULL;  -- nothing changed
    END IF;
    FOR i IN 1 .. TG_NARGS - 1 LOOP
        masked := TG_ARGV[i];
        IF old_kept ? masked AND old_kept ->> masked IS NOT NULL THEN
            old_kept := jsonb_set(old_kept, ARRAY[masked], '"***"');
        END IF;
        IF new_kept ? masked AND new_kept ->> masked IS NOT NULL THEN
            new_kept := jsonb_set(new_kept, ARRAY[masked], '"***"');
        END IF;
    END LOOP;
    SELECT a.* INTO who FROM access.account AS a WHERE a.db_role = access.caller();
    place := coalesce(
        any_row ->> 'town_code',
        left(coalesce(any_row ->> 'cell_code', any_row ->> 'community_code'), 9) || '000',
        CASE WHEN right(any_row ->> 'unit_code', 6) <> '000000' THEN left(any_row ->> 'unit_code', 9) || '000' END
    );
    IF place IS NULL AND any_row ? 'site_id' THEN
        SELECT s.town_code INTO place FROM registry.site AS s WHERE s.id = (any_row ->> 'site_id')::bigint;
    END IF;
    INSERT INTO access.audit (db_role, account_id, login, action, subject, subject_id, town_code, before, after, reason)
    VALUES (
        access.caller(), who.id, who.login, lower(TG_OP), TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME,
        any_row ->> TG_ARGV[0], place, old_kept, new_kept, nullif(current_setting('geoapp.reason', true), '')
    );
    RETURN NULL;
END $$;

DROP TRIGGER camera_health_event_removed ON watch.camera_health_event;
DROP TRIGGER camera_health_event_written ON watch.camera_health_event;
DROP TRIGGER camera_health_event_bump ON watch.camera_health_event;
CREATE TRIGGER camera_health_event_bump AFTER INSERT OR DELETE OR TRUNCATE ON watch.camera_health_event
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('camera_health');
DROP FUNCTION watch.health_changed;
