-- From looks to incidents: what each camera sees of an incident, modes of cameras, masks from false alarms, boxes set aside.

-- Votes are counted here, not over watch.observation, whose days are dropped.
CREATE TABLE watch.incident_camera (
    incident_id uuid NOT NULL REFERENCES watch.incident (id) ON DELETE CASCADE,
    camera_id bigint NOT NULL REFERENCES registry.camera (id),
    box double precision[] NOT NULL CHECK (array_length(box, 1) = 4),
    looks boolean[] NOT NULL CHECK (cardinality(looks) >= 1),
    looked_at timestamptz[] NOT NULL CHECK (cardinality(looked_at) = cardinality(looks)),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    peak_score double precision NOT NULL CHECK (peak_score BETWEEN 0 AND 1),
    ended_at timestamptz,
    PRIMARY KEY (incident_id, camera_id)
);
CREATE INDEX incident_camera_live_idx ON watch.incident_camera (camera_id) WHERE ended_at IS NULL;
COMMENT ON TABLE watch.incident_camera IS 'What a camera sees of an incident. One that several cameras see goes quiet only when each of them that can be looked through shows it empty.';
COMMENT ON COLUMN watch.incident_camera.box IS 'x1, y1, x2, y2 in pixels: its extent over this camera''s latest looks.';
COMMENT ON COLUMN watch.incident_camera.looks IS 'Whether each usable look of this camera since its first showed it, newest first; as many as a decision can depend on. Looks that could not be done are not among them.';
COMMENT ON COLUMN watch.incident_camera.looked_at IS 'When each of looks was taken.';
COMMENT ON COLUMN watch.incident_camera.ended_at IS 'When the incident closed; NULL = it is live.';

-- Live ones near a hit are looked for among all that ever were.
CREATE INDEX incident_live_geom_idx ON watch.incident USING gist (geom) WHERE state <> 'closed';

INSERT INTO watch.incident_camera (incident_id, camera_id, box, looks, looked_at, first_seen_at, last_seen_at, peak_score, ended_at)
SELECT
    i.id, i.camera_id, i.box,
    coalesce(nullif(h.looks, '{}'), '{true}'), coalesce(nullif(h.looked_at, '{}'), ARRAY[i.last_seen_at]),
    i.first_seen_at, i.last_seen_at, i.peak_score,
    CASE WHEN i.state = 'closed' THEN coalesce(i.closed_at, i.last_seen_at) END
FROM watch.incident AS i
LEFT JOIN LATERAL (
    SELECT array_agg(n.is_seen ORDER BY n.captured_at DESC) AS looks, array_agg(n.captured_at ORDER BY n.captured_at DESC) AS looked_at
    FROM (
        SELECT
            o.captured_at,
            EXISTS (
                SELECT FROM watch.incident_observation AS s WHERE s.incident_id = i.id AND s.observation_id = o.id
            ) AS is_seen
        FROM watch.observation AS o
        WHERE o.camera_id = i.camera_id AND o.observed AND o.captured_at >= i.first_seen_at
        ORDER BY o.captured_at DESC
        LIMIT 12
    ) AS n
) AS h ON i.state <> 'closed';

-- Every incident has the camera that first saw it, whoever wrote it; an end is the same for all its cameras.
CREATE FUNCTION watch.incident_begun() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO watch.incident_camera (
        incident_id, camera_id, box, looks, looked_at, first_seen_at, last_seen_at, peak_score, ended_at
    )
    VALUES (
        NEW.id, NEW.camera_id, NEW.box, '{true}', ARRAY[NEW.last_seen_at], NEW.first_seen_at, NEW.last_seen_at, NEW.peak_score,
        CASE WHEN NEW.state = 'closed' THEN coalesce(NEW.closed_at, NEW.last_seen_at) END
    );
    RETURN NULL;
END $$;
CREATE TRIGGER incident_begun AFTER INSERT ON watch.incident
FOR EACH ROW EXECUTE FUNCTION watch.incident_begun();
CREATE FUNCTION watch.incident_ended() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE watch.incident_camera AS v
    SET ended_at = CASE WHEN NEW.state = 'closed' THEN coalesce(NEW.closed_at, NEW.last_seen_at) END
    WHERE v.incident_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER incident_ended AFTER UPDATE OF state ON watch.incident
FOR EACH ROW WHEN ((OLD.state = 'closed') IS DISTINCT FROM (NEW.state = 'closed'))
EXECUTE FUNCTION watch.incident_ended();

-- Modes. A shadow incident is told to nobody and is on no map; of measure only the boxes are counted.
ALTER TABLE watch.incident ADD COLUMN mode text NOT NULL DEFAULT 'alert' CHECK (mode IN ('shadow', 'alert'));
COMMENT ON COLUMN watch.incident.mode IS 'alert, or shadow: kept apart to be compared (analysis.shadow_event), told to nobody, on no map and in no figure.';
CREATE TABLE watch.camera_mode (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    camera_id bigint NOT NULL REFERENCES registry.camera (id) ON DELETE CASCADE,
    class text CHECK (class IN ('fire', 'smoke', 'welding_arc', 'sparks')),
    mode text NOT NULL CHECK (mode IN ('measure', 'shadow', 'alert', 'default')),
    reason text NOT NULL CHECK (length(reason) BETWEEN 2 AND 500),
    set_at timestamptz NOT NULL,
    set_by text NOT NULL
);
CREATE INDEX camera_mode_camera_idx ON watch.camera_mode (camera_id, id DESC);
COMMENT ON TABLE watch.camera_mode IS 'How a camera''s boxes of a class count: measure, shadow, alert, or default (as the watch''s settings say). Never changed: the newest row of a camera and class holds.';
COMMENT ON COLUMN watch.camera_mode.class IS 'NULL = every class; the newer of the two rows holds.';
-- Cameras that already told without a pose go on to: nothing falls silent because of an upgrade.
INSERT INTO watch.camera_mode (camera_id, class, mode, reason, set_at, set_by)
SELECT c.id, NULL, 'alert', 'before modes there were / 启用模式之前已在报警', now(), 'migration 0014'
FROM registry.camera AS c
WHERE c.snapshot_url IS NOT NULL
    AND (c.azimuth_deg IS NULL OR c.tilt_deg IS NULL OR c.hfov_deg IS NULL OR c.height_m IS NULL);

-- Masks: places of a picture that gave false alarms. A proposed one suppresses nothing.
CREATE TABLE watch.mask (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    camera_id bigint NOT NULL REFERENCES registry.camera (id) ON DELETE CASCADE,
    class text NOT NULL CHECK (class IN ('fire', 'smoke', 'welding_arc', 'sparks')),
    polygon jsonb NOT NULL CHECK (jsonb_typeof(polygon) = 'array' AND jsonb_array_length(polygon) >= 3),
    cause text NOT NULL,
    incident_id uuid REFERENCES watch.incident (id) ON DELETE SET NULL,
    state text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'active', 'refused', 'ended')),
    proposed_at timestamptz NOT NULL,
    proposed_by text NOT NULL,
    decided_at timestamptz,
    decided_by text,
    until timestamptz,
    suppressed bigint NOT NULL DEFAULT 0,
    last_suppressed_at timestamptz,
    UNIQUE (incident_id, camera_id, class),
    CHECK (state <> 'active' OR until IS NOT NULL),
    CHECK ((state = 'proposed') = (decided_at IS NULL))
);
CREATE INDEX mask_active_idx ON watch.mask (camera_id) WHERE state = 'active';
COMMENT ON TABLE watch.mask IS 'Places in a camera''s picture that gave false alarms. Active until `until`, never for ever; what it suppressed is counted here and in watch.set_aside_hour.';
COMMENT ON COLUMN watch.mask.polygon IS '[[x, y], …] in shares of the picture''s width and height, 0..1 from its upper left corner.';

CREATE TABLE watch.set_aside_hour (
    camera_id bigint NOT NULL REFERENCES registry.camera (id) ON DELETE CASCADE,
    hour timestamptz NOT NULL,
    class text NOT NULL CHECK (class IN ('fire', 'smoke', 'welding_arc', 'sparks')),
    why text NOT NULL CHECK (why IN ('measure', 'mask')),
    boxes integer NOT NULL,
    top_score double precision NOT NULL,
    PRIMARY KEY (camera_id, hour, class, why)
);
COMMENT ON TABLE watch.set_aside_hour IS 'Boxes over their threshold that concerned no incident, and why: the class is only measured there, or a mask lies over them.';

-- A false alarm by something that stays where it is proposes a mask from the boxes of its frames, one a camera.
CREATE FUNCTION watch.mask_proposed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- The cause came with the review desk; before it there was none.
    cause text := to_jsonb(NEW) ->> 'false_cause';
BEGIN
    IF NEW.review <> 'false' OR cause IS NULL OR cause NOT IN ('lamp_sun', 'reflection', 'lens', 'steam') THEN
        -- A review taken back takes back what nobody has decided yet.
        UPDATE watch.mask AS m
        SET state = 'refused', decided_at = clock_timestamp(), decided_by = coalesce(NEW.reviewed_by, '')
        WHERE m.incident_id = NEW.id AND m.state = 'proposed';
        RETURN NULL;
    END IF;
    INSERT INTO watch.mask (camera_id, class, polygon, cause, incident_id, proposed_at, proposed_by)
    SELECT
        b.camera_id, b.class,
        jsonb_build_array(
            jsonb_build_array(b.x1, b.y1), jsonb_build_array(b.x2, b.y1), jsonb_build_array(b.x2, b.y2), jsonb_build_array(b.x1, b.y2)
        ),
        cause, NEW.id, clock_timestamp(), coalesce(NEW.reviewed_by, '')
    FROM (
        -- A twentieth more on each side: boxes jitter.
        SELECT
            f.camera_id, f.class,
            greatest(round((min(f.x1) - 0.05 * (max(f.x2) - min(f.x1)))::numeric, 4), 0) AS x1,
            greatest(round((min(f.y1) - 0.05 * (max(f.y2) - min(f.y1)))::numeric, 4), 0) AS y1,
            least(round((max(f.x2) + 0.05 * (max(f.x2) - min(f.x1)))::numeric, 4), 1) AS x2,
            least(round((max(f.y2) + 0.05 * (max(f.y2) - min(f.y1)))::numeric, 4), 1) AS y2
        FROM (
            SELECT
                s.camera_id, d.value ->> 'class' AS class,
                (d.value #>> '{box,0}')::float8 / e.width_px AS x1, (d.value #>> '{box,1}')::float8 / e.height_px AS y1,
                (d.value #>> '{box,2}')::float8 / e.width_px AS x2, (d.value #>> '{box,3}')::float8 / e.height_px AS y2
            FROM watch.evidence AS e
            JOIN watch.incident_observation AS s ON s.incident_id = e.incident_id AND s.observation_id = e.observation_id
            CROSS JOIN LATERAL jsonb_array_elements(e.boxes) AS d (value)
            WHERE e.incident_id = NEW.id
        ) AS f
        GROUP BY f.camera_id, f.class
    ) AS b
    -- A mask over half the picture would be a blind camera.
    WHERE (b.x2 - b.x1) * (b.y2 - b.y1) <= 0.5
    ON CONFLICT (incident_id, camera_id, class) DO UPDATE SET
        cause = EXCLUDED.cause,
        state = 'proposed', decided_at = NULL, decided_by = NULL, until = NULL,
        proposed_at = EXCLUDED.proposed_at, proposed_by = EXCLUDED.proposed_by
    WHERE watch.mask.state = 'refused';
    RETURN NULL;
END $$;
CREATE TRIGGER mask_proposed AFTER UPDATE OF review ON watch.incident
FOR EACH ROW WHEN (OLD.review IS DISTINCT FROM NEW.review)
EXECUTE FUNCTION watch.mask_proposed();

-- Who says how a camera counts, or what is masked, is in the audit.
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON watch.camera_mode
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id');
CREATE TRIGGER audit_change AFTER INSERT OR DELETE OR UPDATE OF state, until, polygon ON watch.mask
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id');
