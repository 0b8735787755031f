-- needs: parameter, camera, sight
CREATE FUNCTION analysis.key_risk_area_at(moment timestamptz) RETURNS TABLE (
    id bigint, code text, name_zh text, name_en text, site_id bigint, site_name_zh text, town_code text,
    kind text, level text, onboarded_on date, area_m2 double precision, seen_m2 double precision,
    seen_fraction double precision, camera_count bigint, online_camera_count bigint, cell_code text,
    geom geometry(Polygon, :srid), geom_3857 geometry(Polygon, 3857)
) LANGUAGE sql STABLE AS $$
    -- One that joins later is not there yet; without a date it counts as there.
    WITH area AS (
        SELECT a.* FROM registry.key_risk_area AS a
        WHERE a.status = 'active' AND coalesce(a.onboarded_on <= (SELECT analysis.city_date(moment)), true)
            AND coalesce(a.retired_on > (SELECT analysis.city_date(moment)), true)
    ),
    sight AS MATERIALIZED (
        SELECT s.area_id, s.sight_id, s.m2, s.camera_ids FROM analysis.area_sights() AS s
    ),
    -- Only those that would see some area: the others are most of them.
    camera AS MATERIALIZED (
        SELECT c.id, c.is_online FROM analysis.camera_at(moment) AS c
        WHERE c.sector IS NOT NULL AND c.id = ANY (ARRAY(SELECT k.id FROM sight AS s CROSS JOIN LATERAL unnest(s.camera_ids) AS k (id)))
    ),
    pair AS MATERIALIZED (
        SELECT s.area_id, s.sight_id, s.m2, c.id AS camera_id, c.is_online
        FROM sight AS s
        CROSS JOIN LATERAL unnest(s.camera_ids) AS k (id)
        JOIN camera AS c ON c.id = k.id
    ),
    -- Ground that two online cameras see counts once.
    piece AS (
        SELECT p.area_id, max(p.m2) AS m2 FROM pair AS p WHERE p.is_online GROUP BY p.area_id, p.sight_id
    ),
    ground AS (
        SELECT p.area_id, sum(p.m2) AS seen_m2 FROM piece AS p GROUP BY p.area_id
    ),
    seen AS (
        SELECT p.area_id AS id, count(*) AS cameras, count(*) FILTER (WHERE p.is_online) AS online, max(g.seen_m2) AS seen_m2
        FROM (SELECT DISTINCT p.area_id, p.camera_id, p.is_online FROM pair AS p) AS p
        LEFT JOIN ground AS g ON g.area_id = p.area_id
        GROUP BY p.area_id
    )
    SELECT
        a.id, a.code, a.name_zh, a.name_en, a.site_id, s.name_zh, a.town_code,
        a.kind, a.level, a.onboarded_on, ST_Area(a.geom), CASE WHEN k.yes THEN coalesce(v.seen_m2, 0) END,
        CASE WHEN k.yes THEN least(coalesce(v.seen_m2, 0) / nullif(ST_Area(a.geom), 0), 1) END,
        coalesce(v.cameras, 0), coalesce(v.online, 0), s.cell_code,
        a.geom, a.geom_3857
    FROM area AS a
    -- LEFT: an area may lie in the reader's town while its site is another town's.
    LEFT JOIN registry.site AS s ON s.id = a.site_id
    LEFT JOIN seen AS v ON v.id = a.id
    -- Enough is enough, whatever a sector that is no shape would add to it.
    CROSS JOIN LATERAL (
        SELECT a.id <> ALL (ARRAY(SELECT unnest(analysis.areas_not_known())))
            OR ST_IsValid(a.geom) AND v.seen_m2 >= (SELECT analysis.parameter_value('seen_fraction_min')) * ST_Area(a.geom) AS yes
    ) AS k
$$;
CREATE VIEW analysis.key_risk_area AS SELECT * FROM analysis.key_risk_area_at(now());
COMMENT ON VIEW analysis.key_risk_area IS '在册重点风险源区域及在线摄像机可见面积; active key risk source areas with the area that online cameras see.';
COMMENT ON COLUMN analysis.key_risk_area.seen_fraction IS 'Share of the area that online cameras see, 0 to 1 (sectors without what known buildings hide); below seen_fraction_min it is a coverage gap, and NULL (not known: it or a sector near it is no valid shape) too.';
COMMENT ON COLUMN analysis.key_risk_area.cell_code IS 'Cell of its site; NULL = in no cell, or the reader does not see the site.';
COMMENT ON COLUMN analysis.key_risk_area.camera_count IS 'Cameras that would see some of the area, online or not.';

CREATE FUNCTION analysis.onboarding_year_at(moment timestamptz) RETURNS TABLE (
    year integer, onboarded bigint, total_to_date bigint
) LANGUAGE sql STABLE AS $$
    -- Areas by the year in which they joined the network; areas retired since then still joined.
    WITH joined AS (
        SELECT extract(year FROM a.onboarded_on)::integer AS year, count(*) AS n
        FROM registry.key_risk_area AS a
        WHERE a.onboarded_on <= (SELECT analysis.city_date(moment)) AND a.status IN ('active', 'retired')
        GROUP BY 1
    ),
    span AS (
        SELECT generate_series(min(j.year), extract(year FROM analysis.city_date(moment))::integer) AS year FROM joined AS j
    )
    SELECT s.year, coalesce(j.n, 0), (sum(coalesce(j.n, 0)) OVER (ORDER BY s.year))::bigint
    FROM span AS s LEFT JOIN joined AS j ON j.year = s.year
$$;
CREATE VIEW analysis.onboarding_year AS SELECT * FROM analysis.onboarding_year_at(now());
COMMENT ON VIEW analysis.onboarding_year IS '重点风险源区域逐年接入数与累计数; key risk source areas joined by year, and the total to date.';
