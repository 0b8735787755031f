ALTER TABLE watch.camera_health RESET (fillfactor);
ALTER TABLE watch.scan_due RESET (fillfactor);
ALTER TABLE watch.scan_due DROP COLUMN period_s;
ALTER TABLE registry.camera DROP COLUMN night_period_s;
ALTER TABLE watch.observation_hour DROP COLUMN due;
DROP FUNCTION watch.added_reasons(jsonb, jsonb);
DROP FUNCTION watch.drop_observations(timestamptz);
DROP FUNCTION watch.make_partitions(timestamptz);
CREATE TABLE watch.observation_before (
    id uuid NOT NULL,
    camera_id bigint NOT NULL REFERENCES registry.camera (id),
    captured_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    observed boolean NOT NULL,
    reason text,
    model_hash text,
    boxes jsonb NOT NULL DEFAULT '[]',
    CONSTRAINT observation_before_pkey PRIMARY KEY (id),
    CHECK (observed = (reason IS NULL))
);
INSERT INTO watch.observation_before
SELECT id, camera_id, captured_at, received_at, observed, reason, model_hash, boxes FROM watch.observation
ON CONFLICT DO NOTHING;
DROP TABLE watch.observation;
ALTER TABLE watch.observation_before RENAME TO observation;
ALTER TABLE watch.observation RENAME CONSTRAINT observation_before_pkey TO observation_pkey;
ALTER TABLE watch.observation RENAME CONSTRAINT observation_before_camera_id_fkey TO observation_camera_id_fkey;
ALTER TABLE watch.observation RENAME CONSTRAINT observation_before_check TO observation_check;
CREATE INDEX observation_camera_idx ON watch.observation (camera_id, captured_at DESC);
COMMENT ON TABLE watch.observation IS 'One scan''s result. observed = looked; otherwise reason says why it could not look. Never read a missing row as clear.';
-- What points to a look whose day was dropped cannot be kept under the old rule.
DELETE FROM watch.evidence AS e WHERE NOT EXISTS (SELECT FROM watch.observation AS o WHERE o.id = e.observation_id);
ALTER TABLE watch.evidence
ADD CONSTRAINT evidence_observation_id_fkey FOREIGN KEY (observation_id) REFERENCES watch.observation (id);
DELETE FROM watch.incident_observation AS s WHERE NOT EXISTS (SELECT FROM watch.observation AS o WHERE o.id = s.observation_id);
ALTER TABLE watch.incident_observation
DROP COLUMN camera_id,
DROP COLUMN captured_at,
ADD CONSTRAINT incident_observation_observation_id_fkey FOREIGN KEY (observation_id) REFERENCES watch.observation (id);
