-- Receivers with what waits for them and how the last ones went. Addresses hold no secrets.
SELECT
    r.id, r.name, r.kind, r.address, r.recipients, r.language, r.topics, r.classes, r.transitions, r.towns, r.min_score,
    r.only_confirmed, r.cooldown_s, r.quiet_from, r.quiet_to, r.quiet_passes, r.per_minute, r.give_up_after_s, r.added_at,
    r.paused_at, r.paused_by, r.failures, r.failing_since, r.next_try_at, r.last_answer, r.last_told_at,
    CASE
        WHEN r.paused_at IS NOT NULL THEN 'paused' WHEN r.failures > 0 THEN 'failing' WHEN r.last_told_at IS NULL THEN 'never'
        ELSE 'ok'
    END AS state,
    d.waiting, d.oldest_s, d.delivered, d.refused, d.given_up
FROM watch.receiver AS r
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE w.state = 'waiting') AS waiting,
        extract(epoch FROM %(at)s::timestamptz - min(w.happened_at) FILTER (WHERE w.state = 'waiting'))::double precision AS oldest_s,
        count(*) FILTER (WHERE w.state = 'delivered') AS delivered,
        count(*) FILTER (WHERE w.state = 'refused') AS refused,
        count(*) FILTER (WHERE w.state = 'given_up') AS given_up
    FROM watch.delivery AS w
    WHERE w.receiver_id = r.id
) AS d
WHERE r.removed_at IS NULL
ORDER BY r.name;
