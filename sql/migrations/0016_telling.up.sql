-- Who is told of changes besides open maps, and what became of each telling.
ALTER TABLE watch.outbox ADD COLUMN planned_at timestamptz;
UPDATE watch.outbox SET planned_at = created_at;
CREATE INDEX outbox_unplanned_idx ON watch.outbox (id) WHERE planned_at IS NULL;
COMMENT ON COLUMN watch.outbox.planned_at IS 'When it was decided which receivers are told; NULL = not yet.';

CREATE TABLE watch.receiver (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_.-]{0,39}$'),
    kind text NOT NULL CHECK (kind IN ('webhook', 'wecom', 'dingtalk', 'mqtt', 'email')),
    address text NOT NULL,
    recipients text[] NOT NULL DEFAULT '{}',
    sender text,
    language text NOT NULL DEFAULT 'zh' CHECK (language IN ('zh', 'en')),
    topics text[] NOT NULL DEFAULT '{incident}',
    classes text[],
    transitions text[],
    towns text[],
    min_score double precision NOT NULL DEFAULT 0 CHECK (min_score BETWEEN 0 AND 1),
    only_confirmed boolean NOT NULL DEFAULT false,
    cooldown_s double precision NOT NULL DEFAULT 300 CHECK (cooldown_s >= 0),
    quiet_from time,
    quiet_to time,
    quiet_passes text[] NOT NULL DEFAULT '{fire}',
    per_minute integer NOT NULL CHECK (per_minute > 0),
    give_up_after_s double precision NOT NULL DEFAULT 21600 CHECK (give_up_after_s > 0),
    added_at timestamptz NOT NULL,
    added_by text NOT NULL,
    paused_at timestamptz,
    paused_by text,
    removed_at timestamptz,
    removed_by text,
    next_try_at timestamptz NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    last_answer text,
    last_told_at timestamptz,
    tokens double precision NOT NULL DEFAULT 0,
    tokens_at timestamptz NOT NULL,
    lease_owner text,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0,
    CHECK ((quiet_from IS NULL) = (quiet_to IS NULL)),
    CHECK ((paused_at IS NULL) = (paused_by IS NULL)),
    CHECK ((removed_at IS NULL) = (removed_by IS NULL)),
    CHECK ((failing_since IS NULL) = (failures = 0)),
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
);
CREATE UNIQUE INDEX receiver_name_idx ON watch.receiver (name) WHERE removed_at IS NULL;
COMMENT ON TABLE watch.receiver IS 'Who is told of changes besides open maps. A process that holds the lease tells it; every claim raises the token, and an older token writes nothing.';
COMMENT ON COLUMN watch.receiver.address IS 'Where to, as people may see it: tokens, accounts and passwords are sealed in access.secret (receiver, id, field).';
COMMENT ON COLUMN watch.receiver.classes IS 'NULL = all; so are transitions and towns.';
COMMENT ON COLUMN watch.receiver.quiet_from IS 'Quiet hours by the city''s clock: what comes then waits for their end (quiet_to), but for classes in quiet_passes.';

-- Who is told is a matter of privacy: who added, paused or removed whom is in the audit. Leases and pace are no change of it.
CREATE TRIGGER audit_change AFTER INSERT OR DELETE OR UPDATE OF name, kind, address, recipients, sender, topics, classes, transitions,
    towns, min_score, only_confirmed, paused_at, removed_at ON watch.receiver
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id');

CREATE TABLE watch.delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    receiver_id bigint NOT NULL REFERENCES watch.receiver (id),
    outbox_id bigint,
    message_key uuid NOT NULL UNIQUE,
    topic text NOT NULL,
    subject text NOT NULL,
    transition text NOT NULL,
    class text,
    incident_id uuid,
    camera_id bigint,
    payload jsonb NOT NULL DEFAULT '{}',
    happened_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'joined', 'given_up', 'refused')),
    joined_into bigint REFERENCES watch.delivery (id),
    waits_for text CHECK (waits_for IN ('cooldown', 'quiet_hours', 'earlier', 'retry')),
    next_try_at timestamptz NOT NULL,
    due_since timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    first_tried_at timestamptz,
    last_tried_at timestamptz,
    last_answer text,
    delivered_at timestamptz,
    UNIQUE (receiver_id, outbox_id),
    CHECK ((state = 'joined') = (joined_into IS NOT NULL)),
    CHECK ((state = 'delivered') = (delivered_at IS NOT NULL)),
    CHECK (waits_for IS NULL OR state = 'waiting')
);
CREATE INDEX delivery_waiting_idx ON watch.delivery (receiver_id, next_try_at) WHERE state = 'waiting';
CREATE INDEX delivery_due_since_idx ON watch.delivery (due_since) WHERE state = 'waiting';
CREATE INDEX delivery_subject_idx ON watch.delivery (receiver_id, subject);
CREATE INDEX delivery_joined_idx ON watch.delivery (joined_into) WHERE joined_into IS NOT NULL;
CREATE INDEX delivery_incident_idx ON watch.delivery (incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX delivery_happened_idx ON watch.delivery (happened_at);
COMMENT ON TABLE watch.delivery IS 'One row per change and receiver. A message tells of one row and of those that were joined into it; its key stays the same however often it is sent.';
COMMENT ON COLUMN watch.delivery.subject IS 'What messages are joined by: incident:<id>, or cameras.';
COMMENT ON COLUMN watch.delivery.due_since IS 'Since when it may be told: given up some time after this.';

-- What a message says of an incident: place, state, permit, and who answers with a phone. The teller itself may read neither
-- firms nor people.
CREATE FUNCTION watch.told_incident(incident uuid, moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    told jsonb;
    day date := analysis.city_date(moment);
BEGIN
    WITH event AS (
        SELECT i.*, coalesce(i.site_id, a.site_id) AS its_site_id, a.name_zh AS area_zh, a.name_en AS area_en
        FROM watch.incident AS i
        LEFT JOIN registry.key_risk_area AS a ON a.id = i.key_risk_area_id
        WHERE i.id = incident
    ),
    -- Nearest first: the cell's own people, then the department that leads, then the town's.
    answering AS (
        SELECT 1 AS place, 'worker' AS role, c.name_zh AS where_zh, '' AS where_en, p.name_zh, p.phone
        FROM event AS e
        JOIN territory.grid_cell AS c ON c.code = e.cell_code
        JOIN duty.grid_staff AS s ON s.cell_code = e.cell_code
        JOIN duty.person AS p ON p.id = s.person_id
        WHERE s.role = 'worker' AND s.assigned_from <= day AND (s.assigned_to IS NULL OR s.assigned_to > day)
        UNION ALL
        SELECT 2, 'chief', c.name_zh, '', p.name_zh, p.phone
        FROM event AS e
        JOIN territory.grid_cell AS c ON c.code = e.cell_code
        JOIN duty.grid_staff AS s ON s.cell_code = e.cell_code
        JOIN duty.person AS p ON p.id = s.person_id
        WHERE s.role = 'chief' AND s.assigned_from <= day AND (s.assigned_to IS NULL OR s.assigned_to > day)
        UNION ALL
        SELECT 3, 'lead', l.lead_zh, coalesce(l.lead_en, ''), coalesce(l.person_name, ''), l.person_phone
        FROM event AS e
        JOIN registry.site AS s ON s.id = e.its_site_id
        JOIN analysis.duty_lead_at(moment) AS l ON l.unit_code = s.town_code AND l.rule_code = s.rule_code
        WHERE l.lead_count = 1
        UNION ALL
        SELECT 4, u.role, t.name_zh, t.name_en, p.name_zh, p.phone
        FROM event AS e
        JOIN duty.unit_staff AS u ON u.unit_code = e.town_code
        JOIN territory.unit AS t ON t.code = u.unit_code
        JOIN duty.person AS p ON p.id = u.person_id
        WHERE u.assigned_from <= day AND (u.assigned_to IS NULL OR u.assigned_to > day)
    )
    SELECT jsonb_build_object(
        'id', e.id, 'incident_no', e.incident_no, 'class', e.class, 'state', e.state, 'review', e.review,
        'first_seen_at', e.first_seen_at, 'last_seen_at', e.last_seen_at, 'opened_at', e.opened_at, 'closed_at', e.closed_at,
        'peak_score', e.peak_score, 'camera_zh', k.name_zh, 'gb_id', k.gb_id,
        'site_zh', s.name_zh, 'key_risk_area_zh', e.area_zh, 'key_risk_area_en', nullif(e.area_en, ''),
        'town_code', e.town_code, 'town_zh', t.name_zh, 'town_en', nullif(t.name_en, ''),
        'community_zh', m.name_zh, 'community_en', nullif(m.name_en, ''),
        'cell_code', e.cell_code, 'cell_no', c.cell_no, 'cell_zh', nullif(c.name_zh, ''),
        'lon', round(ST_X(ST_Transform(e.geom, 4326))::numeric, 6), 'lat', round(ST_Y(ST_Transform(e.geom, 4326))::numeric, 6),
        'error_m', round(e.semi_major_m::numeric, 1),
        'permit_no', p.permit_no, 'permit_ends_at', p.ends_at, 'is_generated', e.is_generated,
        'timezone', (SELECT y.timezone FROM territory.city AS y),
        'answering', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'role', w.role, 'where_zh', w.where_zh, 'where_en', w.where_en, 'name_zh', w.name_zh, 'phone', w.phone
            ) ORDER BY w.place, w.name_zh)
            FROM answering AS w
        ), '[]')
    )
    INTO told
    FROM event AS e
    LEFT JOIN registry.camera AS k ON k.id = e.camera_id
    LEFT JOIN registry.site AS s ON s.id = e.its_site_id
    LEFT JOIN territory.unit AS t ON t.code = e.town_code
    LEFT JOIN territory.grid_cell AS c ON c.code = e.cell_code
    LEFT JOIN territory.unit AS m ON m.code = left(e.cell_code, 12)
    LEFT JOIN registry.hot_work_permit AS p ON p.id = e.permit_id;
    RETURN told;
END $$;
COMMENT ON FUNCTION watch.told_incident(uuid, timestamptz) IS '推送内容：一起事件的地点、状态、许可与责任人电话; what a message says of an incident. lon, lat in WGS84 degrees, error_m metres.';

-- With what waits to be told and what nobody took; all else as before.
CREATE OR REPLACE FUNCTION access.metrics() RETURNS TABLE (name text, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'incidents_open', count(*)::double precision FROM analysis.event AS e WHERE e.state <> 'closed'
    UNION ALL SELECT 'incidents_unreviewed', count(*) FROM analysis.event AS e WHERE e.review = 'unreviewed'
    UNION ALL SELECT 'cameras_observed', count(*) FROM watch.camera_health AS h WHERE h.observed
    UNION ALL SELECT 'cameras_unobserved', count(*) FROM watch.camera_health AS h WHERE NOT h.observed
    UNION ALL SELECT 'cameras_due_total', count(*) FROM watch.scan_due AS d
    UNION ALL SELECT 'scan_delay_seconds', extract(epoch FROM now() - min(d.next_due_at)) FROM watch.scan_due AS d WHERE d.next_due_at < now()
    UNION ALL SELECT 'open_sessions', count(*) FROM access.session AS s WHERE s.ended_at IS NULL AND s.idle_until > now() AND s.expires_at > now()
    UNION ALL SELECT 'feeds_total', count(*) FROM staging.feed AS f WHERE f.paused_at IS NULL
    UNION ALL SELECT 'feeds_failing', count(*) FROM staging.feed AS f WHERE f.paused_at IS NULL AND f.failures > 0
    UNION ALL SELECT 'feeds_late', count(*) FROM analysis.import_feed AS f WHERE f.is_late
    UNION ALL SELECT 'feed_oldest_age_seconds', extract(epoch FROM now() - min(coalesce(f.last_success_at, f.added_at))) FROM staging.feed AS f
    UNION ALL SELECT 'deliveries_waiting', count(*) FROM watch.delivery AS d WHERE d.state = 'waiting'
    UNION ALL SELECT 'delivery_oldest_waiting_seconds', extract(epoch FROM now() - min(d.due_since)) FROM watch.delivery AS d WHERE d.state = 'waiting' AND d.due_since < now()
    UNION ALL SELECT 'deliveries_not_taken_day', count(*) FROM watch.delivery AS d WHERE d.state IN ('given_up', 'refused') AND d.happened_at > now() - interval '1 day'
    UNION ALL SELECT 'receivers_failing', count(*) FROM watch.receiver AS r WHERE r.removed_at IS NULL AND r.failures > 0;
END $$;
