-- Cameras now held by this process for one scan each: due, not held by another, key risk areas first, then the latest.
-- Every claim raises the token; a completion with an older token writes nothing.
WITH due AS (
    SELECT d.camera_id
    FROM watch.scan_due AS d
    WHERE d.next_due_at <= %(at)s::timestamptz
        AND (d.lease_until IS NULL OR d.lease_until < %(at)s::timestamptz)
        AND (d.is_priority OR NOT %(priority_only)s)
        AND (
            %(only)s::text[] IS NULL
            OR d.camera_id IN (SELECT c.id FROM registry.camera AS c WHERE c.gb_id = ANY(%(only)s::text[]))
        )
    ORDER BY d.is_priority DESC, d.next_due_at
    LIMIT %(batch)s
    FOR UPDATE SKIP LOCKED
),
held AS (
    UPDATE watch.scan_due AS d
    SET
        lease_owner = %(owner)s,
        lease_until = %(at)s::timestamptz + make_interval(secs => %(lease_s)s),
        lease_token = d.lease_token + 1,
        attempts = d.attempts + 1
    FROM due
    WHERE d.camera_id = due.camera_id
    RETURNING d.*
)
SELECT
    h.lease_token,
    h.lease_until,
    h.burst_left,
    h.attempts,
    h.is_priority,
    extract(epoch FROM %(at)s::timestamptz - h.next_due_at)::double precision AS lag_s,
    c.id,
    c.gb_id,
    c.name_zh,
    c.snapshot_url,
    CASE WHEN %(is_night)s THEN coalesce(c.night_period_s, c.period_s) ELSE c.period_s END AS period_s,
    c.height_m,
    c.azimuth_deg,
    c.tilt_deg,
    c.hfov_deg,
    c.width_px,
    c.height_px,
    c.max_range_m,
    ST_X(c.geom) AS x,
    ST_Y(c.geom) AS y,
    ST_SRID(c.geom) AS srid,
    u.key_id AS username_key,
    u.sealed AS username_sealed,
    p.key_id AS password_key,
    p.sealed AS password_sealed,
    -- What is kept of its earlier pictures, whichever process looked at them.
    k.picture,
    k.notes
FROM held AS h
JOIN registry.camera AS c ON c.id = h.camera_id
LEFT JOIN access.secret AS u ON u.subject_kind = 'camera' AND u.subject_id = c.gb_id AND u.field = 'username'
LEFT JOIN access.secret AS p ON p.subject_kind = 'camera' AND p.subject_id = c.gb_id AND p.field = 'password'
LEFT JOIN watch.camera_health AS k ON k.camera_id = h.camera_id
WHERE c.snapshot_url IS NOT NULL
ORDER BY h.is_priority DESC, h.next_due_at;
