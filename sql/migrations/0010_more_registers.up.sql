-- The other registers that a district brings: who answers, certificates, permits, hazards and checks with the file's own
-- keys, so that a second import changes nothing; and tables for what had none: reported events, buildings, resources.

-- local_id: what an import knows a row by; NULL = not from a file. batch_id: the import that wrote it last.
ALTER TABLE duty.person ADD COLUMN local_id text UNIQUE, ADD COLUMN batch_id bigint;
ALTER TABLE duty.assignment
ADD COLUMN local_id text UNIQUE, ADD COLUMN is_generated boolean NOT NULL DEFAULT false, ADD COLUMN batch_id bigint;
ALTER TABLE duty.grid_staff
ADD COLUMN local_id text UNIQUE, ADD COLUMN is_generated boolean NOT NULL DEFAULT false, ADD COLUMN batch_id bigint;
ALTER TABLE duty.unit_staff
ADD COLUMN local_id text UNIQUE, ADD COLUMN is_generated boolean NOT NULL DEFAULT false, ADD COLUMN batch_id bigint;
-- One person's certificates of several classes share one number (T and the ID number): the key holds class and item too.
ALTER TABLE registry.certificate
DROP CONSTRAINT certificate_certificate_hash_key, ADD COLUMN local_id text UNIQUE, ADD COLUMN batch_id bigint;
CREATE INDEX certificate_hash_idx ON registry.certificate (certificate_hash);
ALTER TABLE registry.hot_work_permit ADD COLUMN batch_id bigint;
ALTER TABLE inspection.visit ADD COLUMN local_id text UNIQUE, ADD COLUMN batch_id bigint;
ALTER TABLE inspection.hazard ADD COLUMN local_id text UNIQUE, ADD COLUMN batch_id bigint;
ALTER TABLE territory.base_feature
ADD COLUMN local_id text UNIQUE,
ADD COLUMN width_m double precision CHECK (width_m > 0),
ADD COLUMN batch_id bigint;
COMMENT ON COLUMN registry.certificate.local_id IS 'Digest of the keyed hash of its number, its class and its item.';
COMMENT ON COLUMN duty.person.local_id IS 'Name and phone as the file has them: what an import knows a person by. NULL = not from a file.';

-- Duties of a sample city that stands already are the sample's.
ALTER TABLE duty.assignment DISABLE TRIGGER USER;
ALTER TABLE duty.grid_staff DISABLE TRIGGER USER;
ALTER TABLE duty.unit_staff DISABLE TRIGGER USER;
UPDATE duty.assignment SET is_generated = true WHERE (SELECT c.is_generated FROM territory.city AS c);
UPDATE duty.grid_staff SET is_generated = true WHERE (SELECT c.is_generated FROM territory.city AS c);
UPDATE duty.unit_staff SET is_generated = true WHERE (SELECT c.is_generated FROM territory.city AS c);
ALTER TABLE duty.assignment ENABLE TRIGGER USER;
ALTER TABLE duty.grid_staff ENABLE TRIGGER USER;
ALTER TABLE duty.unit_staff ENABLE TRIGGER USER;

CREATE TABLE territory.building (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    local_id text NOT NULL UNIQUE,
    name_zh text NOT NULL DEFAULT '',
    use text NOT NULL DEFAULT '',
    height_m double precision CHECK (height_m > 0),
    floors integer CHECK (floors > 0),
    geom geometry(MultiPolygon, :srid) NOT NULL,
    geom_3857 geometry(MultiPolygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    town_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    cell_code text,
    is_generated boolean NOT NULL DEFAULT false,
    batch_id bigint
);
CREATE INDEX building_geom_idx ON territory.building USING gist (geom);
CREATE INDEX building_geom_3857_idx ON territory.building USING gist (geom_3857);
COMMENT ON TABLE territory.building IS '建筑轮廓; outlines of buildings, with the height or the floors where the file says them.';
COMMENT ON COLUMN territory.building.use IS 'What it is used for, in the file''s own words.';

CREATE TABLE registry.resource (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    local_id text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN (
        'fire_station', 'micro_fire_station', 'hydrant', 'water_source', 'warehouse', 'shelter', 'hospital', 'rescue_team', 'other'
    )),
    name_zh text NOT NULL DEFAULT '',
    phone text,
    capacity double precision CHECK (capacity >= 0),
    geom geometry(Point, :srid) NOT NULL,
    geom_3857 geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    town_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    cell_code text,
    source_frame text NOT NULL DEFAULT 'metric',
    is_generated boolean NOT NULL DEFAULT false,
    batch_id bigint
);
CREATE INDEX resource_geom_idx ON registry.resource USING gist (geom);
CREATE INDEX resource_geom_3857_idx ON registry.resource USING gist (geom_3857);
COMMENT ON TABLE registry.resource IS '应急资源; what helps in an emergency: fire stations, hydrants, warehouses, shelters, hospitals.';
COMMENT ON COLUMN registry.resource.capacity IS 'In the unit of its kind: people of a team or shelter, beds, m³ of water, m² of store.';

-- What happened before GeoApp watched: fires, alarms, calls, as another system recorded them. Up to millions of rows.
CREATE TABLE watch.reported_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    local_id text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('fire', 'smoke', 'alarm', 'explosion', 'leak', 'accident', 'rescue', 'complaint', 'other')),
    title text NOT NULL DEFAULT '',
    happened_at timestamptz NOT NULL,
    severity text CHECK (severity IN ('general', 'larger', 'major', 'extraordinary')),
    source text NOT NULL DEFAULT '',
    geom geometry(Point, :srid) NOT NULL,
    geom_3857 geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    town_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    cell_code text,
    source_frame text NOT NULL DEFAULT 'metric',
    is_generated boolean NOT NULL DEFAULT false,
    batch_id bigint
);
CREATE INDEX reported_event_geom_idx ON watch.reported_event USING gist (geom);
CREATE INDEX reported_event_time_idx ON watch.reported_event (happened_at);
CREATE INDEX reported_event_town_idx ON watch.reported_event (town_code, happened_at);
COMMENT ON TABLE watch.reported_event IS '历史事件; dated points that another system recorded. Not incidents: nobody here saw or reviewed them.';
COMMENT ON COLUMN watch.reported_event.severity IS 'general 一般, larger 较大, major 重大, extraordinary 特别重大. NULL = not said.';

CREATE TRIGGER building_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON territory.building
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('building');
CREATE TRIGGER resource_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON registry.resource
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('resource');
CREATE TRIGGER reported_event_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON watch.reported_event
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('reported_event');

-- As in 0008: every change is kept, but for the owner's loads, which are one record a batch.
DO $$
DECLARE
    watched text;
BEGIN
    FOREACH watched IN ARRAY ARRAY['territory.building', 'registry.resource', 'watch.reported_event'] LOOP
        EXECUTE format(
            'CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW'
            ' WHEN (coalesce(current_setting(''geoapp.batch'', true), '''') = '''' OR access.caller() <> %L)'
            ' EXECUTE FUNCTION access.audit_row(''id'')',
            watched, current_user
        );
    END LOOP;
END $$;
