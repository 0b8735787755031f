-- Everything that the drawer of one cell shows: one row. Phones are the office's or the duty person's.
WITH moment AS MATERIALIZED (
    SELECT coalesce(%(as_of)s::timestamptz, now()) AS at
),
cell AS MATERIALIZED (
    SELECT g.* FROM moment AS m CROSS JOIN LATERAL analysis.grid_cell_at(m.at) AS g WHERE g.code = %(code)s
),
risk AS MATERIALIZED (
    SELECT r.* FROM analysis.risk_site_at(coalesce(%(as_of)s::timestamptz, now()), %(code)s) AS r
),
score AS (
    SELECT r.* FROM analysis.risk_cell_at(coalesce(%(as_of)s::timestamptz, now()), %(code)s) AS r
),
site AS (
    SELECT s.*, d.person_name, d.person_phone
    FROM analysis.site_at(coalesce(%(as_of)s::timestamptz, now()), %(code)s) AS s
    LEFT JOIN analysis.duty_lead_at(coalesce(%(as_of)s::timestamptz, now())) AS d
        ON d.unit_code = s.town_code AND d.rule_code = s.rule_code
    WHERE s.cell_code = %(code)s
),
day AS (
    SELECT analysis.city_date(m.at) AS today FROM moment AS m
),
-- Who answers for the cell itself, and for its community, town and county.
answering AS (
    SELECT s.role, p.name_zh, p.phone, 1 AS place, NULL::text AS unit_zh, NULL::text AS unit_en
    FROM duty.grid_staff AS s JOIN duty.person AS p ON p.id = s.person_id CROSS JOIN day AS d
    WHERE s.cell_code = %(code)s AND s.assigned_from <= d.today AND (s.assigned_to IS NULL OR s.assigned_to > d.today)
    UNION ALL
    SELECT s.role, p.name_zh, p.phone, CASE u.level WHEN 'community' THEN 2 WHEN 'town' THEN 3 ELSE 4 END, u.name_zh, u.name_en
    FROM cell AS c
    JOIN territory.unit AS u ON u.code IN (c.community_code, c.town_code, left(c.code, 6) || '000000')
    JOIN duty.unit_staff AS s ON s.unit_code = u.code
    JOIN duty.person AS p ON p.id = s.person_id
    CROSS JOIN day AS d
    WHERE s.assigned_from <= d.today AND (s.assigned_to IS NULL OR s.assigned_to > d.today)
)
SELECT
    m.at AS as_of,
    jsonb_build_object(
        'code', c.code, 'cell_no', c.cell_no, 'name_zh', c.name_zh, 'kind', c.kind, 'area_m2', round(c.area_m2::numeric, 1),
        'community_zh', c.community_zh, 'town_code', c.town_code, 'town_zh', c.town_zh, 'town_en', c.town_en,
        'bounds', (
            SELECT jsonb_build_array(ST_XMin(b.box), ST_YMin(b.box), ST_XMax(b.box), ST_YMax(b.box))
            FROM (SELECT ST_Transform(c.geom, 4326) AS box) AS b
        )
    ) AS cell,
    (
        SELECT to_jsonb(s) || jsonb_build_object(
            'reasons', (SELECT r.reasons FROM risk AS r WHERE r.site_id = s.top_site_id),
            'override_reason', (SELECT r.override_reason FROM risk AS r WHERE r.site_id = s.top_site_id),
            'override_zh', (SELECT r.override_zh FROM risk AS r WHERE r.site_id = s.top_site_id),
            'override_en', (SELECT r.override_en FROM risk AS r WHERE r.site_id = s.top_site_id)
        )
        FROM score AS s
    ) AS risk,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', s.id, 'name_zh', s.name_zh, 'uscc', s.uscc, 'place_type_zh', s.place_type_zh, 'place_type_en', s.place_type_en,
            'score', round(r.score::numeric, 1), 'level', r.level, 'reasons', r.reasons, 'override_reason', r.override_reason,
            'override_zh', r.override_zh, 'override_en', r.override_en,
            'unknown_parts', r.unknown_parts, 'is_stale', r.is_stale, 'open_hazard_count', s.open_hazard_count,
            'last_visit_at', s.last_visit_at, 'lead_code', s.lead_code, 'lead_zh', s.lead_zh, 'lead_en', s.lead_en,
            'duty_status', s.duty_status, 'person_name', s.person_name, 'phone', s.person_phone
        ) ORDER BY (r.level = 'red') DESC, r.score DESC, s.id), '[]')
        FROM site AS s JOIN risk AS r ON r.site_id = s.id
    ) AS sites,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', k.id, 'gb_id', k.gb_id, 'name_zh', k.name_zh, 'is_online', k.is_online, 'observed', k.observed, 'reason', k.reason,
            'last_observed_at', k.last_observed_at, 'stands_here', coalesce(k.cell_code = c.code, false)
        ) ORDER BY k.is_online DESC, k.id), '[]')
        FROM analysis.camera_at(m.at) AS k
        WHERE k.cell_code = c.code OR ST_Intersects(k.sector, c.geom)
    ) AS cameras,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'role', a.role, 'name_zh', a.name_zh, 'phone', a.phone, 'unit_zh', a.unit_zh, 'unit_en', a.unit_en
        ) ORDER BY a.place, a.role, a.name_zh), '[]') FROM answering AS a
    ) AS answering,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', e.id, 'incident_no', e.incident_no, 'class', e.class, 'state', CASE WHEN e.closed_at > m.at THEN 'open' ELSE e.state END,
            'review', CASE WHEN e.reviewed_at > m.at THEN 'unreviewed' ELSE e.review END,
            'first_seen_at', e.first_seen_at, 'last_seen_at', e.last_seen_at, 'evidence_id', e.evidence_id,
            'camera_name_zh', e.camera_name_zh, 'site_name_zh', e.site_name_zh
        ) ORDER BY e.last_seen_at DESC), '[]')
        FROM analysis.event AS e
        WHERE e.cell_code = c.code AND e.first_seen_at <= m.at AND NOT coalesce(e.closed_at <= m.at, e.state = 'closed')
    ) AS incidents,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'kind', g.kind, 'subject', g.subject, 'subject_id', g.subject_id, 'name_zh', g.name_zh, 'name_en', g.name_en,
            'since', g.since, 'seen_fraction', g.seen_fraction, 'detail_zh', g.detail_zh, 'detail_en', g.detail_en
        ) ORDER BY g.kind, g.subject, g.subject_id), '[]')
        FROM analysis.coverage_gap_at(coalesce(%(as_of)s::timestamptz, now()), %(code)s) AS g
    ) AS gaps,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'kind', g.kind, 'subject', g.subject, 'subject_id', g.subject_id, 'name_zh', g.name_zh, 'status', g.status
        ) ORDER BY g.kind, g.subject, g.subject_id), '[]')
        FROM analysis.duty_gap_at(coalesce(%(as_of)s::timestamptz, now()), %(code)s) AS g WHERE g.cell_code = c.code
    ) AS duty_gaps
FROM cell AS c CROSS JOIN moment AS m
