-- Changes that nobody has planned yet, oldest first: a delivery for each receiver that wants to hear of it.
WITH notice AS (
    SELECT o.*
    FROM watch.outbox AS o
    WHERE o.planned_at IS NULL
    ORDER BY o.id
    LIMIT %(most)s
    FOR UPDATE SKIP LOCKED
),
change AS (
    SELECT
        n.id, n.topic, n.dedupe_key, n.payload, n.created_at, n.incident_id, n.camera_id,
        CASE
            WHEN n.topic = 'camera_health' AND (n.payload ->> 'observed')::boolean THEN 'observed'
            WHEN n.topic = 'camera_health' THEN 'unobserved'
            ELSE coalesce(n.payload ->> 'transition', n.topic)
        END AS transition,
        CASE WHEN n.topic = 'incident' THEN n.payload ->> 'class' END AS class,
        CASE WHEN n.topic = 'incident' THEN 'incident:' || n.incident_id WHEN n.topic = 'camera_health' THEN 'cameras'
            ELSE n.topic || ':' || n.id END AS subject,
        i.peak_score,
        i.review,
        i.mode,
        ARRAY[i.town_code, i.site_town_code, c.town_code] AS towns
    FROM notice AS n
    LEFT JOIN watch.incident AS i ON i.id = n.incident_id
    LEFT JOIN registry.camera AS c ON c.id = n.camera_id
),
wanted AS (
    INSERT INTO watch.delivery (
        receiver_id, outbox_id, message_key, topic, subject, transition, class, incident_id, camera_id, payload,
        happened_at, next_try_at, due_since
    )
    SELECT
        r.id, h.id, md5(r.id || ':' || h.dedupe_key)::uuid, h.topic, h.subject, h.transition, h.class, h.incident_id,
        h.camera_id, h.payload, h.created_at, %(at)s, %(at)s
    FROM change AS h
    JOIN watch.receiver AS r ON r.removed_at IS NULL
        AND r.added_at <= h.created_at
        AND h.topic = ANY (r.topics)
        -- A shadow incident that somebody reviewed is still a matter of those who tune the watch.
        AND h.mode IS DISTINCT FROM 'shadow'
        AND (h.class IS NULL OR r.classes IS NULL OR h.class = ANY (r.classes))
        -- Who hears of confirmed ones only must hear of the confirmation, whatever else is wanted.
        AND (
            r.transitions IS NULL OR h.transition = ANY (r.transitions)
            OR (r.only_confirmed AND h.transition = 'reviewed')
        )
        AND (r.towns IS NULL OR r.towns && h.towns)
        AND (h.topic <> 'incident' OR coalesce(h.peak_score, 0) >= r.min_score)
        AND (h.topic <> 'incident' OR NOT r.only_confirmed OR h.review = 'confirmed')
    ORDER BY h.id, r.id
    ON CONFLICT DO NOTHING
    RETURNING id
),
planned AS (
    UPDATE watch.outbox AS o SET planned_at = %(at)s FROM notice AS n WHERE o.id = n.id RETURNING o.id
)
SELECT (SELECT count(*) FROM planned) AS planned, (SELECT count(*) FROM wanted) AS wanted;
