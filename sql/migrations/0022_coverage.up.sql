-- Coverage over time: what a camera really sees of its sector, since when the sector is drawn as it is, when key risk areas
-- leave the network, and how many should join it in a year.

-- The field of view on flat ground: azimuth in degrees clockwise from grid north, metres; the arc every 5 degrees at most.
CREATE FUNCTION registry.wedge(place geometry, azimuth_deg double precision, hfov_deg double precision, reach_m double precision)
RETURNS geometry LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE
        WHEN hfov_deg >= 360 THEN ST_Buffer(place, reach_m, 18)
        ELSE ST_MakePolygon(ST_MakeLine(
            ARRAY[place]
            || ARRAY(
                SELECT ST_SetSRID(ST_MakePoint(
                    ST_X(place) + reach_m * sind(azimuth_deg - hfov_deg / 2 + hfov_deg * n / s.steps),
                    ST_Y(place) + reach_m * cosd(azimuth_deg - hfov_deg / 2 + hfov_deg * n / s.steps)
                ), ST_SRID(place))
                FROM (SELECT greatest(ceil(hfov_deg / 5), 2)::integer AS steps) AS s
                CROSS JOIN LATERAL generate_series(0, s.steps) AS n
                ORDER BY n
            )
            || ARRAY[place]
        ))
    END
$$;
COMMENT ON FUNCTION registry.wedge IS '视域扇形（平地）; the sector that a camera at a point sees on flat ground: azimuth and horizontal field of view in degrees, reach in metres.';

-- A building hides its own ground and all that lies behind it, whatever its height: never more is seen than in truth.
-- Of a building under the camera (on a roof) only its own ground is hidden; a camera on a wall stands beside it. To the
-- millimetre: exact differences leave spikes that no further step can read.
CREATE FUNCTION registry.ground_seen(place geometry, sector geometry)
RETURNS geometry LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
    WITH near AS MATERIALIZED (
        SELECT b.geom, ST_Contains(b.geom, place) AS is_under
        FROM territory.building AS b
        WHERE b.geom && sector AND ST_Intersects(b.geom, sector)
    ),
    side AS (
        SELECT
            ST_StartPoint(d.geom) AS p, ST_EndPoint(d.geom) AS q,
            ST_X(ST_StartPoint(d.geom)) - ST_X(place) AS px, ST_Y(ST_StartPoint(d.geom)) - ST_Y(place) AS py,
            ST_X(ST_EndPoint(d.geom)) - ST_X(place) AS qx, ST_Y(ST_EndPoint(d.geom)) - ST_Y(place) AS qy,
            50 * ST_MaxDistance(place, sector) AS far_m
        FROM near AS n CROSS JOIN LATERAL ST_DumpSegments(n.geom) AS d
        WHERE NOT n.is_under
    ),
    -- Behind each side: to where its ends, seen from the camera, are far outside the sector. A side that is seen edge on hides nothing.
    shadow AS (
        SELECT ST_MakePolygon(ST_MakeLine(ARRAY[
            s.p, s.q,
            ST_SetSRID(ST_MakePoint(ST_X(place) + s.qx * k.q, ST_Y(place) + s.qy * k.q), ST_SRID(place)),
            ST_SetSRID(ST_MakePoint(ST_X(place) + s.px * k.p, ST_Y(place) + s.py * k.p), ST_SRID(place)),
            s.p
        ])) AS geom
        FROM side AS s
        CROSS JOIN LATERAL (
            SELECT
                greatest(s.far_m / nullif(sqrt(s.px * s.px + s.py * s.py), 0), 2) AS p,
                greatest(s.far_m / nullif(sqrt(s.qx * s.qx + s.qy * s.qy), 0), 2) AS q
        ) AS k
        WHERE abs(s.px * s.qy - s.py * s.qx) > 1e-6
    ),
    hidden AS (
        SELECT ST_Union(h.geom, 0.001) AS geom
        FROM (SELECT n.geom FROM near AS n UNION ALL SELECT s.geom FROM shadow AS s) AS h
    )
    SELECT coalesce(ST_CollectionExtract(ST_Difference(sector, h.geom, 0.001), 3), sector) FROM hidden AS h
$$;
COMMENT ON FUNCTION registry.ground_seen IS '扣除建筑遮挡后的可见地面; the part of a sector that a camera at a point sees between the known buildings (metric zone). Where no building is known it is the sector itself.';

ALTER TABLE registry.camera
ADD COLUMN ground geometry(Geometry, :srid),
ADD COLUMN sector_since timestamptz;
COMMENT ON COLUMN registry.camera.ground IS '扣除建筑后的可见地面; derived: the sector without what known buildings hide. Kept by triggers on camera and building.';
COMMENT ON COLUMN registry.camera.sector_since IS '视域最近一次改动; when the sector was last drawn anew; NULL = never since it was first drawn. What it saw before is not known.';

-- A camera that comes with its pose and without a sector (every import) gets the one that follows from the pose, and keeps
-- getting it while nobody draws another.
CREATE FUNCTION registry.camera_ground() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.sector := coalesce(NEW.sector, registry.wedge(NEW.geom, NEW.azimuth_deg, NEW.hfov_deg, NEW.max_range_m));
    ELSE
        IF NEW.sector IS NOT DISTINCT FROM OLD.sector
            AND (OLD.sector IS NULL OR OLD.sector = registry.wedge(OLD.geom, OLD.azimuth_deg, OLD.hfov_deg, OLD.max_range_m)) THEN
            NEW.sector := registry.wedge(NEW.geom, NEW.azimuth_deg, NEW.hfov_deg, NEW.max_range_m);
        END IF;
        IF OLD.sector IS NOT NULL AND OLD.sector IS DISTINCT FROM NEW.sector THEN
            NEW.sector_since := now();
        END IF;
    END IF;
    NEW.ground := NEW.sector;
    IF EXISTS (SELECT FROM territory.building AS b WHERE b.geom && NEW.sector) THEN
        NEW.ground := registry.ground_seen(NEW.geom, NEW.sector);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER camera_ground_follows BEFORE INSERT OR UPDATE OF sector, geom, azimuth_deg, hfov_deg, max_range_m ON registry.camera
FOR EACH ROW EXECUTE FUNCTION registry.camera_ground();
-- The one of 0008 hears of statements that name the sector only.
-- As bytes: a dump writes the condition without naming the schema of geometry's operators, and could not be restored.
CREATE TRIGGER camera_reach_follows_pose AFTER UPDATE OF geom, azimuth_deg, hfov_deg, max_range_m ON registry.camera
FOR EACH ROW WHEN (ST_AsBinary(OLD.sector) IS DISTINCT FROM ST_AsBinary(NEW.sector)) EXECUTE FUNCTION registry.camera_reached();

-- Cameras near buildings that were changed. What follows from a building is no change that somebody made of a camera.
CREATE FUNCTION registry.building_hides() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET geoapp.batch = 'derived' AS $$
DECLARE
    near bigint[] := '{}';
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        UPDATE registry.camera AS c SET ground = c.sector WHERE c.ground IS DISTINCT FROM c.sector;
        RETURN NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        near := ARRAY(SELECT DISTINCT k.id FROM new_building AS b JOIN registry.camera AS k ON k.sector && b.geom);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        near := near || ARRAY(SELECT DISTINCT k.id FROM old_building AS b JOIN registry.camera AS k ON k.sector && b.geom);
    END IF;
    IF cardinality(near) > 0 THEN
        UPDATE registry.camera AS c SET ground = s.ground
        FROM (SELECT k.id, registry.ground_seen(k.geom, k.sector) AS ground FROM registry.camera AS k WHERE k.id = ANY (near)) AS s
        WHERE c.id = s.id AND c.ground IS DISTINCT FROM s.ground;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER building_hides_insert AFTER INSERT ON territory.building
REFERENCING NEW TABLE AS new_building FOR EACH STATEMENT EXECUTE FUNCTION registry.building_hides();
CREATE TRIGGER building_hides_update AFTER UPDATE ON territory.building
REFERENCING OLD TABLE AS old_building NEW TABLE AS new_building FOR EACH STATEMENT EXECUTE FUNCTION registry.building_hides();
CREATE TRIGGER building_hides_delete AFTER DELETE ON territory.building
REFERENCING OLD TABLE AS old_building FOR EACH STATEMENT EXECUTE FUNCTION registry.building_hides();
CREATE TRIGGER building_hides_truncate AFTER TRUNCATE ON territory.building
FOR EACH STATEMENT EXECUTE FUNCTION registry.building_hides();

ALTER TABLE registry.camera DISABLE TRIGGER USER;
UPDATE registry.camera AS c SET sector = registry.wedge(c.geom, c.azimuth_deg, c.hfov_deg, c.max_range_m) WHERE c.sector IS NULL;
UPDATE registry.camera AS c SET ground = registry.ground_seen(c.geom, c.sector) WHERE c.sector IS NOT NULL;
ALTER TABLE registry.camera ENABLE TRIGGER USER;
INSERT INTO registry.camera_reach (camera_id, community_code)
SELECT DISTINCT k.id, c.community_code
FROM registry.camera AS k JOIN territory.grid_cell AS c ON c.geom && k.sector AND ST_Intersects(c.geom, k.sector)
ON CONFLICT DO NOTHING;
UPDATE territory.layer_version AS v SET version = v.version + 1, changed_at = now() WHERE v.layer = 'camera';

-- The day on which a key risk area left the network: without it no past day's count could be told from today's.
ALTER TABLE registry.key_risk_area ADD COLUMN retired_on date;
COMMENT ON COLUMN registry.key_risk_area.retired_on IS '退出日期; first day on which it is no longer in the network; NULL = it is in it, or (status retired) nobody knows the day.';

CREATE FUNCTION registry.key_risk_area_retired() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.status = 'retired' THEN
        NEW.retired_on := coalesce(
            NEW.retired_on, (now() AT TIME ZONE coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai'))::date
        );
    ELSIF NEW.retired_on IS NOT DISTINCT FROM OLD.retired_on THEN
        NEW.retired_on := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER key_risk_area_retired BEFORE UPDATE OF status ON registry.key_risk_area
FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION registry.key_risk_area_retired();

-- How many key risk areas should join in a year. A new number is a new row: what held on a past day stays known.
CREATE TABLE registry.onboarding_target (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    town_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    year integer NOT NULL CHECK (year BETWEEN 2000 AND 2100),
    areas integer NOT NULL CHECK (areas >= 0),
    document_no text NOT NULL DEFAULT '',
    set_on date NOT NULL,
    set_by text NOT NULL DEFAULT ''
);
CREATE INDEX onboarding_target_year_idx ON registry.onboarding_target (year, town_code, set_on);
COMMENT ON TABLE registry.onboarding_target IS '年度接入目标; key risk areas that should join the network in a year, of a town, or of the district (town_code NULL). The newest row set on or before a day holds on it.';

CREATE FUNCTION registry.onboarding_target_set() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.set_by := access.caller();
    NEW.set_on := coalesce(
        NEW.set_on, (now() AT TIME ZONE coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai'))::date
    );
    RETURN NEW;
END $$;
CREATE TRIGGER onboarding_target_set BEFORE INSERT ON registry.onboarding_target
FOR EACH ROW EXECUTE FUNCTION registry.onboarding_target_set();
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON registry.onboarding_target
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id');
