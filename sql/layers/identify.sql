-- What stands at a point (longitude, latitude, EPSG:4326): one row.
WITH place AS (
    SELECT ST_Transform(
        ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326),
        Find_SRID('territory', 'unit', 'seat')
    ) AS at
),
today AS (
    SELECT analysis.city_date(now()) AS day
)
SELECT
    (
        SELECT jsonb_build_object(
            'code', g.code, 'cell_no', g.cell_no, 'name_zh', g.name_zh, 'community_zh', g.community_zh,
            'town_code', g.town_code, 'town_zh', g.town_zh, 'town_en', g.town_en
        )
        FROM analysis.grid_cell AS g JOIN place AS p ON ST_Covers(g.geom, p.at) ORDER BY g.code LIMIT 1
    ) AS cell,
    (
        SELECT jsonb_build_object('id', n.id, 'declared', n.declared, 'name_zh', n.name_zh, 'name_en', n.name_en, 'area_m2', n.area_m2)
        FROM analysis.no_cell AS n JOIN place AS p ON ST_Covers(n.geom, p.at) LIMIT 1
    ) AS no_cell,
    (
        SELECT jsonb_agg(jsonb_build_object('code', u.code, 'level', u.level, 'name_zh', u.name_zh, 'name_en', u.name_en) ORDER BY u.code)
        FROM territory.unit AS u JOIN place AS p ON ST_Covers(u.geom, p.at) WHERE u.valid_to IS NULL
    ) AS units,
    (
        SELECT jsonb_agg(jsonb_build_object('id', a.id, 'code', a.code, 'name_zh', a.name_zh, 'level', a.level, 'site_id', a.site_id))
        FROM registry.key_risk_area AS a JOIN place AS p ON ST_Covers(a.geom, p.at) CROSS JOIN today AS t
        WHERE a.status = 'active' AND coalesce(a.onboarded_on <= t.day, true) AND coalesce(a.retired_on > t.day, true)
    ) AS key_risk_areas,
    (
        SELECT jsonb_agg(jsonb_build_object(
            'id', c.id, 'gb_id', c.gb_id, 'name_zh', c.name_zh, 'observed', c.observed, 'reason', c.reason, 'is_online', c.is_online
        ) ORDER BY c.is_online DESC, c.id)
        FROM analysis.camera AS c JOIN place AS p ON ST_Covers(c.ground, p.at)
    ) AS cameras,
    (
        SELECT jsonb_agg(to_jsonb(near) ORDER BY near.distance_m)
        FROM (
            SELECT s.id, s.name_zh, s.hazard_level, s.cell_code, round(ST_Distance(s.geom, p.at)::numeric, 1) AS distance_m
            FROM registry.site AS s JOIN place AS p ON ST_DWithin(s.geom, p.at, %(within_m)s) CROSS JOIN today AS t
            WHERE s.active_from <= t.day AND coalesce(s.active_to > t.day, true)
            ORDER BY s.geom <-> p.at LIMIT 5
        ) AS near
    ) AS sites
