-- Manifests that are loaded again and again by themselves: where from, how often, and what became of it.
CREATE TABLE staging.feed (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9_.-]{0,39}$'),
    kind text NOT NULL CHECK (kind IN ('folder', 'http', 'database')),
    source text NOT NULL,
    has_secret boolean NOT NULL DEFAULT false,
    manifest jsonb NOT NULL,
    manifest_name text NOT NULL,
    timezone text NOT NULL,
    into_sample boolean NOT NULL DEFAULT false,
    every text NOT NULL,
    late_after_s double precision NOT NULL CHECK (late_after_s > 0),
    most_rejected double precision NOT NULL DEFAULT 0.2 CHECK (most_rejected BETWEEN 0 AND 1),
    added_at timestamptz NOT NULL,
    added_by text NOT NULL,
    paused_at timestamptz,
    paused_by text,
    next_due_at timestamptz NOT NULL,
    lease_owner text,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0,
    fingerprint jsonb NOT NULL DEFAULT '{}',
    last_tried_at timestamptz,
    last_success_at timestamptz,
    last_changed_at timestamptz,
    last_load_id bigint,
    last_outcome text CHECK (last_outcome IN ('loaded', 'unchanged', 'waiting', 'suspicious', 'failed')),
    last_message text,
    failing_since timestamptz,
    failures integer NOT NULL DEFAULT 0,
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    CHECK ((failing_since IS NULL) = (failures = 0))
);
CREATE INDEX feed_due_idx ON staging.feed (next_due_at);
COMMENT ON TABLE staging.feed IS 'Scheduled imports. A process that holds the lease works on the feed; every claim raises the token, and an older token writes nothing.';
COMMENT ON COLUMN staging.feed.source IS 'Where the files come from, as people may see it: without account, password and values of parameters.';
COMMENT ON COLUMN staging.feed.has_secret IS 'The whole addresses are sealed in access.secret (feed, name, addresses).';
COMMENT ON COLUMN staging.feed.manifest IS 'A copy, so that a file that is moved or edited does not change what is loaded at night.';
COMMENT ON COLUMN staging.feed.fingerprint IS 'Of what was loaded last: sizes and times, SHA-256, ETag and Last-Modified. Never of what failed.';
COMMENT ON COLUMN staging.feed.last_success_at IS 'When the stored rows were last known to be what the source holds: loaded, or found unchanged.';

-- With the age of feeds; all else as before.
CREATE OR REPLACE FUNCTION access.metrics() RETURNS TABLE (name text, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'incidents_open', count(*)::double precision FROM analysis.event AS e WHERE e.state <> 'closed'
    UNION ALL SELECT 'incidents_unreviewed', count(*) FROM analysis.event AS e WHERE e.review = 'unreviewed'
    UNION ALL SELECT 'cameras_observed', count(*) FROM watch.camera_health AS h WHERE h.observed
    UNION ALL SELECT 'cameras_unobserved', count(*) FROM watch.camera_health AS h WHERE NOT h.observed
    UNION ALL SELECT 'cameras_due_total', count(*) FROM watch.scan_due AS d
    UNION ALL SELECT 'scan_delay_seconds', extract(epoch FROM now() - min(d.next_due_at)) FROM watch.scan_due AS d WHERE d.next_due_at < now()
    UNION ALL SELECT 'open_sessions', count(*) FROM access.session AS s WHERE s.ended_at IS NULL AND s.idle_until > now() AND s.expires_at > now()
    UNION ALL SELECT 'feeds_total', count(*) FROM staging.feed AS f WHERE f.paused_at IS NULL
    UNION ALL SELECT 'feeds_failing', count(*) FROM staging.feed AS f WHERE f.paused_at IS NULL AND f.failures > 0
    UNION ALL SELECT 'feeds_late', count(*) FROM analysis.import_feed AS f WHERE f.is_late
    UNION ALL SELECT 'feed_oldest_age_seconds', extract(epoch FROM now() - min(coalesce(f.last_success_at, f.added_at))) FROM staging.feed AS f;
END $$;
