-- The ledger: for any camera and hour whether anybody looked, for years. Counters in monthly partitions, and a record of
-- which cameras were to be looked through, without which an hour that holds no row says nothing.
ALTER TABLE watch.observation_hour RENAME TO observation_hour_before;
ALTER TABLE watch.observation_hour_before RENAME CONSTRAINT observation_hour_pkey TO observation_hour_before_pkey;
CREATE TABLE watch.observation_hour (
    camera_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    due integer NOT NULL DEFAULT 0,
    observed integer NOT NULL DEFAULT 0,
    unobserved integer NOT NULL DEFAULT 0,
    reasons jsonb NOT NULL DEFAULT '{}',
    CONSTRAINT observation_hour_pkey PRIMARY KEY (camera_id, hour),
    CONSTRAINT observation_hour_camera_id_fkey FOREIGN KEY (camera_id) REFERENCES registry.camera (id),
    CONSTRAINT observation_hour_adds_up CHECK (due = observed + unobserved)
) PARTITION BY RANGE (hour);
COMMENT ON TABLE watch.observation_hour IS 'Scans of a camera in an hour, by outcome; a partition a month, kept for ledger_years. due = observed + unobserved. An hour without a row says nothing by itself: watch.camera_connection says whether looks were due (analysis.observation_hours puts the two together).';
-- Takes what no month's partition does: nothing that was counted is refused for its date.
CREATE TABLE watch.observation_hour_default PARTITION OF watch.observation_hour DEFAULT;

-- Partitions of the months (UTC) of `moment` and of the one after it; what the default partition took for them moves in.
-- Where the register is being loaded for longer than the limit, the next call makes them.
CREATE FUNCTION watch.make_hour_partitions(moment timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    month timestamp;
    name text;
    made integer := 0;
BEGIN
    FOR month IN SELECT date_trunc('month', moment AT TIME ZONE 'UTC') + make_interval(months => n) FROM generate_series(0, 1) AS n LOOP
        name := 'observation_hour_' || to_char(month, 'YYYYMM');
        CONTINUE WHEN to_regclass('watch.' || name) IS NOT NULL;
        BEGIN
            PERFORM pg_advisory_xact_lock(748116314);
            CONTINUE WHEN to_regclass('watch.' || name) IS NOT NULL;
            LOCK TABLE watch.observation_hour_default IN ACCESS EXCLUSIVE MODE;
            EXECUTE format('CREATE TABLE watch.%I (LIKE watch.observation_hour INCLUDING ALL)', name);
            EXECUTE format('ALTER TABLE watch.%I ENABLE ROW LEVEL SECURITY', name);
            EXECUTE format(
                'WITH moved AS (DELETE FROM watch.observation_hour_default AS o WHERE o.hour >= %L AND o.hour < %L RETURNING o.*)'
                ' INSERT INTO watch.%I SELECT * FROM moved',
                month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC', name
            );
            EXECUTE format(
                'ALTER TABLE watch.observation_hour ATTACH PARTITION watch.%I FOR VALUES FROM (%L) TO (%L)',
                name, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
            );
            made := made + 1;
        EXCEPTION WHEN lock_not_available THEN
            RETURN made;
        END;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION watch.make_hour_partitions(timestamptz) IS 'Makes the monthly partitions of watch.observation_hour for the month of a moment and the next; how many were made.';

INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved, reasons)
SELECT camera_id, hour, due, observed, unobserved, reasons FROM watch.observation_hour_before;
DROP TABLE watch.observation_hour_before;
SELECT watch.make_hour_partitions(m.month)
FROM (SELECT DISTINCT date_trunc('month', o.hour, 'UTC') AS month FROM watch.observation_hour AS o) AS m;
SELECT watch.make_hour_partitions(now());
-- Row-level security comes with the policies, for partitions as for tables.
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT h.inhrelid::regclass AS name FROM pg_inherits AS h WHERE h.inhparent = 'watch.observation_hour'::regclass LOOP
        EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', part.name);
    END LOOP;
END $$;

-- Which cameras were to be looked through, and how often: without this, an hour in which nobody looked and one in which
-- there was no camera look the same.
CREATE TABLE watch.camera_connection (
    camera_id bigint NOT NULL REFERENCES registry.camera (id) ON DELETE CASCADE,
    since timestamptz NOT NULL,
    until timestamptz,
    period_s integer NOT NULL CHECK (period_s > 0),
    night_period_s integer CHECK (night_period_s > 0),
    PRIMARY KEY (camera_id, since),
    CHECK (until > since)
);
CREATE UNIQUE INDEX camera_connection_open_idx ON watch.camera_connection (camera_id) WHERE until IS NULL;
COMMENT ON TABLE watch.camera_connection IS 'When a camera was connected (an address, switched on, not retired), and with what periods; until NULL = still. Kept by a trigger on registry.camera and by the watch.';
COMMENT ON COLUMN watch.camera_connection.period_s IS 'Seconds between looks as planned; night_period_s: at night, NULL = as by day.';

CREATE TABLE watch.connection_record (began_at timestamptz PRIMARY KEY);
COMMENT ON TABLE watch.connection_record IS 'One row: since when watch.camera_connection is complete. What was connected before is not known.';
INSERT INTO watch.connection_record (began_at) VALUES (date_trunc('second', now()));

-- What holds for one camera from `moment` on; period NULL = not connected. Says nothing new where nothing changed.
CREATE FUNCTION watch.record_connection(camera bigint, period integer, night_period integer, moment timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A change within the same instant was never in force.
    DELETE FROM watch.camera_connection AS k
    WHERE k.camera_id = camera AND k.until IS NULL AND k.since >= moment
        AND (k.period_s, k.night_period_s) IS DISTINCT FROM (period, night_period);
    UPDATE watch.camera_connection AS k SET until = moment
    WHERE k.camera_id = camera AND k.until IS NULL
        AND (k.period_s, k.night_period_s) IS DISTINCT FROM (period, night_period);
    IF period IS NOT NULL THEN
        INSERT INTO watch.camera_connection (camera_id, since, period_s, night_period_s)
        VALUES (camera, moment, period, night_period)
        ON CONFLICT DO NOTHING;
    END IF;
END $$;
COMMENT ON FUNCTION watch.record_connection(bigint, integer, integer, timestamptz) IS 'Writes into watch.camera_connection what holds for a camera from a moment on.';

-- All cameras: what comes by the calendar (a date of retirement) changes no row of the register.
CREATE FUNCTION watch.record_connections(moment timestamptz) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH connected AS (
        SELECT c.id, c.period_s, c.night_period_s
        FROM registry.camera AS c
        WHERE c.is_connected AND c.enabled AND (c.retired_on IS NULL OR c.retired_on > moment)
    ),
    open AS (
        SELECT k.camera_id, k.period_s, k.night_period_s FROM watch.camera_connection AS k WHERE k.until IS NULL
    ),
    changed AS (
        SELECT coalesce(c.id, k.camera_id) AS id, c.period_s, c.night_period_s
        FROM connected AS c
        FULL JOIN open AS k ON k.camera_id = c.id
        WHERE (c.period_s, c.night_period_s) IS DISTINCT FROM (k.period_s, k.night_period_s)
    ),
    recorded AS MATERIALIZED (
        SELECT watch.record_connection(c.id, c.period_s, c.night_period_s, moment) FROM changed AS c ORDER BY c.id
    )
    SELECT count(*)::integer FROM recorded
$$;
COMMENT ON FUNCTION watch.record_connections(timestamptz) IS 'Brings watch.camera_connection in line with the register at a moment; how many cameras had changed.';

CREATE FUNCTION watch.camera_connected() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    is_connected constant boolean :=
        NEW.snapshot_url IS NOT NULL AND NEW.enabled AND (NEW.retired_on IS NULL OR NEW.retired_on > now());
BEGIN
    IF is_connected OR TG_OP = 'UPDATE' THEN
        PERFORM watch.record_connection(
            NEW.id, CASE WHEN is_connected THEN NEW.period_s END, CASE WHEN is_connected THEN NEW.night_period_s END, now()
        );
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER camera_connection_follows
AFTER INSERT OR UPDATE OF snapshot_url, enabled, retired_on, period_s, night_period_s ON registry.camera
FOR EACH ROW EXECUTE FUNCTION watch.camera_connected();
INSERT INTO watch.camera_connection (camera_id, since, period_s, night_period_s)
SELECT c.id, r.began_at, c.period_s, c.night_period_s
FROM registry.camera AS c
CROSS JOIN watch.connection_record AS r
WHERE c.is_connected AND c.enabled AND (c.retired_on IS NULL OR c.retired_on > now());

-- Counters of ended hours rebuilt from the looks themselves, where all of them are still kept (their day's partition
-- stands); elsewhere is_known is false and nothing is touched. Due times without a look (not_scanned) left no look behind:
-- that count stays as the watch made it. Holds back the watch's writing meanwhile.
CREATE FUNCTION watch.recount_hours(since timestamptz, until timestamptz) RETURNS TABLE (
    hour timestamptz, is_known boolean, cameras integer, changed integer, changes jsonb
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    at timestamptz;
BEGIN
    IF since IS NULL OR until IS NULL OR until < since THEN
        RAISE EXCEPTION '时段不合规：起 %，止 % / no span of time: from %, to %', since, until, since, until
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    LOCK TABLE watch.observation_hour IN SHARE ROW EXCLUSIVE MODE;
    FOR at IN
        SELECT h FROM generate_series(date_trunc('hour', since), until - interval '1 hour', interval '1 hour') AS h WHERE h >= since
    LOOP
        hour := at;
        changes := '[]';
        is_known := to_regclass('watch.observation_' || to_char(at AT TIME ZONE 'UTC', 'YYYYMMDD')) IS NOT NULL;
        IF NOT is_known THEN
            SELECT count(*) INTO cameras FROM watch.observation_hour AS o WHERE o.hour = at;
            changed := 0;
            RETURN NEXT;
            CONTINUE;
        END IF;
        WITH look AS (
            SELECT o.camera_id, o.reason, count(*)::integer AS n
            FROM watch.observation AS o
            WHERE o.captured_at >= at AND o.captured_at < at + interval '1 hour'
            GROUP BY o.camera_id, o.reason
        ),
        looked AS (
            SELECT
                l.camera_id,
                coalesce(sum(l.n) FILTER (WHERE l.reason IS NULL), 0)::integer AS observed,
                coalesce(sum(l.n) FILTER (WHERE l.reason IS NOT NULL), 0)::integer AS unobserved,
                coalesce(jsonb_object_agg(l.reason, l.n) FILTER (WHERE l.reason IS NOT NULL), '{}') AS reasons
            FROM look AS l
            GROUP BY l.camera_id
        ),
        before AS (
            SELECT o.*, coalesce((o.reasons ->> 'not_scanned')::integer, 0) AS not_scanned
            FROM watch.observation_hour AS o
            WHERE o.hour = at
        ),
        recounted AS (
            SELECT
                coalesce(l.camera_id, b.camera_id) AS camera_id,
                coalesce(l.observed, 0) AS observed,
                coalesce(l.unobserved, 0) + coalesce(b.not_scanned, 0) AS unobserved,
                coalesce(l.reasons, '{}')
                || CASE WHEN b.not_scanned > 0 THEN jsonb_build_object('not_scanned', b.not_scanned) ELSE '{}' END AS reasons,
                CASE
                    WHEN b.camera_id IS NOT NULL
                        THEN jsonb_build_object('observed', b.observed, 'unobserved', b.unobserved, 'reasons', b.reasons)
                END AS was
            FROM looked AS l
            FULL JOIN before AS b ON b.camera_id = l.camera_id
        ),
        differing AS (
            SELECT r.* FROM recounted AS r
            WHERE r.was IS DISTINCT FROM
                jsonb_build_object('observed', r.observed, 'unobserved', r.unobserved, 'reasons', r.reasons)
        ),
        written AS (
            INSERT INTO watch.observation_hour AS o (camera_id, hour, due, observed, unobserved, reasons)
            SELECT d.camera_id, at, d.observed + d.unobserved, d.observed, d.unobserved, d.reasons FROM differing AS d
            ON CONFLICT (camera_id, hour) DO UPDATE SET
                due = EXCLUDED.due, observed = EXCLUDED.observed, unobserved = EXCLUDED.unobserved, reasons = EXCLUDED.reasons
            RETURNING o.camera_id
        )
        SELECT
            (SELECT count(*) FROM recounted),
            (SELECT count(*) FROM written),
            coalesce(
                (
                    SELECT jsonb_agg(
                        jsonb_build_object(
                            'camera_id', d.camera_id,
                            'was', d.was,
                            'is', jsonb_build_object('observed', d.observed, 'unobserved', d.unobserved, 'reasons', d.reasons)
                        ) ORDER BY d.camera_id
                    )
                    FROM differing AS d
                ),
                '[]'
            )
        INTO cameras, changed, changes;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION watch.recount_hours(timestamptz, timestamptz) IS 'Rebuilds the counters of the whole hours between two moments from the looks; per hour whether the looks are still kept (is_known), its cameras, and what differed. A second call changes nothing.';

-- Months that ended before the policy's limit (analysis.parameter ledger_years), dropped whole and written into the audit.
CREATE FUNCTION watch.forget_hours(moment timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    years double precision;
    before timestamptz;
    part record;
    rows bigint;
    dropped integer := 0;
BEGIN
    SELECT p.value INTO years FROM analysis.parameter AS p WHERE p.name = 'ledger_years';
    IF years IS NULL OR years < 1 THEN
        RAISE EXCEPTION 'analysis.parameter 的 ledger_years 缺失或小于 1，什么也没有删除 / ledger_years is missing or below 1: nothing was dropped';
    END IF;
    before := moment - make_interval(months => (years * 12)::integer);
    FOR part IN
        SELECT c.relname
        FROM pg_inherits AS h
        JOIN pg_class AS c ON c.oid = h.inhrelid
        WHERE h.inhparent = 'watch.observation_hour'::regclass
            AND c.relname ~ '^observation_hour_[0-9]{6}$'
            AND (to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month') AT TIME ZONE 'UTC' <= before
        ORDER BY c.relname
    LOOP
        EXECUTE format('SELECT count(*) FROM watch.%I', part.relname) INTO rows;
        EXECUTE format('DROP TABLE watch.%I', part.relname);
        PERFORM access.write_record(
            'delete', 'watch.observation_hour', right(part.relname, 6), NULL, 'ledger_years',
            jsonb_build_object('rows', rows, 'years', years, 'before', before), true, NULL, NULL
        );
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM watch.observation_hour_default AS o WHERE o.hour < before - interval '1 month';
    GET DIAGNOSTICS rows = ROW_COUNT;
    IF rows > 0 THEN
        PERFORM access.write_record(
            'delete', 'watch.observation_hour', 'default', NULL, 'ledger_years',
            jsonb_build_object('rows', rows, 'years', years, 'before', before), true, NULL, NULL
        );
    END IF;
    -- What is forgotten is not known: the record begins later now.
    DELETE FROM watch.camera_connection AS k WHERE k.until < before - interval '1 month';
    UPDATE watch.connection_record AS r SET began_at = before - interval '1 month' WHERE r.began_at < before - interval '1 month';
    RETURN dropped;
END $$;
COMMENT ON FUNCTION watch.forget_hours(timestamptz) IS 'Drops the months of watch.observation_hour that ended more than ledger_years before a moment, with a record in the audit; how many.';
