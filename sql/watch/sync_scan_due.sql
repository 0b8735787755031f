-- Brings watch.scan_due in line with the register: one row for every connected camera, none for the others.
-- A new camera is due at a moment of its own within its period, so that a start is not a stampede.
WITH connected AS (
    SELECT c.id, c.period_s, c.site_id, c.sector
    FROM registry.camera AS c
    WHERE c.snapshot_url IS NOT NULL
        AND c.enabled
        AND coalesce(c.installed_on <= (SELECT analysis.city_date(%(at)s::timestamptz)), true)
        AND coalesce(c.retired_on > (SELECT analysis.city_date(%(at)s::timestamptz)), true)
),
-- A camera that sees or serves a key risk area is never made to wait for others.
ranked AS (
    SELECT
        c.id,
        c.period_s,
        -- Two questions, not one with OR: each can use its index.
        EXISTS (
            SELECT FROM registry.key_risk_area AS a WHERE a.status = 'active' AND a.site_id = c.site_id
        ) OR EXISTS (
            SELECT FROM registry.key_risk_area AS a WHERE a.status = 'active' AND ST_Intersects(a.geom, c.sector)
        ) AS is_priority
    FROM connected AS c
),
gone AS (
    DELETE FROM watch.scan_due AS d
    WHERE NOT EXISTS (SELECT FROM connected AS c WHERE c.id = d.camera_id)
    RETURNING d.camera_id
),
kept AS (
    INSERT INTO watch.scan_due AS d (camera_id, next_due_at, is_priority)
    SELECT
        r.id,
        %(at)s::timestamptz + make_interval(secs => r.period_s * ((r.id * 0.618034) %% 1.0)::double precision),
        r.is_priority
    FROM ranked AS r
    ON CONFLICT (camera_id) DO UPDATE SET is_priority = EXCLUDED.is_priority
    WHERE d.is_priority <> EXCLUDED.is_priority
    RETURNING d.camera_id
)
SELECT
    (SELECT count(*) FROM connected) AS connected,
    (SELECT count(*) FROM gone) AS gone,
    (SELECT count(*) FROM kept) AS changed;
