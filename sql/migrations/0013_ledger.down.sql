DROP FUNCTION watch.forget_hours(timestamptz);
DROP FUNCTION watch.recount_hours(timestamptz, timestamptz);
DROP TRIGGER camera_connection_follows ON registry.camera;
DROP FUNCTION watch.camera_connected();
DROP FUNCTION watch.record_connections(timestamptz);
DROP FUNCTION watch.record_connection(bigint, integer, integer, timestamptz);
DROP TABLE watch.connection_record;
DROP TABLE watch.camera_connection;
DROP FUNCTION watch.make_hour_partitions(timestamptz);
CREATE TABLE watch.observation_hour_before (
    camera_id bigint NOT NULL,
    hour timestamptz NOT NULL,
    observed integer NOT NULL DEFAULT 0,
    unobserved integer NOT NULL DEFAULT 0,
    reasons jsonb NOT NULL DEFAULT '{}',
    due integer NOT NULL DEFAULT 0,
    CONSTRAINT observation_hour_before_pkey PRIMARY KEY (camera_id, hour)
);
INSERT INTO watch.observation_hour_before (camera_id, hour, observed, unobserved, reasons, due)
SELECT camera_id, hour, observed, unobserved, reasons, due FROM watch.observation_hour;
DROP TABLE watch.observation_hour;
ALTER TABLE watch.observation_hour_before RENAME TO observation_hour;
ALTER TABLE watch.observation_hour RENAME CONSTRAINT observation_hour_before_pkey TO observation_hour_pkey;
ALTER TABLE watch.observation_hour
ADD CONSTRAINT observation_hour_camera_id_fkey FOREIGN KEY (camera_id) REFERENCES registry.camera (id),
ADD CONSTRAINT observation_hour_adds_up CHECK (due = observed + unobserved);
