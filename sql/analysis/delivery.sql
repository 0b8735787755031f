-- needs: event
-- Who was told what and when. A change that was joined into another's message has that message's outcome.
CREATE VIEW analysis.delivery AS
SELECT
    d.id, r.name AS receiver, r.kind, d.topic, d.transition, d.class, d.incident_id, e.incident_no, e.site_name_zh, e.town_code,
    d.camera_id, d.happened_at,
    CASE WHEN d.state = 'joined' THEN h.state ELSE d.state END AS state,
    d.joined_into,
    coalesce(h.message_key, d.message_key) AS message_key,
    coalesce(h.waits_for, d.waits_for) AS waits_for,
    coalesce(h.next_try_at, d.next_try_at) AS next_try_at,
    coalesce(h.attempts, d.attempts) AS attempts,
    coalesce(h.delivered_at, d.delivered_at) AS delivered_at,
    extract(epoch FROM coalesce(h.delivered_at, d.delivered_at) - d.happened_at)::double precision AS took_s,
    extract(epoch FROM coalesce(h.delivered_at, d.delivered_at) - e.first_seen_at)::double precision AS first_hit_to_told_s,
    coalesce(h.last_answer, d.last_answer) AS last_answer
FROM watch.delivery AS d
JOIN watch.receiver AS r ON r.id = d.receiver_id
LEFT JOIN watch.delivery AS h ON h.id = d.joined_into
LEFT JOIN analysis.event AS e ON e.id = d.incident_id;
COMMENT ON VIEW analysis.delivery IS '推送记录：何事、何时、告知何方、结果与用时; who was told of which change, when, with what outcome and how long it took.';
COMMENT ON COLUMN analysis.delivery.state IS 'waiting | delivered | refused (the receiver will not take it) | given_up (nobody took it for too long).';
COMMENT ON COLUMN analysis.delivery.waits_for IS 'cooldown | quiet_hours | earlier (a message about the same is on its way) | retry; NULL = due, or settled.';
COMMENT ON COLUMN analysis.delivery.took_s IS 'Seconds from the change to the receiver''s answer.';
COMMENT ON COLUMN analysis.delivery.first_hit_to_told_s IS 'Seconds from the first look that saw the incident to the receiver''s answer.';

-- Receivers with their state and what waits for them; addresses are read by admins only.
CREATE FUNCTION analysis.receiver_at(moment timestamptz) RETURNS TABLE (
    receiver_id bigint, receiver text, kind text, state text, waiting bigint, waiting_since timestamptz, overdue_s double precision,
    delivered_day bigint, not_taken_day bigint, last_told_at timestamptz, failing_since timestamptz, failures integer,
    next_try_at timestamptz, last_answer text, tested_at timestamptz, test_state text, test_answer text
) LANGUAGE sql STABLE AS $$
    SELECT
        r.id, r.name, r.kind,
        CASE
            WHEN r.paused_at IS NOT NULL THEN 'paused' WHEN r.failures > 0 THEN 'failing' WHEN r.last_told_at IS NULL THEN 'never'
            ELSE 'ok'
        END,
        w.waiting, w.since,
        -- Something is due, nothing forbids it, and nobody has taken it up: seconds. NULL = nothing is late.
        CASE
            WHEN r.paused_at IS NULL AND (r.lease_until IS NULL OR r.lease_until < moment)
                AND greatest(w.due_at, r.next_try_at) < moment
                THEN extract(epoch FROM moment - greatest(w.due_at, r.next_try_at))::double precision
        END,
        y.delivered, y.not_taken, r.last_told_at, r.failing_since, r.failures,
        CASE WHEN w.waiting > 0 THEN greatest(w.due_at, r.next_try_at) END,
        r.last_answer, t.happened_at, t.state, t.last_answer
    FROM watch.receiver AS r
    CROSS JOIN LATERAL (
        SELECT count(*) AS waiting, min(d.happened_at) AS since, min(d.next_try_at) AS due_at
        FROM watch.delivery AS d
        WHERE d.receiver_id = r.id AND d.state = 'waiting'
    ) AS w
    CROSS JOIN LATERAL (
        SELECT
            count(*) FILTER (WHERE d.state = 'delivered') AS delivered,
            count(*) FILTER (WHERE d.state IN ('refused', 'given_up')) AS not_taken
        FROM watch.delivery AS d
        WHERE d.receiver_id = r.id AND d.happened_at > moment - interval '1 day' AND d.topic <> 'test'
    ) AS y
    LEFT JOIN LATERAL (
        SELECT d.happened_at, d.state, d.last_answer
        FROM watch.delivery AS d
        WHERE d.receiver_id = r.id AND d.subject >= 'test' AND d.subject < 'tesu'
        ORDER BY d.happened_at DESC
        LIMIT 1
    ) AS t ON true
    WHERE r.removed_at IS NULL
$$;
COMMENT ON FUNCTION analysis.receiver_at(timestamptz) IS '推送接收方：状态、等待、最近一天结果、最近一次测试; receivers with their state, what waits, the last day and the last test.';
CREATE VIEW analysis.receiver AS SELECT * FROM analysis.receiver_at(now());
COMMENT ON VIEW analysis.receiver IS '推送接收方当前状态; receivers as of now.';
