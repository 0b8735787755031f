-- Receivers with all that is set for them and their state; of the secrets only which there are.
SELECT
    a.*, r.address, r.recipients, r.sender, r.language, r.topics, r.classes, r.transitions, r.towns, r.min_score, r.only_confirmed,
    r.cooldown_s, r.quiet_from, r.quiet_to, r.quiet_passes, r.per_minute, r.give_up_after_s, r.added_at, r.added_by, r.paused_at,
    r.paused_by,
    ARRAY(SELECT u.name_zh FROM territory.unit AS u WHERE u.code = ANY (r.towns) ORDER BY u.code) AS towns_zh,
    ARRAY(SELECT coalesce(nullif(u.name_en, ''), u.name_zh) FROM territory.unit AS u WHERE u.code = ANY (r.towns) ORDER BY u.code) AS towns_en,
    ARRAY(
        SELECT s.field FROM access.secret AS s WHERE s.subject_kind = 'receiver' AND s.subject_id = r.id::text ORDER BY s.field
    ) AS secrets
FROM analysis.receiver_at(%(at)s) AS a
JOIN watch.receiver AS r ON r.id = a.receiver_id
ORDER BY a.receiver;
