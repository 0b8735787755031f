-- Imports that can be followed, explained and taken back: runs, repaired rows, warnings, before-images, doubles of sites.

-- One run of a manifest. The row is written by a connection of its own, so that others see how far a run is before it ends.
CREATE TABLE staging.load (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    manifest text NOT NULL,
    manifest_sha256 text NOT NULL,
    origin text NOT NULL CHECK (origin IN ('command', 'page', 'feed')),
    feed_id bigint,
    started_by text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    heard_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'refused', 'failed', 'rolled_back')),
    message text,
    step text,
    rows_done bigint NOT NULL DEFAULT 0,
    rows_total bigint,
    CHECK ((state = 'running') = (finished_at IS NULL))
);
COMMENT ON TABLE staging.load IS 'One run of a manifest. A run that is "running" and that nobody holds (staging.is_held) was cut off: nothing of it is stored.';

-- Whether a process still works on the run: it holds an advisory lock for as long as it lives, however it ends.
CREATE FUNCTION staging.is_held(load_id bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM pg_locks AS l
        WHERE l.locktype = 'advisory' AND l.classid = 748116 AND l.objid = is_held.load_id AND l.objsubid = 2 AND l.granted
            AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    )
$$;

ALTER TABLE staging.batch
ADD COLUMN load_id bigint REFERENCES staging.load (id),
ADD COLUMN rows_warned integer NOT NULL DEFAULT 0,
ADD COLUMN rows_new integer NOT NULL DEFAULT 0,
ADD COLUMN rows_changed integer NOT NULL DEFAULT 0,
ADD COLUMN rows_gone integer NOT NULL DEFAULT 0,
ADD COLUMN rows_moved integer NOT NULL DEFAULT 0,
ADD COLUMN columns_used jsonb NOT NULL DEFAULT '{}',
ADD COLUMN file_columns jsonb NOT NULL DEFAULT '[]',
ADD COLUMN is_correction boolean NOT NULL DEFAULT false,
ADD COLUMN encoding_evidence text NOT NULL DEFAULT '',
ADD COLUMN frame_from text NOT NULL DEFAULT '',
ADD COLUMN notices jsonb NOT NULL DEFAULT '[]',
ADD COLUMN rolled_back_at timestamptz,
ADD COLUMN rolled_back_by text;
CREATE INDEX batch_load_idx ON staging.batch (load_id);
COMMENT ON COLUMN staging.batch.file_columns IS 'Names of the file''s columns in their order; columns_used says which of them fill which field.';
COMMENT ON COLUMN staging.batch.is_correction IS 'Rows that an earlier batch of the file had kept aside, corrected: the file itself never held them so.';
COMMENT ON COLUMN staging.batch.encoding_evidence IS 'How the encoding is known: declared, said by the file, or found in its bytes. frame_from: the same of the frame.';
COMMENT ON COLUMN staging.batch.rows_moved IS 'Rows that lie more than 5 m from where they were stored; they are among rows_changed.';
COMMENT ON COLUMN staging.batch.rows_gone IS 'Rows that an earlier batch of this file brought and that this one does not hold; kept, unless the manifest says otherwise.';

ALTER TABLE staging.rejected
ADD COLUMN fix_zh text NOT NULL DEFAULT '',
ADD COLUMN fix_en text NOT NULL DEFAULT '',
ADD COLUMN place geometry(Point, :srid);
COMMENT ON COLUMN staging.rejected.place IS 'Where the row would have been, for the map of problems; metres of the city''s zone. NULL where nobody can tell.';

CREATE TABLE staging.repaired (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id bigint NOT NULL REFERENCES staging.batch (id),
    row_no integer NOT NULL,
    reason_code text NOT NULL,
    field text,
    reason_zh text NOT NULL,
    reason_en text NOT NULL,
    before text NOT NULL,
    after text NOT NULL,
    place geometry(Point, :srid)
);
CREATE INDEX repaired_batch_idx ON staging.repaired (batch_id);
COMMENT ON TABLE staging.repaired IS 'Changes that made a row storable, before and after; shapes as WKT in metres of the city''s zone.';

CREATE TABLE staging.warning (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id bigint NOT NULL REFERENCES staging.batch (id),
    row_no integer NOT NULL,
    reason_code text NOT NULL,
    field text,
    reason_zh text NOT NULL,
    reason_en text NOT NULL,
    fix_zh text NOT NULL DEFAULT '',
    fix_en text NOT NULL DEFAULT '',
    place geometry(Point, :srid)
);
CREATE INDEX warning_batch_idx ON staging.warning (batch_id);
COMMENT ON TABLE staging.warning IS 'Rows that are stored, and that somebody should look at.';

-- What a row was before a batch changed it: geometry as hex EWKB. A row of a batch without a line here was new with it.
CREATE TABLE staging.change (
    batch_id bigint NOT NULL REFERENCES staging.batch (id),
    register text NOT NULL,
    row_id text NOT NULL,
    before jsonb NOT NULL,
    PRIMARY KEY (batch_id, register, row_id)
);

ALTER TABLE duty.department ADD COLUMN batch_id bigint;
ALTER TABLE duty.rule ADD COLUMN batch_id bigint;

-- Two stored sites that may be one. A person decides; a decision is never asked again.
CREATE TABLE registry.site_merge (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id bigint NOT NULL REFERENCES registry.site (id) ON DELETE CASCADE,
    other_id bigint NOT NULL REFERENCES registry.site (id) ON DELETE CASCADE,
    distance_m double precision NOT NULL,
    batch_id bigint,
    proposed_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'apart')),
    decided_by text,
    decided_at timestamptz,
    UNIQUE (site_id, other_id),
    CHECK (site_id < other_id)
);
COMMENT ON TABLE registry.site_merge IS 'Proposals: same name and address within 30 m, never merged silently. apart = a person said that they are two.';

-- Keys of sites that were merged into another one: a later import knows them, and makes no new site of them.
CREATE TABLE registry.site_alias (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id bigint NOT NULL REFERENCES registry.site (id) ON DELETE CASCADE,
    uscc text UNIQUE,
    local_id text UNIQUE,
    merged_by text NOT NULL DEFAULT CURRENT_USER,
    merged_at timestamptz NOT NULL DEFAULT now(),
    CHECK (uscc IS NOT NULL OR local_id IS NOT NULL)
);

-- What a person decides about two sites is kept in the audit like any change of the register.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['registry.site_merge', 'registry.site_alias'] LOOP
        EXECUTE format(
            'CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW'
            ' WHEN (coalesce(current_setting(''geoapp.batch'', true), '''') = '''' OR access.caller() <> %L)'
            ' EXECUTE FUNCTION access.audit_row(''id'')',
            name, current_user
        );
    END LOOP;
END $$;

-- The proposal for two sites, locked; refused where there is none that is open, to whoever is no admin, and while an import
-- runs, which may have seen both sites already.
CREATE FUNCTION registry.open_merge(one bigint, other bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    proposal bigint;
BEGIN
    IF access.caller() <> current_user AND NOT pg_has_role(access.caller(), 'geoapp_admin', 'MEMBER') THEN
        RAISE EXCEPTION '只有管理员可以决定 / only an admin decides whether two sites are one' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NOT pg_try_advisory_xact_lock(748116312) THEN
        RAISE EXCEPTION '正在导入，请在完成后再决定 / an import is running: decide when it has ended' USING ERRCODE = 'lock_not_available';
    END IF;
    SELECT m.id INTO proposal FROM registry.site_merge AS m
    WHERE m.site_id = least(one, other) AND m.other_id = greatest(one, other) AND m.state = 'proposed'
    FOR UPDATE;
    IF proposal IS NULL THEN
        RAISE EXCEPTION '这两家没有待决定的提议 / there is no open proposal for these two sites' USING ERRCODE = 'no_data_found';
    END IF;
    RETURN proposal;
END $$;

-- Two sites are one: what hangs on `gone` hangs on `keep` from now on, blanks of `keep` are filled, the keys of `gone` are
-- kept as aliases, and `gone` is deleted. The audit has both rows as they were. Gives how many rows hang elsewhere now.
CREATE FUNCTION registry.merge_sites(keep bigint, gone bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    kept registry.site;
    lost registry.site;
    reference record;
    touched bigint;
    moved bigint := 0;
    who constant text := coalesce((SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller()), access.caller());
BEGIN
    PERFORM registry.open_merge(keep, gone);
    PERFORM FROM registry.site AS s WHERE s.id IN (keep, gone) ORDER BY s.id FOR UPDATE;
    SELECT * INTO STRICT kept FROM registry.site AS s WHERE s.id = keep;
    SELECT * INTO STRICT lost FROM registry.site AS s WHERE s.id = gone;
    -- Every table that refers to a site, also one that is made later. Two of them hold pairs, which may be there already.
    FOR reference IN
        SELECT c.conrelid::regclass AS name, a.attname AS field
        FROM pg_constraint AS c JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.contype = 'f' AND c.confrelid = 'registry.site'::regclass AND c.conparentid = 0
            AND c.conrelid NOT IN ('access.account_site'::regclass, 'registry.site_merge'::regclass)
    LOOP
        EXECUTE format('UPDATE %s SET %I = $1 WHERE %2$I = $2', reference.name, reference.field) USING keep, gone;
        GET DIAGNOSTICS touched = ROW_COUNT;
        moved := moved + touched;
    END LOOP;
    INSERT INTO access.account_site (account_id, site_id)
    SELECT a.account_id, keep FROM access.account_site AS a WHERE a.site_id = gone
    ON CONFLICT DO NOTHING;
    INSERT INTO registry.site_merge (site_id, other_id, distance_m, batch_id, proposed_at, state, decided_by, decided_at)
    SELECT least(keep, s.id), greatest(keep, s.id), ST_Distance(kept.geom, s.geom), m.batch_id, m.proposed_at, m.state, m.decided_by, m.decided_at
    FROM registry.site_merge AS m JOIN registry.site AS s ON s.id = CASE gone WHEN m.site_id THEN m.other_id ELSE m.site_id END
    WHERE gone IN (m.site_id, m.other_id) AND s.id <> keep
    ON CONFLICT (site_id, other_id) DO NOTHING;
    DELETE FROM registry.site AS s WHERE s.id = gone;
    -- A key that is an alias already came to `gone` by an earlier merge, and has followed above.
    INSERT INTO registry.site_alias (site_id, uscc, local_id, merged_by)
    SELECT keep, k.uscc, k.local_id, who
    FROM (
        SELECT
            CASE WHEN NOT EXISTS (SELECT FROM registry.site_alias AS a WHERE a.uscc = lost.uscc) THEN lost.uscc END AS uscc,
            CASE WHEN NOT EXISTS (SELECT FROM registry.site_alias AS a WHERE a.local_id = lost.local_id) THEN lost.local_id END AS local_id
    ) AS k
    WHERE k.uscc IS NOT NULL OR k.local_id IS NOT NULL;
    UPDATE registry.site AS s SET
        uscc = coalesce(kept.uscc, lost.uscc),
        address = coalesce(nullif(kept.address, ''), lost.address),
        rule_code = coalesce(kept.rule_code, lost.rule_code),
        gbt4754 = coalesce(nullif(kept.gbt4754, ''), lost.gbt4754),
        scale = coalesce(kept.scale, lost.scale),
        nine_small = coalesce(kept.nine_small, lost.nine_small),
        hazard_level = coalesce(kept.hazard_level, lost.hazard_level),
        people = coalesce(kept.people, lost.people),
        vulnerability = coalesce(kept.vulnerability, lost.vulnerability),
        contact_name = coalesce(kept.contact_name, lost.contact_name),
        contact_phone = coalesce(kept.contact_phone, lost.contact_phone),
        visit_cap_per_year = coalesce(kept.visit_cap_per_year, lost.visit_cap_per_year),
        updated_at = clock_timestamp()
    WHERE s.id = keep;
    RETURN moved;
END $$;
COMMENT ON FUNCTION registry.merge_sites IS '两家并为一家; merges the second site into the first, by an admin. 42501: no admin; P0002: no open proposal; 55P03: an import is running.';

-- Two sites are two: the pair is not proposed again.
CREATE FUNCTION registry.keep_sites_apart(one bigint, other bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    proposal constant bigint := registry.open_merge(one, other);
BEGIN
    UPDATE registry.site_merge AS m SET
        state = 'apart', decided_at = clock_timestamp(),
        decided_by = coalesce((SELECT a.login FROM access.account AS a WHERE a.db_role = access.caller()), access.caller())
    WHERE m.id = proposal;
END $$;
COMMENT ON FUNCTION registry.keep_sites_apart IS '两家不是一家; a person says that two sites are two.';
