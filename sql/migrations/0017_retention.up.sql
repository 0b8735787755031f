-- How long frames are kept, what may not be deleted, and what was.
CREATE TABLE watch.retention_policy (
    review text NOT NULL CHECK (review IN ('unreviewed', 'confirmed', 'false', 'permitted')),
    class text NOT NULL DEFAULT 'any' CHECK (class IN ('any', 'fire', 'smoke', 'welding_arc', 'sparks')),
    days integer NOT NULL CHECK (days BETWEEN 30 AND 36500),
    basis_zh text NOT NULL CHECK (basis_zh <> ''),
    basis_en text NOT NULL CHECK (basis_en <> ''),
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT '',
    PRIMARY KEY (review, class)
);
COMMENT ON TABLE watch.retention_policy IS '画面保存期限: days that frames of an incident are kept, by its review and class (a row of the class goes before the row of any).';
COMMENT ON COLUMN watch.retention_policy.days IS 'Days after the incident was last seen or last reviewed, whichever is later; never fewer than 30. Frames of incidents that are not closed stay.';
INSERT INTO watch.retention_policy (review, class, days, basis_zh, basis_en)
VALUES
    ('false', 'any', 30, '误报：个人信息保护法第十九条，保存至实现目的所必要的最短时间',
        'False alarm: Personal Information Protection Law, Art. 19, no longer than the purpose needs'),
    ('permitted', 'any', 90, '许可作业：保存至作业票核对完毕；个人信息保护法第十九条',
        'Permitted work: until its permit has been checked; Personal Information Protection Law, Art. 19'),
    ('unreviewed', 'any', 180, '待核实线索：保存至可核实期满；个人信息保护法第十九条',
        'Lead that waits for review: as long as it can still be verified; Personal Information Protection Law, Art. 19'),
    ('confirmed', 'any', 1095, '已核实事件：备查处与追责；超过此期另有需要的，办理证据保全',
        'Confirmed event: for the proceedings that follow; whatever needs longer is put under a legal hold');

CREATE TABLE watch.legal_hold (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES watch.incident (id),
    reason text NOT NULL CHECK (length(btrim(reason)) BETWEEN 4 AND 1000),
    since timestamptz NOT NULL DEFAULT now(),
    held_by text NOT NULL DEFAULT '',
    released_at timestamptz,
    released_by text,
    release_reason text CHECK (length(btrim(release_reason)) BETWEEN 4 AND 1000),
    CHECK ((released_at IS NULL) = (release_reason IS NULL)),
    CHECK ((released_at IS NULL) = (released_by IS NULL))
);
CREATE INDEX legal_hold_live_idx ON watch.legal_hold (incident_id) WHERE released_at IS NULL;
COMMENT ON TABLE watch.legal_hold IS '证据保全: nothing of the incident is deleted while one of its holds is not released, whoever asks; a hold is released, never removed.';

CREATE TABLE watch.deletion (
    evidence_id uuid PRIMARY KEY,
    incident_id uuid NOT NULL,
    incident_no bigint NOT NULL,
    town_code text,
    path text,
    sha256 text,
    bytes integer NOT NULL,
    captured_at timestamptz NOT NULL,
    review text NOT NULL,
    class text NOT NULL,
    days integer NOT NULL,
    basis_zh text NOT NULL,
    basis_en text NOT NULL,
    begun_at timestamptz NOT NULL,
    deleted_at timestamptz,
    was_missing boolean,
    CHECK ((deleted_at IS NULL) = (was_missing IS NULL))
);
CREATE INDEX deletion_begun_idx ON watch.deletion (begun_at) WHERE deleted_at IS NULL;
CREATE INDEX deletion_incident_idx ON watch.deletion (incident_id);
CREATE INDEX deletion_deleted_idx ON watch.deletion (deleted_at DESC);
COMMENT ON TABLE watch.deletion IS '画面删除记录: which frame was deleted, when, and the policy as it was then. Begun before the file goes, confirmed after: one that was cut off is finished by the next sweep.';
COMMENT ON COLUMN watch.deletion.was_missing IS 'The file was already gone when its turn came (an earlier sweep was cut off right after, or it was lost).';

CREATE TABLE watch.evidence_room (
    host text PRIMARY KEY,
    measured_at timestamptz NOT NULL,
    total_bytes bigint NOT NULL,
    free_bytes bigint NOT NULL,
    state text NOT NULL CHECK (state IN ('enough', 'low', 'full'))
);
COMMENT ON TABLE watch.evidence_room IS '取证画面存储空间: room left where each machine keeps its frames, as last measured. low = warn; full = new frames are not kept.';

-- A frame that could not be kept is said to be missing, and why.
ALTER TABLE watch.evidence
ADD COLUMN not_kept text CHECK (not_kept IN ('disk_full')),
ALTER COLUMN sha256 DROP NOT NULL,
ALTER COLUMN path DROP NOT NULL,
ADD CONSTRAINT evidence_kept_or_not CHECK ((path IS NULL) = (not_kept IS NOT NULL) AND (sha256 IS NULL) = (path IS NULL));
COMMENT ON COLUMN watch.evidence.not_kept IS 'Why there is no file (disk_full); NULL = the frame was kept.';

-- Holding and deleting take turns at the incident's row: what a hold finds, no sweep that began earlier takes away.
CREATE FUNCTION watch.is_held(incident uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM watch.incident AS i WHERE i.id = incident FOR UPDATE;
    RETURN EXISTS (SELECT FROM watch.legal_hold AS h WHERE h.incident_id = incident AND h.released_at IS NULL);
END $$;
COMMENT ON FUNCTION watch.is_held(uuid) IS 'Whether an incident is under a legal hold; locks the incident until the transaction ends.';

CREATE FUNCTION watch.keep_held() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        IF EXISTS (SELECT FROM watch.legal_hold AS h WHERE h.released_at IS NULL) THEN
            RAISE EXCEPTION '证据保全中，不能清空 / % holds what is under a legal hold', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END IF;
    IF watch.is_held(CASE WHEN TG_TABLE_NAME = 'incident' THEN (to_jsonb(OLD) ->> 'id')::uuid ELSE (to_jsonb(OLD) ->> 'incident_id')::uuid END) THEN
        RAISE EXCEPTION '证据保全中，不能删改 / under a legal hold: % of % is refused', lower(TG_OP), TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER evidence_held BEFORE DELETE OR UPDATE ON watch.evidence FOR EACH ROW EXECUTE FUNCTION watch.keep_held();
CREATE TRIGGER evidence_held_all BEFORE TRUNCATE ON watch.evidence FOR EACH STATEMENT EXECUTE FUNCTION watch.keep_held();
CREATE TRIGGER incident_held BEFORE DELETE ON watch.incident FOR EACH ROW EXECUTE FUNCTION watch.keep_held();
ALTER TABLE watch.evidence ENABLE ALWAYS TRIGGER evidence_held;
ALTER TABLE watch.evidence ENABLE ALWAYS TRIGGER evidence_held_all;
ALTER TABLE watch.incident ENABLE ALWAYS TRIGGER incident_held;

-- Who holds and who releases is who acts (the operators command says who sits at it); a hold is not taken back but by a release with its reason.
CREATE FUNCTION watch.hold_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who constant text := coalesce((SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller()), access.caller());
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        IF TG_OP = 'TRUNCATE' AND NOT EXISTS (SELECT FROM watch.legal_hold) THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION '保全记录不能删除，只能解除 / a legal hold is released, not removed' USING ERRCODE = 'integrity_constraint_violation';
    ELSIF TG_OP = 'INSERT' THEN
        PERFORM watch.is_held(NEW.incident_id);
        NEW.since := clock_timestamp();
        NEW.held_by := CASE WHEN access.caller() = current_user AND NEW.held_by <> '' THEN NEW.held_by ELSE who END;
        NEW.released_at := NULL;
        NEW.released_by := NULL;
        NEW.release_reason := NULL;
        -- Begun and not done: the hold comes first.
        DELETE FROM watch.deletion AS d WHERE d.incident_id = NEW.incident_id AND d.deleted_at IS NULL;
    ELSIF OLD.released_at IS NOT NULL OR NEW.release_reason IS NULL
        OR (NEW.id, NEW.incident_id, NEW.reason, NEW.since, NEW.held_by) IS DISTINCT FROM (OLD.id, OLD.incident_id, OLD.reason, OLD.since, OLD.held_by)
    THEN
        RAISE EXCEPTION '保全记录只能解除一次 / a legal hold can only be released, once' USING ERRCODE = 'integrity_constraint_violation';
    ELSE
        NEW.released_at := clock_timestamp();
        NEW.released_by := CASE WHEN access.caller() = current_user THEN coalesce(NEW.released_by, who) ELSE who END;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hold_written BEFORE INSERT OR UPDATE OR DELETE ON watch.legal_hold FOR EACH ROW EXECUTE FUNCTION watch.hold_written();
CREATE TRIGGER hold_kept BEFORE TRUNCATE ON watch.legal_hold FOR EACH STATEMENT EXECUTE FUNCTION watch.hold_written();
ALTER TABLE watch.legal_hold ENABLE ALWAYS TRIGGER hold_written;
ALTER TABLE watch.legal_hold ENABLE ALWAYS TRIGGER hold_kept;

CREATE FUNCTION watch.policy_changed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.changed_at := clock_timestamp();
    NEW.changed_by := coalesce((SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller()), access.caller());
    RETURN NEW;
END $$;
CREATE TRIGGER policy_changed BEFORE INSERT OR UPDATE ON watch.retention_policy FOR EACH ROW EXECUTE FUNCTION watch.policy_changed();
REVOKE EXECUTE ON FUNCTION watch.is_held, watch.keep_held, watch.hold_written, watch.policy_changed FROM PUBLIC;

CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON watch.retention_policy FOR EACH ROW EXECUTE FUNCTION access.audit_row('review');
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON watch.legal_hold FOR EACH ROW EXECUTE FUNCTION access.audit_row('incident_id');

-- Every frame whose time is over at a moment, the oldest first, with the policy that says so.
CREATE FUNCTION watch.due_deletions(moment timestamptz) RETURNS TABLE (
    evidence_id uuid, incident_id uuid, incident_no bigint, town_code text, path text, sha256 text, bytes integer,
    captured_at timestamptz, review text, class text, days integer, basis_zh text, basis_en text, due_at timestamptz
)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH incident AS (
        SELECT i.*, greatest(i.last_seen_at, i.reviewed_at) AS counted_from FROM watch.incident AS i WHERE i.state = 'closed'
    )
    SELECT
        e.id, i.id, i.incident_no, i.town_code, e.path, e.sha256, e.bytes, e.captured_at, i.review, i.class, p.days, p.basis_zh,
        p.basis_en, i.counted_from + make_interval(days => p.days)
    FROM incident AS i
    CROSS JOIN LATERAL (
        SELECT r.* FROM watch.retention_policy AS r
        WHERE r.review = i.review AND r.class IN (i.class, 'any')
        ORDER BY r.class = 'any' LIMIT 1
    ) AS p
    JOIN watch.evidence AS e ON e.incident_id = i.id
    WHERE i.counted_from + make_interval(days => p.days) <= moment
        AND NOT EXISTS (SELECT FROM watch.legal_hold AS h WHERE h.incident_id = i.id AND h.released_at IS NULL)
    ORDER BY 14, e.id
$$;
COMMENT ON FUNCTION watch.due_deletions(timestamptz) IS 'Frames whose time is over at a moment and that no legal hold keeps.';

-- The three steps of a deletion; the file is removed between the second and the third, in one transaction with them.
CREATE FUNCTION watch.begin_deletions(moment timestamptz, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due record;
    begun integer := 0;
BEGIN
    FOR due IN
        SELECT d.* FROM watch.due_deletions(least(moment, clock_timestamp())) AS d
        WHERE NOT EXISTS (SELECT FROM watch.deletion AS b WHERE b.evidence_id = d.evidence_id)
        LIMIT most
    LOOP
        CONTINUE WHEN watch.is_held(due.incident_id);
        INSERT INTO watch.deletion (evidence_id, incident_id, incident_no, town_code, path, sha256, bytes, captured_at, review, class, days,
            basis_zh, basis_en, begun_at)
        VALUES (due.evidence_id, due.incident_id, due.incident_no, due.town_code, due.path, due.sha256, due.bytes, due.captured_at,
            due.review, due.class, due.days, due.basis_zh, due.basis_en, moment)
        ON CONFLICT (evidence_id) DO NOTHING;
        begun := begun + 1;
    END LOOP;
    RETURN begun;
END $$;
COMMENT ON FUNCTION watch.begin_deletions(timestamptz, integer) IS 'Marks at most so many due frames for deletion; how many. A moment in the future counts as now.';

CREATE FUNCTION watch.may_delete(evidence uuid) RETURNS TABLE (path text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF watch.is_held((SELECT d.incident_id FROM watch.deletion AS d WHERE d.evidence_id = evidence)) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT d.path FROM watch.deletion AS d WHERE d.evidence_id = evidence AND d.deleted_at IS NULL FOR UPDATE;
END $$;
COMMENT ON FUNCTION watch.may_delete(uuid) IS 'The file of a deletion that was begun, no row where it may not be deleted; held against a legal hold until the transaction ends.';

CREATE FUNCTION watch.end_deletion(evidence uuid, moment timestamptz, file_was_missing boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE watch.deletion AS d SET deleted_at = moment, was_missing = file_was_missing
    WHERE d.evidence_id = evidence AND d.deleted_at IS NULL;
    IF FOUND THEN
        DELETE FROM watch.evidence AS e WHERE e.id = evidence;
    END IF;
END $$;
COMMENT ON FUNCTION watch.end_deletion(uuid, timestamptz, boolean) IS 'The file is gone: its row goes, its deletion stays on record.';
REVOKE EXECUTE ON FUNCTION watch.due_deletions, watch.begin_deletions, watch.may_delete, watch.end_deletion FROM PUBLIC;
