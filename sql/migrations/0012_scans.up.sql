-- Scans by the thousand a second: observations lie in daily partitions that are dropped whole, so nothing refers to them.
ALTER TABLE watch.incident_observation
DROP CONSTRAINT incident_observation_observation_id_fkey,
ADD COLUMN camera_id bigint,
ADD COLUMN captured_at timestamptz;
UPDATE watch.incident_observation AS s
SET camera_id = o.camera_id, captured_at = o.captured_at
FROM watch.observation AS o
WHERE o.id = s.observation_id;
ALTER TABLE watch.incident_observation
ALTER COLUMN camera_id SET NOT NULL,
ALTER COLUMN captured_at SET NOT NULL;
ALTER TABLE watch.evidence DROP CONSTRAINT evidence_observation_id_fkey;

ALTER TABLE watch.observation RENAME TO observation_before;
ALTER TABLE watch.observation_before RENAME CONSTRAINT observation_pkey TO observation_before_pkey;
CREATE TABLE watch.observation (
    id uuid NOT NULL,
    camera_id bigint NOT NULL,
    captured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    observed boolean NOT NULL,
    reason text,
    model_hash text,
    boxes jsonb NOT NULL DEFAULT '[]',
    clock_offset_s real,
    PRIMARY KEY (camera_id, captured_at),
    CHECK (observed = (reason IS NULL))
) PARTITION BY RANGE (captured_at);
COMMENT ON TABLE watch.observation IS 'One scan''s result. observed = looked; otherwise reason says why it could not look. Never read a missing row as clear. Kept for days, a partition a day; the counts stay in watch.observation_hour.';
COMMENT ON COLUMN watch.observation.clock_offset_s IS 'The camera''s clock minus ours, seconds; NULL = it does not say.';
-- Takes what no day's partition does: nothing that was seen is refused for its date.
CREATE TABLE watch.observation_default PARTITION OF watch.observation DEFAULT;
INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed, reason, model_hash, boxes)
SELECT id, camera_id, captured_at, received_at, observed, reason, model_hash, boxes FROM watch.observation_before
ON CONFLICT DO NOTHING;
DROP TABLE watch.observation_before;

-- Partitions of the day (UTC) of `moment` and of the two after it. Those that make them may race: one does, the others see it done.
CREATE FUNCTION watch.make_partitions(moment timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    day date;
    name text;
    made integer := 0;
BEGIN
    FOR day IN SELECT (moment AT TIME ZONE 'UTC')::date + n FROM generate_series(0, 2) AS n LOOP
        name := 'observation_' || to_char(day, 'YYYYMMDD');
        CONTINUE WHEN to_regclass('watch.' || name) IS NOT NULL;
        PERFORM pg_advisory_xact_lock(748116313);
        CONTINUE WHEN to_regclass('watch.' || name) IS NOT NULL
            -- Rows that came before their partition stay where they are.
            OR EXISTS (
                SELECT FROM watch.observation_default AS o
                WHERE o.captured_at >= day::timestamp AT TIME ZONE 'UTC' AND o.captured_at < (day + 1)::timestamp AT TIME ZONE 'UTC'
            );
        EXECUTE format('CREATE TABLE watch.%I (LIKE watch.observation INCLUDING ALL)', name);
        EXECUTE format('ALTER TABLE watch.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'ALTER TABLE watch.observation ATTACH PARTITION watch.%I FOR VALUES FROM (%L) TO (%L)',
            name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
        );
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION watch.make_partitions(timestamptz) IS 'Makes the daily partitions of watch.observation from the day of a moment to two days after it; how many were made.';

-- Days that ended before `before`, dropped whole; the counts of their scans stay in watch.observation_hour.
CREATE FUNCTION watch.drop_observations(before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    part record;
    dropped integer := 0;
BEGIN
    FOR part IN
        SELECT c.relname
        FROM pg_inherits AS h
        JOIN pg_class AS c ON c.oid = h.inhrelid
        WHERE h.inhparent = 'watch.observation'::regclass
            AND c.relname ~ '^observation_[0-9]{8}$'
            AND (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp AT TIME ZONE 'UTC' <= before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE watch.%I', part.relname);
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM watch.observation_default AS o WHERE o.captured_at < before;
    RETURN dropped;
END $$;
COMMENT ON FUNCTION watch.drop_observations(timestamptz) IS 'Drops the days of watch.observation that ended before a moment; how many.';

-- Two counts by reason added up.
CREATE FUNCTION watch.added_reasons(a jsonb, b jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(r.reason, r.n), '{}')
    FROM (
        SELECT e.key AS reason, sum(e.value::integer) AS n
        FROM (SELECT * FROM jsonb_each_text(a) UNION ALL SELECT * FROM jsonb_each_text(b)) AS e
        GROUP BY e.key
    ) AS r
$$;

-- Each scan is counted where it was due; so is each due time that passed without one.
ALTER TABLE watch.observation_hour ADD COLUMN due integer NOT NULL DEFAULT 0;
UPDATE watch.observation_hour SET due = observed + unobserved;
ALTER TABLE watch.observation_hour ADD CONSTRAINT observation_hour_adds_up CHECK (due = observed + unobserved);

ALTER TABLE registry.camera ADD COLUMN night_period_s integer CHECK (night_period_s > 0);
COMMENT ON COLUMN registry.camera.night_period_s IS 'Seconds between looks at night; NULL = as by day (period_s).';
ALTER TABLE watch.scan_due ADD COLUMN period_s real;
COMMENT ON COLUMN watch.scan_due.period_s IS 'Seconds between looks as in force at the last one (by day or by night).';
-- Every scan rewrites a camera's row: room for that on its page.
ALTER TABLE watch.scan_due SET (fillfactor = 60);
ALTER TABLE watch.camera_health SET (fillfactor = 60);
