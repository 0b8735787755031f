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
