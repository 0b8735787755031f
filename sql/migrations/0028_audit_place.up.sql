-- What is set for a camera, and what is decided about an incident, is on record in its town: the committee there sees it.
-- The town comes from the row, else from the site, the camera or the incident that the row is about. As access.audit_row of
-- 0008 in all else.
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
    IF place IS NULL AND any_row ? 'camera_id' THEN
        SELECT c.town_code INTO place FROM registry.camera AS c WHERE c.id = (any_row ->> 'camera_id')::bigint;
    END IF;
    IF place IS NULL AND any_row ? 'incident_id' THEN
        SELECT i.town_code INTO place FROM watch.incident AS i WHERE i.id = (any_row ->> 'incident_id')::uuid;
    END IF;
    INSERT INTO access.audit (db_role, account_id, login, action, subject, subject_id, town_code, before, after, reason)
    VALUES (
        access.caller(), who.id, who.login, lower(TG_OP), TG_TABLE_SCHEMA || '.' || TG_TABLE_NAME,
        any_row ->> TG_ARGV[0], place, old_kept, new_kept, nullif(current_setting('geoapp.reason', true), '')
    );
    RETURN NULL;
END $$;

-- A look that finds a camera as it was is no change of its layer: before, every look renewed it, and stood in line for its
-- row of territory.layer_version with every other look until that had committed.
CREATE FUNCTION watch.health_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM changed_event) THEN
        INSERT INTO territory.layer_version AS v (layer) VALUES ('camera_health')
        ON CONFLICT (layer) DO UPDATE SET version = v.version + 1, changed_at = now();
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION watch.health_changed FROM PUBLIC;
DROP TRIGGER camera_health_event_bump ON watch.camera_health_event;
CREATE TRIGGER camera_health_event_bump AFTER TRUNCATE ON watch.camera_health_event
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('camera_health');
CREATE TRIGGER camera_health_event_written AFTER INSERT ON watch.camera_health_event
REFERENCING NEW TABLE AS changed_event FOR EACH STATEMENT EXECUTE FUNCTION watch.health_changed();
CREATE TRIGGER camera_health_event_removed AFTER DELETE ON watch.camera_health_event
REFERENCING OLD TABLE AS changed_event FOR EACH STATEMENT EXECUTE FUNCTION watch.health_changed();
