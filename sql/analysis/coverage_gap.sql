-- needs: parameter, own_area, unit, grid_cell, site, camera, key_risk_area, risk_site, site_check, no_cell
-- Orange and red sites that no online camera sees, by cell: all cells, or one. Of the present from kept counts.
CREATE FUNCTION analysis.unseen_site_count(moment timestamptz, only_cell text DEFAULT NULL) RETURNS TABLE (cell_code text, site_count bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    due text[];
BEGIN
    IF moment = now() AND only_cell IS NULL THEN
        due := analysis.risk_due_cells();
        RETURN QUERY SELECT c.cell_code, c.unseen_count::bigint FROM analysis.risk_cell_now(due) AS c WHERE c.unseen_count > 0;
    ELSE
        RETURN QUERY
        SELECT r.cell_code, count(*)
        FROM analysis.risk_state(moment, CASE WHEN only_cell IS NOT NULL THEN ARRAY[only_cell] END) AS r
        WHERE r.level IN ('orange', 'red') AND NOT r.is_seen AND r.cell_code IS NOT NULL
        GROUP BY r.cell_code;
    END IF;
END $$;
COMMENT ON FUNCTION analysis.unseen_site_count IS '各网格无在线摄像机看到的红橙场所数; orange and red sites that no online camera sees, by cell. Complete for cells that the reader sees whole.';

-- What nobody watches, by kind (one row a gap), everywhere or in one cell. Farmland without a camera is no gap. with_sites: also
-- the sites that are not checked, which are many.
CREATE FUNCTION analysis.coverage_gap_at(moment timestamptz, only_cell text DEFAULT NULL, with_sites boolean DEFAULT true) RETURNS TABLE (
    kind text, subject text, subject_id text, name_zh text, name_en text, cell_code text, cell_no integer,
    town_code text, area_m2 double precision, seen_fraction double precision, since timestamptz,
    colour text, detail_zh text, detail_en text, geom geometry(Geometry, :srid), as_of timestamptz
) LANGUAGE sql STABLE AS $$
    WITH cell AS MATERIALIZED (
        SELECT
            g.code, g.cell_no, g.town_code, g.name_zh, g.worker_count, g.geom,
            -- What stands in it is known to those who see all of it.
            (SELECT analysis.sees_all()) OR g.community_code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w)) AS is_whole
        FROM analysis.grid_cell_at(moment) AS g
        WHERE only_cell IS NULL OR g.code = only_cell
    ),
    -- Cameras that stand in the reader's area; a neighbour's camera that looks in is the neighbour's gap.
    camera AS MATERIALIZED (
        SELECT c.* FROM analysis.camera_at(moment) AS c CROSS JOIN analysis.own_area AS o
        WHERE CASE o.scope WHEN 'town' THEN c.town_code = ANY (o.areas) WHEN 'community' THEN left(c.cell_code, 12) = ANY (o.areas) ELSE true END
    ),
    area AS MATERIALIZED (
        SELECT a.* FROM analysis.key_risk_area_at(moment) AS a
    ),
    -- Ground in no cell, declared or not.
    no_cell AS (
        SELECT
            'no_cell', 'ground', n.id::text, n.name_zh, n.name_en, NULL::text, NULL::integer, n.town_code,
            n.area_m2, NULL::double precision,
            n.declared_on::timestamp AT TIME ZONE coalesce((SELECT t.timezone FROM territory.city AS t), 'Asia/Shanghai'),
            NULL::text,
            CASE WHEN n.declared THEN '已声明：' || n.reason ELSE '未声明' END,
            CASE WHEN n.declared THEN 'declared' ELSE 'not declared' END,
            n.geom
        FROM analysis.no_cell AS n
    ),
    no_grid_worker AS (
        SELECT
            'no_grid_worker', 'cell', c.code, c.name_zh, '', c.code, c.cell_no, c.town_code,
            ST_Area(c.geom), NULL::double precision, NULL::timestamptz, NULL::text, '没有在岗网格员', 'no grid worker in office', c.geom
        FROM cell AS c WHERE c.worker_count = 0 AND c.is_whole
    ),
    -- A key risk area of which online cameras see less than 60 %.
    area_unseen AS (
        SELECT
            'no_camera', 'key_risk_area', a.id::text, a.name_zh, a.name_en, c.code, c.cell_no, a.town_code,
            a.area_m2, a.seen_fraction, NULL::timestamptz, a.level,
            coalesce('在线摄像机可见 ' || round(100 * a.seen_fraction) || '%', '可见多少不知：该区域或附近视域的形状不合规'),
            coalesce(
                round(100 * a.seen_fraction) || ' % seen by online cameras',
                'how much is seen is not known: it or a sector near it is no valid shape'
            ),
            a.geom
        FROM area AS a
        LEFT JOIN cell AS c ON c.code = a.cell_code
        WHERE coalesce(a.seen_fraction < (SELECT analysis.parameter_value('seen_fraction_min')), true)
    ),
    -- What in a cell should be seen and is seen by no online camera: its key risk areas, its orange and red sites.
    unseen AS (
        SELECT c.code, count(*) AS areas, 0 AS sites
        FROM (SELECT ST_PointOnSurface(a.geom) AS at FROM area AS a WHERE a.online_camera_count = 0) AS p
        JOIN territory.grid_cell AS c ON c.geom && p.at AND ST_Intersects(c.geom, p.at)
        GROUP BY c.code
        UNION ALL
        SELECT k.cell_code, 0, k.site_count FROM analysis.unseen_site_count(moment, only_cell) AS k
    ),
    unseen_in_cell AS (
        SELECT u.code, sum(u.areas) AS areas, sum(u.sites) AS sites FROM unseen AS u GROUP BY u.code
    ),
    cell_unseen AS (
        SELECT
            'no_camera', 'cell', c.code, c.name_zh, '', c.code, c.cell_no, c.town_code,
            ST_Area(c.geom), NULL::double precision, NULL::timestamptz, NULL::text,
            '未被看到：重点风险源区域 ' || u.areas || '，红橙场所 ' || u.sites,
            'not seen: ' || u.areas || ' key risk areas, ' || u.sites || ' red or orange sites', c.geom
        FROM unseen_in_cell AS u JOIN cell AS c ON c.code = u.code AND c.is_whole
    ),
    -- A connected camera at whose picture nobody looked for hours.
    not_observed AS (
        SELECT
            'not_observed', 'camera', m.id::text, m.name_zh, m.gb_id, c.code, c.cell_no, coalesce(m.town_code, c.town_code),
            NULL::double precision, NULL::double precision, m.last_observed_at, NULL::text,
            '原因：' || coalesce(m.reason, '无记录'), 'reason: ' || coalesce(m.reason, 'no record'), m.geom
        FROM camera AS m
        LEFT JOIN cell AS c ON c.code = m.cell_code
        WHERE m.is_connected AND coalesce(
            m.last_observed_at < moment - make_interval(secs => 3600 * (SELECT analysis.parameter_value('not_observed_hours'))), true
        )
    ),
    -- A site without a visit, remote check or self-check in the period that its colour makes due; never visited is overdue.
    not_checked AS (
        SELECT
            'not_checked', 'site', s.id::text, s.name_zh, s.name_zh, s.cell_code, c.cell_no, s.town_code,
            NULL::double precision, NULL::double precision, k.last_visit_at, k.level,
            CASE WHEN k.last_visit_at IS NULL THEN '从未检查' ELSE '上次 ' || (t.today - analysis.city_date(k.last_visit_at)) || ' 天前' END,
            CASE WHEN k.last_visit_at IS NULL THEN 'never checked' ELSE 'last check ' || (t.today - analysis.city_date(k.last_visit_at)) || ' days ago' END,
            s.geom
        FROM analysis.site_check_at(moment, only_cell) AS k
        JOIN registry.site AS s ON s.id = k.site_id
        CROSS JOIN (SELECT analysis.city_date(moment) AS today) AS t
        -- Not the list above: of which nothing is known that would keep a million sites from being compared with each of its cells.
        LEFT JOIN territory.grid_cell AS c ON c.code = s.cell_code
        WHERE with_sites AND k.is_overdue
    )
    SELECT g.*, moment FROM (
        SELECT * FROM no_cell
        UNION ALL SELECT * FROM no_grid_worker
        UNION ALL SELECT * FROM area_unseen
        UNION ALL SELECT * FROM cell_unseen
        UNION ALL SELECT * FROM not_observed
        UNION ALL SELECT * FROM not_checked
    ) AS g (
        kind, subject, subject_id, name_zh, name_en, cell_code, cell_no, town_code, area_m2, seen_fraction, since,
        colour, detail_zh, detail_en, geom
    )
    -- Whoever may not read the constants gets no empty answer, but a fault.
    WHERE (only_cell IS NULL OR g.cell_code = only_cell) AND (SELECT analysis.parameter_value('seen_fraction_min')) IS NOT NULL
$$;
CREATE VIEW analysis.coverage_gap AS SELECT * FROM analysis.coverage_gap_at(now());
COMMENT ON VIEW analysis.coverage_gap IS '监管盲区，按类别：no_cell 无网格、no_grid_worker 无网格员、no_camera 无在线摄像机、not_observed 未查看、not_checked 未检查; coverage gaps by kind.';
COMMENT ON COLUMN analysis.coverage_gap.subject IS 'ground | cell | key_risk_area | camera | site: what subject_id names.';
COMMENT ON COLUMN analysis.coverage_gap.since IS 'Last time that somebody looked or checked, or the day of declaration; NULL = never or not known.';
COMMENT ON COLUMN analysis.coverage_gap.geom IS 'Polygon or point on the city''s metric zone, metres.';
