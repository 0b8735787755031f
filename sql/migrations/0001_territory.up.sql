-- Ground: the city, its units and grid cells. :srid is the city's CGCS2000 3-degree Gauss-Kruger zone, metres.
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS btree_gist;

CREATE SCHEMA territory;
CREATE SCHEMA registry;
CREATE SCHEMA duty;
CREATE SCHEMA watch;
CREATE SCHEMA casework;
CREATE SCHEMA inspection;
CREATE SCHEMA access;
CREATE SCHEMA analysis;
CREATE SCHEMA staging;
CREATE SCHEMA tiles;

-- One row: which city this database holds. The zone cannot change once geometry columns are typed with it.
CREATE TABLE territory.city (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name_zh text NOT NULL,
    name_en text NOT NULL,
    code text NOT NULL CHECK (code ~ '^[0-9]{6}$'),
    metric_srid integer NOT NULL CHECK (metric_srid = :srid),
    timezone text NOT NULL DEFAULT 'Asia/Shanghai',
    is_generated boolean NOT NULL DEFAULT false,
    seed integer,
    loaded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE territory.city IS 'The one city of this database; is_generated = the sample city, shown on every screen.';

CREATE TABLE territory.unit (
    code text PRIMARY KEY CHECK (code ~ '^[0-9]{12}$'),
    level text NOT NULL CHECK (level IN ('province', 'city', 'county', 'town', 'community')),
    parent_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    name_zh text NOT NULL,
    name_en text NOT NULL DEFAULT '',
    seat geometry(Point, :srid),
    geom geometry(MultiPolygon, :srid),
    geom_3857 geometry(MultiPolygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    source_frame text NOT NULL DEFAULT 'metric',
    valid_from date NOT NULL DEFAULT '2000-01-01',
    valid_to date,
    version bigint NOT NULL DEFAULT 1,
    is_generated boolean NOT NULL DEFAULT false,
    batch_id bigint
);
CREATE INDEX unit_geom_idx ON territory.unit USING gist (geom);
CREATE INDEX unit_geom_3857_idx ON territory.unit USING gist (geom_3857);
CREATE INDEX unit_parent_idx ON territory.unit (parent_code);

CREATE TABLE territory.grid_cell (
    code text PRIMARY KEY CHECK (code ~ '^[0-9]{18}$'),
    cell_no integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    community_code text NOT NULL REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    kind text NOT NULL GENERATED ALWAYS AS (substr(code, 13, 1)) STORED,
    name_zh text NOT NULL DEFAULT '',
    geom geometry(Polygon, :srid) NOT NULL,
    geom_3857 geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    version bigint NOT NULL DEFAULT 1,
    valid_from timestamptz NOT NULL DEFAULT now(),
    edited_by text NOT NULL DEFAULT CURRENT_USER,
    is_generated boolean NOT NULL DEFAULT false,
    batch_id bigint,
    CHECK (substr(code, 1, 12) = community_code)
);
CREATE INDEX grid_cell_geom_idx ON territory.grid_cell USING gist (geom);
CREATE INDEX grid_cell_geom_3857_idx ON territory.grid_cell USING gist (geom_3857);
CREATE INDEX grid_cell_community_idx ON territory.grid_cell (community_code);

CREATE TABLE territory.grid_cell_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL,
    community_code text NOT NULL,
    geom geometry(Polygon, :srid) NOT NULL,
    version bigint NOT NULL,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    edited_by text NOT NULL
);
CREATE INDEX grid_cell_history_code_idx ON territory.grid_cell_history (code, version);

-- Ground that the committee has declared to be in no cell (sea wall, river, military): still a coverage gap, but a known one.
CREATE TABLE territory.no_cell_ground (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    town_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    name_zh text NOT NULL,
    name_en text NOT NULL DEFAULT '',
    reason text NOT NULL,
    declared_on date NOT NULL,
    geom geometry(Polygon, :srid) NOT NULL,
    is_generated boolean NOT NULL DEFAULT false
);
CREATE INDEX no_cell_ground_geom_idx ON territory.no_cell_ground USING gist (geom);

CREATE TABLE territory.base_feature (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('sea', 'water', 'river', 'motorway', 'main_road', 'road', 'railway', 'green', 'built_up')),
    name_zh text NOT NULL DEFAULT '',
    name_en text NOT NULL DEFAULT '',
    geom geometry(Geometry, :srid) NOT NULL,
    geom_3857 geometry(Geometry, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    is_generated boolean NOT NULL DEFAULT false
);
CREATE INDEX base_feature_geom_3857_idx ON territory.base_feature USING gist (geom_3857);

-- Version of each layer's content: the ETag of its tiles. Bumped by statement triggers.
CREATE TABLE territory.layer_version (
    layer text PRIMARY KEY,
    version bigint NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION territory.bump_layer() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO territory.layer_version AS v (layer) VALUES (TG_ARGV[0])
    ON CONFLICT (layer) DO UPDATE SET version = v.version + 1, changed_at = now();
    RETURN NULL;
END $$;

-- An edited or removed cell leaves its old shape in the history, with the version it had.
CREATE FUNCTION territory.keep_cell_version() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO territory.grid_cell_history (code, community_code, geom, version, valid_from, valid_to, edited_by)
    VALUES (OLD.code, OLD.community_code, OLD.geom, OLD.version, OLD.valid_from, now(), OLD.edited_by);
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    NEW.version := OLD.version + 1;
    NEW.valid_from := now();
    RETURN NEW;
END $$;
CREATE TRIGGER grid_cell_keep_version BEFORE UPDATE OF geom, community_code OR DELETE ON territory.grid_cell
FOR EACH ROW EXECUTE FUNCTION territory.keep_cell_version();

CREATE TRIGGER unit_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON territory.unit
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('unit');
CREATE TRIGGER grid_cell_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON territory.grid_cell
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('cell');
CREATE TRIGGER no_cell_ground_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON territory.no_cell_ground
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('no_cell');
CREATE TRIGGER base_feature_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON territory.base_feature
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('base');
