-- Each scheduled import, and how old what it brought is. The state never says ok of data that are older than they should be.
CREATE FUNCTION analysis.import_feed_at(moment timestamptz) RETURNS TABLE (
    name text, source text, every text, state text, last_success_at timestamptz, age interval, last_changed_at timestamptz,
    last_tried_at timestamptz, last_message text, failing_since timestamptz, failures integer, next_due_at timestamptz, is_late boolean
) LANGUAGE sql STABLE AS $$
    SELECT
        f.name, f.source, f.every,
        CASE
            WHEN f.paused_at IS NOT NULL THEN 'paused'
            WHEN f.lease_until >= moment THEN 'running'
            WHEN f.failures > 0 THEN f.last_outcome
            -- Nobody came to fetch it: no scheduler runs.
            WHEN f.next_due_at < moment - interval '5 minutes' THEN 'overdue'
            WHEN f.last_outcome = 'waiting' THEN 'waiting'
            -- A person took back what it brought last; the same content is not brought again by itself.
            WHEN EXISTS (
                SELECT FROM staging.batch AS b WHERE b.load_id = f.last_load_id AND b.rolled_back_at IS NOT NULL
            ) THEN 'taken_back'
            WHEN f.last_success_at IS NULL THEN 'never'
            WHEN t.is_late THEN 'late'
            ELSE 'ok'
        END,
        f.last_success_at, moment - f.last_success_at, f.last_changed_at, f.last_tried_at, f.last_message, f.failing_since,
        f.failures, CASE WHEN f.paused_at IS NULL THEN f.next_due_at END, t.is_late
    FROM staging.feed AS f
    CROSS JOIN LATERAL (
        SELECT moment - coalesce(f.last_success_at, f.added_at) > make_interval(secs => f.late_after_s) AS is_late
    ) AS t
$$;
CREATE VIEW analysis.import_feed AS SELECT * FROM analysis.import_feed_at(now());
COMMENT ON VIEW analysis.import_feed IS '定时导入：来源、周期、上次成功、数据年龄、上次结果; scheduled imports with the age of what they brought. For admins.';
COMMENT ON COLUMN analysis.import_feed.state IS 'ok | running | late | overdue (no scheduler came) | waiting (a file is being written) | suspicious | failed | taken_back | never | paused.';
COMMENT ON COLUMN analysis.import_feed.age IS 'Since what is stored was last known to be what the source holds; NULL = never.';
COMMENT ON COLUMN analysis.import_feed.is_late IS 'Older than two periods (daily: 26 hours), whatever the state.';
