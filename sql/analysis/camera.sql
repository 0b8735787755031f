-- needs: parameter
CREATE FUNCTION analysis.camera_at(moment timestamptz) RETURNS TABLE (
    id bigint, gb_id text, name_zh text, town_code text, cell_code text, site_id bigint,
    is_connected boolean, observed boolean, reason text, since timestamptz, last_observed_at timestamptz,
    is_online boolean, azimuth_deg double precision, scene_kind text, is_generated boolean,
    geom geometry(Point, :srid), geom_3857 geometry(Point, 3857),
    sector geometry(Polygon, :srid), sector_3857 geometry(Polygon, 3857), ground geometry(Geometry, :srid)
) LANGUAGE sql STABLE AS $$
    -- Connected: somebody could look. For a past moment the newest observation before it counts, not today's health, and who was
    -- connected then; before the record of connections begins only who is today is known.
    WITH connected AS (
        SELECT k.camera_id FROM watch.camera_connection AS k
        WHERE moment < now() AND k.since <= moment AND coalesce(k.until > moment, true)
    ),
    record AS MATERIALIZED (
        SELECT moment < now() AND moment >= min(r.began_at) AS holds FROM watch.connection_record AS r
    ),
    looked AS (
        SELECT
            c.id, c.gb_id, c.name_zh, c.town_code, c.cell_code, c.site_id, c.azimuth_deg, c.scene_kind, c.is_generated,
            c.geom, c.geom_3857, c.sector, c.sector_3857, c.ground,
            CASE WHEN (SELECT r.holds FROM record AS r) THEN k.camera_id IS NOT NULL ELSE c.is_connected AND c.enabled END AS is_connected,
            h.camera_id IS NOT NULL AS has_health,
            h.observed AS health_observed,
            h.reason AS health_reason,
            h.since AS health_since,
            CASE
                WHEN h.last_observed_at <= moment THEN h.last_observed_at
                WHEN h.last_observed_at > moment THEN (
                    SELECT max(o.captured_at) FROM watch.observation AS o
                    WHERE o.camera_id = c.id AND o.observed AND o.captured_at <= moment
                )
            END AS seen_at
        FROM registry.camera AS c
        LEFT JOIN watch.camera_health AS h ON h.camera_id = c.id
        LEFT JOIN connected AS k ON k.camera_id = c.id
        WHERE (c.installed_on IS NULL OR c.installed_on <= (SELECT analysis.city_date(moment)))
            AND (c.retired_on IS NULL OR c.retired_on > (SELECT analysis.city_date(moment)))
    ),
    -- Why a camera does not observe; NULL = it does.
    judged AS (
        SELECT
            l.*,
            moment - make_interval(mins => (SELECT analysis.parameter_value('camera_online_minutes'))::integer) AS online_from,
            CASE
                WHEN NOT l.is_connected THEN 'not_connected'
                WHEN NOT l.has_health THEN 'never_looked'
                WHEN NOT l.health_observed AND l.health_since <= moment THEN l.health_reason
                WHEN l.seen_at IS NULL THEN 'never_looked'
                WHEN l.seen_at < moment - make_interval(mins => (SELECT analysis.parameter_value('camera_online_minutes'))::integer)
                    THEN 'stale'
            END AS why
        FROM looked AS l
    )
    SELECT
        j.id, j.gb_id, j.name_zh, j.town_code, j.cell_code, j.site_id,
        j.is_connected, j.why IS NULL, j.why,
        CASE WHEN NOT j.is_connected THEN NULL WHEN j.why = 'stale' THEN j.seen_at WHEN j.health_since <= moment THEN j.health_since END,
        j.seen_at,
        j.is_connected AND coalesce(j.seen_at >= j.online_from, false),
        j.azimuth_deg, j.scene_kind, j.is_generated,
        j.geom, j.geom_3857, j.sector, j.sector_3857, j.ground
    FROM judged AS j
$$;
CREATE VIEW analysis.camera AS SELECT * FROM analysis.camera_at(now());
COMMENT ON VIEW analysis.camera IS '摄像机：是否看到画面、原因、是否在线、视域; cameras: whether they observe, why not, whether online, ground sector.';
COMMENT ON COLUMN analysis.camera.is_connected IS 'It has an address and is switched on; of a past moment as watch.camera_connection says, where that reaches back so far.';
COMMENT ON COLUMN analysis.camera.observed IS 'True = the newest scan looked, and lately. False with a reason is never "clear".';
COMMENT ON COLUMN analysis.camera.reason IS 'not_connected | never_looked | stale | the watch''s own reason; NULL while observed.';
COMMENT ON COLUMN analysis.camera.ground IS 'The sector without what known buildings hide; areas and cells are seen by this. Where no building is known it is the sector.';
COMMENT ON COLUMN analysis.camera.is_online IS 'Connected and observed within camera_online_minutes.';

-- The ground that online cameras see, one row a camera.
CREATE FUNCTION analysis.online_sector_at(moment timestamptz) RETURNS TABLE (
    camera_id bigint, site_id bigint, sector geometry(Geometry, :srid)
) LANGUAGE sql STABLE AS $$
    SELECT c.id, c.site_id, c.ground FROM analysis.camera_at(moment) AS c WHERE c.is_online AND c.sector IS NOT NULL
$$;
COMMENT ON FUNCTION analysis.online_sector_at IS '在线摄像机的可见地面（扣除建筑）; ground that the cameras see that are online: sectors without what known buildings hide.';
