-- What was seen: due scans, observations, incidents, evidence, camera health, the outbox that feeds open maps.
CREATE TABLE watch.scan_due (
    camera_id bigint PRIMARY KEY REFERENCES registry.camera (id) ON DELETE CASCADE,
    next_due_at timestamptz NOT NULL,
    is_priority boolean NOT NULL DEFAULT false,
    lease_owner text,
    lease_until timestamptz,
    lease_token bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    burst_left integer NOT NULL DEFAULT 0
);
CREATE INDEX scan_due_next_idx ON watch.scan_due (next_due_at);
COMMENT ON TABLE watch.scan_due IS 'One row per connected camera: when it is due next and who holds it. A completion must match lease_token (fencing).';

CREATE TABLE watch.observation (
    id uuid NOT NULL,
    camera_id bigint NOT NULL REFERENCES registry.camera (id),
    captured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    observed boolean NOT NULL,
    reason text,
    model_hash text,
    boxes jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (id),
    CHECK (observed = (reason IS NULL))
);
CREATE INDEX observation_camera_idx ON watch.observation (camera_id, captured_at DESC);
COMMENT ON TABLE watch.observation IS 'One scan''s result. observed = looked; otherwise reason says why it could not look. Never read a missing row as clear.';

CREATE TABLE watch.observation_hour (
    camera_id bigint NOT NULL REFERENCES registry.camera (id),
    hour timestamptz NOT NULL,
    observed integer NOT NULL DEFAULT 0,
    unobserved integer NOT NULL DEFAULT 0,
    reasons jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (camera_id, hour)
);

CREATE TABLE watch.incident (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    incident_no bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    class text NOT NULL CHECK (class IN ('fire', 'smoke', 'welding_arc', 'sparks')),
    camera_id bigint NOT NULL REFERENCES registry.camera (id),
    state text NOT NULL CHECK (state IN ('candidate', 'open', 'quiet', 'closed')),
    review text NOT NULL DEFAULT 'unreviewed' CHECK (review IN ('unreviewed', 'confirmed', 'false', 'permitted')),
    review_reason text,
    reviewed_at timestamptz,
    reviewed_by text,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    opened_at timestamptz,
    closed_at timestamptz,
    peak_score double precision NOT NULL CHECK (peak_score BETWEEN 0 AND 1),
    observation_count integer NOT NULL DEFAULT 1,
    model_hash text NOT NULL,
    box double precision[] NOT NULL CHECK (array_length(box, 1) = 4),
    geom geometry(Point, :srid) NOT NULL,
    geom_3857 geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    placing_method text NOT NULL CHECK (placing_method IN ('camera_point', 'bearing_sector', 'pose_ray', 'homography', 'triangulated')),
    ellipse geometry(Polygon, :srid),
    ellipse_3857 geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(ellipse, 3857)) STORED,
    semi_major_m double precision,
    semi_minor_m double precision,
    rotation_deg double precision,
    cell_code text,
    town_code text,
    site_id bigint REFERENCES registry.site (id),
    key_risk_area_id bigint REFERENCES registry.key_risk_area (id),
    permit_id bigint REFERENCES registry.hot_work_permit (id),
    is_generated boolean NOT NULL DEFAULT false
);
CREATE INDEX incident_geom_idx ON watch.incident USING gist (geom);
CREATE INDEX incident_geom_3857_idx ON watch.incident USING gist (geom_3857);
CREATE INDEX incident_seen_idx ON watch.incident (last_seen_at DESC);
CREATE INDEX incident_live_idx ON watch.incident (camera_id, class) WHERE state <> 'closed';
CREATE INDEX incident_cell_idx ON watch.incident (cell_code, first_seen_at);
COMMENT ON TABLE watch.incident IS 'One event in the world, as a lead (线索): it becomes evidence only by review. box = x1,y1,x2,y2 pixels, the extent over its latest observations; the boxes of each frame are in watch.evidence.';

CREATE TABLE watch.incident_observation (
    incident_id uuid NOT NULL REFERENCES watch.incident (id),
    observation_id uuid NOT NULL REFERENCES watch.observation (id),
    score double precision NOT NULL,
    PRIMARY KEY (incident_id, observation_id)
);
CREATE INDEX incident_observation_observation_idx ON watch.incident_observation (observation_id);

CREATE TABLE watch.evidence (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    incident_id uuid NOT NULL REFERENCES watch.incident (id),
    observation_id uuid NOT NULL REFERENCES watch.observation (id),
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    path text NOT NULL,
    bytes integer NOT NULL,
    width_px integer NOT NULL,
    height_px integer NOT NULL,
    captured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    boxes jsonb NOT NULL,
    UNIQUE (incident_id, observation_id)
);
COMMENT ON COLUMN watch.evidence.path IS 'Relative to the evidence folder of this installation; the file holds the frame as the camera sent it, sha256 is of its bytes.';

CREATE TABLE watch.camera_health (
    camera_id bigint PRIMARY KEY REFERENCES registry.camera (id) ON DELETE CASCADE,
    observed boolean NOT NULL,
    reason text,
    since timestamptz NOT NULL,
    last_try_at timestamptz NOT NULL,
    last_observed_at timestamptz,
    CHECK (observed = (reason IS NULL))
);

CREATE TABLE watch.camera_health_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    camera_id bigint NOT NULL REFERENCES registry.camera (id) ON DELETE CASCADE,
    at timestamptz NOT NULL,
    observed boolean NOT NULL,
    reason text
);

-- Every change that an open map must hear of, once: the same transaction writes the effect and this row.
CREATE TABLE watch.outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    dedupe_key text NOT NULL UNIQUE,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION watch.tell_live() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('geoapp_live', NEW.id::text);
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_tell AFTER INSERT ON watch.outbox
FOR EACH ROW EXECUTE FUNCTION watch.tell_live();

CREATE TRIGGER incident_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON watch.incident
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('incident');
