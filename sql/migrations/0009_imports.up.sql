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
ADD COLUMN notices jsonb NOT NULL DEFAULT '[]',
ADD COLUMN rolled_back_at timestamptz,
ADD COLUMN rolled_back_by text;
CREATE INDEX batch_load_idx ON staging.batch (load_id);
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
