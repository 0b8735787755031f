-- What stands on the ground: sites, key risk source areas, cameras, certificates, hot-work permits.
CREATE TABLE registry.site (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    uscc text UNIQUE,
    local_id text UNIQUE,
    name_zh text NOT NULL,
    address text NOT NULL DEFAULT '',
    rule_code text REFERENCES duty.rule (code),
    gbt4754 text NOT NULL DEFAULT '',
    scale text CHECK (scale IN ('above', 'below', 'sole_trader')),
    nine_small text,
    hazard_level text CHECK (hazard_level IN ('blue', 'yellow', 'orange', 'red')),
    people integer CHECK (people >= 0),
    vulnerability text CHECK (vulnerability IN ('normal', 'mixed', 'sleeping', 'both')),
    geom geometry(Point, :srid) NOT NULL,
    geom_3857 geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    cell_code text,
    town_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    contact_name text,
    contact_phone text,
    visit_cap_per_year integer,
    active_from date NOT NULL DEFAULT '2000-01-01',
    active_to date,
    source_frame text NOT NULL DEFAULT 'metric',
    source_x double precision,
    source_y double precision,
    is_generated boolean NOT NULL DEFAULT false,
    batch_id bigint,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX site_geom_idx ON registry.site USING gist (geom);
CREATE INDEX site_geom_3857_idx ON registry.site USING gist (geom_3857);
CREATE INDEX site_cell_idx ON registry.site (cell_code);
CREATE INDEX site_town_idx ON registry.site (town_code);
COMMENT ON COLUMN registry.site.hazard_level IS 'Inherent hazard H: red 重大, orange 较大, yellow 一般, blue 低. NULL = not graded, never read as low.';

CREATE TABLE registry.key_risk_area (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    site_id bigint NOT NULL REFERENCES registry.site (id),
    name_zh text NOT NULL,
    name_en text NOT NULL DEFAULT '',
    kind text NOT NULL,
    level text NOT NULL CHECK (level IN ('blue', 'yellow', 'orange', 'red')),
    geom geometry(Polygon, :srid) NOT NULL,
    geom_3857 geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    town_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    onboarded_on date,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('draft', 'checked', 'active', 'retired')),
    is_generated boolean NOT NULL DEFAULT false,
    batch_id bigint
);
CREATE INDEX key_risk_area_geom_idx ON registry.key_risk_area USING gist (geom);
CREATE INDEX key_risk_area_geom_3857_idx ON registry.key_risk_area USING gist (geom_3857);
COMMENT ON TABLE registry.key_risk_area IS '重点风险源区域: an area inside a site that the watch must see. onboarded_on = the day it joined the network.';

CREATE TABLE registry.camera (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gb_id text NOT NULL UNIQUE CHECK (gb_id ~ '^[0-9]{20}$'),
    name_zh text NOT NULL,
    site_id bigint REFERENCES registry.site (id),
    geom geometry(Point, :srid) NOT NULL,
    geom_3857 geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
    height_m double precision CHECK (height_m > 0),
    azimuth_deg double precision CHECK (azimuth_deg >= 0 AND azimuth_deg < 360),
    tilt_deg double precision CHECK (tilt_deg BETWEEN -90 AND 90),
    hfov_deg double precision CHECK (hfov_deg > 0 AND hfov_deg <= 180),
    width_px integer,
    height_px integer,
    max_range_m double precision,
    sector geometry(Polygon, :srid),
    sector_3857 geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(sector, 3857)) STORED,
    town_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    cell_code text,
    snapshot_url text,
    period_s integer NOT NULL DEFAULT 10 CHECK (period_s > 0),
    enabled boolean NOT NULL DEFAULT true,
    public_place boolean NOT NULL DEFAULT false,
    legal_basis text NOT NULL DEFAULT '',
    scene_kind text,
    installed_on date,
    retired_on date,
    is_generated boolean NOT NULL DEFAULT false,
    batch_id bigint
);
CREATE INDEX camera_geom_idx ON registry.camera USING gist (geom);
CREATE INDEX camera_geom_3857_idx ON registry.camera USING gist (geom_3857);
CREATE INDEX camera_sector_idx ON registry.camera USING gist (sector);
CREATE INDEX camera_sector_3857_idx ON registry.camera USING gist (sector_3857);
COMMENT ON COLUMN registry.camera.snapshot_url IS 'HTTP snapshot address without credentials; NULL = not connected (UNOBSERVED(not connected)).';
COMMENT ON COLUMN registry.camera.azimuth_deg IS 'Optical axis, degrees clockwise from grid north. tilt_deg: downward from horizontal.';

CREATE TABLE registry.certificate (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id bigint NOT NULL REFERENCES registry.site (id),
    holder_name text NOT NULL,
    holder_hash text NOT NULL,
    certificate_hash text NOT NULL UNIQUE,
    job_class text NOT NULL,
    sub_item text NOT NULL DEFAULT '',
    issuer_family text NOT NULL CHECK (issuer_family IN ('MEM', 'MOHURD', 'SAMR')),
    issued_on date NOT NULL,
    review_due_on date,
    valid_to date NOT NULL,
    verified_at timestamptz,
    verified_result text CHECK (verified_result IN ('valid', 'expired', 'wrong_scope', 'not_found')),
    is_generated boolean NOT NULL DEFAULT false
);
CREATE INDEX certificate_site_idx ON registry.certificate (site_id);
COMMENT ON TABLE registry.certificate IS 'Special operation certificates. ID and certificate numbers are kept as keyed hashes only. verified_result NULL = not verified.';

CREATE TABLE registry.hot_work_permit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    permit_no text NOT NULL UNIQUE,
    site_id bigint NOT NULL REFERENCES registry.site (id),
    level text NOT NULL CHECK (level IN ('special', 'first', 'second')),
    geom geometry(Polygon, :srid) NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    certificate_id bigint REFERENCES registry.certificate (id),
    watcher text,
    status text NOT NULL CHECK (status IN ('draft', 'approved', 'active', 'extended', 'closed', 'void')),
    is_generated boolean NOT NULL DEFAULT false,
    CHECK (ends_at > starts_at)
);
CREATE INDEX hot_work_permit_geom_idx ON registry.hot_work_permit USING gist (geom);
CREATE INDEX hot_work_permit_time_idx ON registry.hot_work_permit (starts_at, ends_at);

CREATE TRIGGER site_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON registry.site
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('site');
CREATE TRIGGER key_risk_area_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON registry.key_risk_area
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('key_risk_area');
CREATE TRIGGER camera_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON registry.camera
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('camera');
