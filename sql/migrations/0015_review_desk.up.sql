-- The review desk: who looks at a lead now, whom it is assigned to, why a false alarm was one, and what a shift hands over.
ALTER TABLE watch.incident ADD COLUMN false_cause text CHECK (
    false_cause IN ('steam', 'dust', 'fog_rain', 'reflection', 'lamp_sun', 'vehicle', 'lens', 'cooking', 'test', 'other')
);
COMMENT ON COLUMN watch.incident.false_cause IS '误报原因: what a false alarm was, of a short list; NULL = not said, or not a false alarm.';
CREATE INDEX incident_unreviewed_idx ON watch.incident (opened_at) WHERE review = 'unreviewed';
CREATE INDEX incident_reviewed_idx ON watch.incident (reviewed_at) WHERE reviewed_at IS NOT NULL;

CREATE TABLE watch.incident_hold (
    incident_id uuid PRIMARY KEY REFERENCES watch.incident (id) ON DELETE CASCADE,
    db_role name NOT NULL,
    login text NOT NULL DEFAULT '',
    name_zh text NOT NULL DEFAULT '',
    name_en text NOT NULL DEFAULT '',
    since timestamptz NOT NULL,
    held_until timestamptz NOT NULL
);
COMMENT ON TABLE watch.incident_hold IS '正在核实: who looks at a lead now; past held_until nobody does.';

CREATE TABLE watch.incident_assignment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES watch.incident (id) ON DELETE CASCADE,
    department_code text REFERENCES duty.department (code),
    person_id bigint REFERENCES duty.person (id),
    note text NOT NULL DEFAULT '' CHECK (length(note) <= 500),
    town_code text,
    assigned_at timestamptz NOT NULL DEFAULT now(),
    assigned_by text NOT NULL DEFAULT '',
    CHECK (num_nonnulls(department_code, person_id) >= 1)
);
CREATE INDEX incident_assignment_incident_idx ON watch.incident_assignment (incident_id, id DESC);
COMMENT ON TABLE watch.incident_assignment IS '线索指派: to whom an incident was given, never changed; the newest row of an incident counts.';

CREATE TABLE watch.handover (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    note text NOT NULL CHECK (length(note) BETWEEN 1 AND 4000),
    shift_from timestamptz NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    written_by text NOT NULL DEFAULT '',
    writer_zh text NOT NULL DEFAULT '',
    writer_en text NOT NULL DEFAULT '',
    area_codes text[] NOT NULL DEFAULT '{}',
    figures jsonb NOT NULL DEFAULT '{}',
    CHECK (shift_from < written_at)
);
CREATE INDEX handover_written_idx ON watch.handover (written_at DESC);
COMMENT ON TABLE watch.handover IS '交班记录: what an officer wrote at the end of a shift, with the figures of that shift as they were then.';
COMMENT ON COLUMN watch.handover.area_codes IS 'Towns or communities of the writer; empty = the whole district.';

CREATE TABLE watch.handover_receipt (
    handover_id bigint NOT NULL REFERENCES watch.handover (id) ON DELETE CASCADE,
    received_by text NOT NULL DEFAULT '',
    receiver_zh text NOT NULL DEFAULT '',
    receiver_en text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (handover_id, received_by)
);
CREATE INDEX handover_receipt_account_idx ON watch.handover_receipt (received_by, received_at DESC);
COMMENT ON TABLE watch.handover_receipt IS '接班确认: who has read a handover, and when.';

-- Who holds, assigns, writes and receives is the caller, whatever was asked; open desks hear of it.
CREATE FUNCTION watch.incident_held() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who access.account;
BEGIN
    SELECT a.* INTO who FROM access.account AS a WHERE a.db_role = access.caller();
    NEW.db_role := access.caller();
    NEW.login := coalesce(who.login, '');
    NEW.name_zh := coalesce(who.name_zh, '');
    NEW.name_en := coalesce(who.name_en, '');
    IF TG_OP = 'UPDATE' THEN
        IF OLD.db_role <> NEW.db_role THEN
            NEW.since := clock_timestamp();
        END IF;
    END IF;
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION watch.incident_held FROM PUBLIC;
CREATE TRIGGER incident_held BEFORE INSERT OR UPDATE ON watch.incident_hold
FOR EACH ROW EXECUTE FUNCTION watch.incident_held();

-- Told when the hand changes, not each time that a hold is renewed.
CREATE FUNCTION watch.tell_hold() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    incident uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.incident_id ELSE NEW.incident_id END;
    what text := CASE WHEN TG_OP = 'DELETE' THEN 'left' ELSE 'taken' END;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.db_role = NEW.db_role THEN
            RETURN NULL;
        END IF;
    END IF;
    -- One that went with its incident concerns nobody any more.
    INSERT INTO watch.outbox (topic, dedupe_key, incident_id, payload)
    SELECT 'review', 'review:' || i.id || ':' || what || ':' || gen_random_uuid(), i.id, jsonb_build_object('id', i.id, 'transition', what)
    FROM watch.incident AS i WHERE i.id = incident;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION watch.tell_hold FROM PUBLIC;
CREATE TRIGGER tell_hold AFTER INSERT OR UPDATE OR DELETE ON watch.incident_hold
FOR EACH ROW EXECUTE FUNCTION watch.tell_hold();

CREATE FUNCTION watch.incident_assigned() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.assigned_at := clock_timestamp();
    NEW.assigned_by := coalesce((SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller()), access.caller());
    NEW.town_code := (SELECT i.town_code FROM watch.incident AS i WHERE i.id = NEW.incident_id);
    INSERT INTO watch.outbox (topic, dedupe_key, incident_id, payload) VALUES (
        'review', 'review:' || NEW.incident_id || ':assigned:' || gen_random_uuid(), NEW.incident_id,
        jsonb_build_object('id', NEW.incident_id, 'transition', 'assigned')
    );
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION watch.incident_assigned FROM PUBLIC;
CREATE TRIGGER incident_assigned BEFORE INSERT ON watch.incident_assignment
FOR EACH ROW EXECUTE FUNCTION watch.incident_assigned();
-- Only a person whom the caller sees can be given anything, as with duties.
CREATE TRIGGER person_is_seen BEFORE INSERT ON watch.incident_assignment
FOR EACH ROW EXECUTE FUNCTION duty.person_is_seen();

-- The figures are counted as the writer sees them: with the writer's own rights.
CREATE FUNCTION watch.handover_written() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    who access.my_account;
BEGIN
    SELECT m.* INTO who FROM access.my_account AS m;
    NEW.written_at := clock_timestamp();
    NEW.written_by := coalesce(who.login, access.caller());
    NEW.writer_zh := coalesce(who.name_zh, '');
    NEW.writer_en := coalesce(who.name_en, '');
    NEW.area_codes := CASE WHEN who.scope IN ('town', 'community') THEN access.areas_of_caller() ELSE '{}' END;
    NEW.figures := (SELECT to_jsonb(f) FROM analysis.shift_figures_between(NEW.shift_from, NEW.written_at) AS f);
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION watch.handover_written FROM PUBLIC;
CREATE TRIGGER handover_written BEFORE INSERT ON watch.handover
FOR EACH ROW EXECUTE FUNCTION watch.handover_written();

CREATE FUNCTION watch.handover_received() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who access.my_account;
BEGIN
    SELECT m.* INTO who FROM access.my_account AS m;
    NEW.received_at := clock_timestamp();
    NEW.received_by := coalesce(who.login, access.caller());
    NEW.receiver_zh := coalesce(who.name_zh, '');
    NEW.receiver_en := coalesce(who.name_en, '');
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION watch.handover_received FROM PUBLIC;
CREATE TRIGGER handover_received BEFORE INSERT ON watch.handover_receipt
FOR EACH ROW EXECUTE FUNCTION watch.handover_received();

DO $$
DECLARE
    watched record;
BEGIN
    FOR watched IN
        SELECT * FROM (VALUES ('incident_assignment', 'id'), ('handover', 'id'), ('handover_receipt', 'handover_id')) AS t (name, key)
    LOOP
        EXECUTE format(
            'CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON watch.%I FOR EACH ROW'
            ' EXECUTE FUNCTION access.audit_row(%L)',
            watched.name, watched.key
        );
    END LOOP;
END $$;
