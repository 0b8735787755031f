-- needs: parameter, own_area, key_risk_area, risk_site
-- What is still to be seen: of a key risk area the share that the rule asks for, of a red or orange site the ground around
-- it, less what the cameras see that are installed. One that stands and is not looked through needs mending, not another one.
CREATE FUNCTION analysis.unseen_ground(moment timestamptz, town text DEFAULT NULL) RETURNS TABLE (
    kind text, subject_id text, name_zh text, level text, weight double precision, area_m2 double precision,
    need_m2 double precision, seen_m2 double precision, unseen geometry(Geometry, :srid)
) LANGUAGE sql STABLE AS $$
    WITH rule AS (
        SELECT
            analysis.parameter_value('seen_fraction_min') AS share,
            sqrt(analysis.parameter_value('place_site_m2') / pi()) AS site_radius_m
    ),
    subject AS (
        SELECT 'key_risk_area' AS kind, a.id::text AS id, a.name_zh, a.level, a.geom, a.town_code
        FROM analysis.key_risk_area_at(moment) AS a WHERE ST_IsValid(a.geom)
        UNION ALL
        SELECT 'site', s.id::text, s.name_zh, r.level, ST_Buffer(s.geom, (SELECT u.site_radius_m FROM rule AS u)), s.town_code
        FROM analysis.risk_site_at(moment) AS r
        JOIN registry.site AS s ON s.id = r.site_id
        WHERE r.level IN ('red', 'orange')
    ),
    seen AS (
        SELECT s.*, ST_Area(s.geom) AS area_m2, (
            SELECT ST_Union(ST_Intersection(s.geom, c.ground))
            FROM registry.camera AS c
            WHERE c.sector && s.geom AND ST_Intersects(s.geom, c.ground)
                AND coalesce(c.installed_on <= (SELECT analysis.city_date(moment)), true)
                AND coalesce(c.retired_on > (SELECT analysis.city_date(moment)), true)
        ) AS seen
        FROM subject AS s
        WHERE town IS NULL OR s.town_code = town
    )
    SELECT
        s.kind, s.id, s.name_zh, s.level, analysis.parameter_value('place_weight_' || s.level), s.area_m2,
        r.share * s.area_m2 - coalesce(ST_Area(s.seen), 0), coalesce(ST_Area(s.seen), 0),
        ST_CollectionExtract(coalesce(ST_Difference(s.geom, s.seen, 0.001), s.geom), 3)
    FROM seen AS s CROSS JOIN rule AS r
    -- A thousandth of a square metre is rounding. What is left is rounded to the millimetre: exact differences leave spikes that
    -- no further step can read.
    WHERE coalesce(ST_Area(s.seen), 0) < r.share * s.area_m2 - 0.001
$$;
COMMENT ON FUNCTION analysis.unseen_ground IS '尚缺覆盖的重点风险源区域与红橙场所（按已装摄像机的视域）; key risk areas and red or orange sites of which installed cameras would see less than seen_fraction_min: how much is missing (need_m2) and where (unseen). A site counts as a disc of place_site_m2.';

-- Where cameras could stand: outlines of what is to be seen, walls and corners of buildings, roads, middles of cells, and
-- eight places around a site; in a cell, and in no building.
CREATE FUNCTION analysis.camera_candidates(kinds text[], unseens geometry[], reach_m double precision) RETURNS TABLE (
    origin text, cell_code text, geom geometry(Point, :srid)
) LANGUAGE sql STABLE AS $$
    WITH step AS (
        SELECT analysis.parameter_value('place_step_m') AS m
    ),
    gap AS MATERIALIZED (
        SELECT u.kind, u.unseen, ST_Expand(u.unseen, reach_m) AS near FROM unnest(kinds, unseens) AS u (kind, unseen)
    ),
    point AS (
        SELECT 'outline' AS origin, 1 AS rank, (ST_DumpPoints(ST_Segmentize(ST_Boundary(g.unseen), s.m))).geom AS geom
        FROM gap AS g CROSS JOIN step AS s WHERE g.kind = 'key_risk_area'
        UNION ALL
        SELECT 'building', 2, (ST_DumpPoints(ST_Segmentize(ST_Boundary(b.geom), s.m))).geom
        FROM territory.building AS b CROSS JOIN step AS s
        WHERE EXISTS (SELECT FROM gap AS g WHERE b.geom && g.near)
        UNION ALL
        SELECT 'road', 3, p.geom
        FROM gap AS g
        JOIN territory.base_feature AS f ON f.kind IN ('main_road', 'road') AND f.geom && g.near
        CROSS JOIN step AS s
        CROSS JOIN LATERAL ST_DumpPoints(ST_Segmentize(ST_ClipByBox2D(f.geom, g.near), s.m)) AS p
        UNION ALL
        SELECT 'site', 4, ST_SetSRID(ST_MakePoint(
            ST_X(ST_Centroid(g.unseen)) + reach_m / 2 * sind(45 * n), ST_Y(ST_Centroid(g.unseen)) + reach_m / 2 * cosd(45 * n)
        ), :srid)
        FROM gap AS g CROSS JOIN generate_series(0, 7) AS n WHERE g.kind = 'site'
        UNION ALL
        SELECT 'cell', 5, ST_PointOnSurface(c.geom)
        FROM territory.grid_cell AS c WHERE EXISTS (SELECT FROM gap AS g WHERE c.geom && g.near)
    ),
    -- Two places within the same metre are one.
    single AS (
        SELECT DISTINCT ON (round(ST_X(p.geom)), round(ST_Y(p.geom))) p.origin, p.geom
        FROM point AS p
        ORDER BY round(ST_X(p.geom)), round(ST_Y(p.geom)), p.rank, p.geom
    )
    SELECT s.origin, min(c.code), s.geom
    FROM single AS s
    JOIN territory.grid_cell AS c ON c.geom && s.geom AND ST_Intersects(c.geom, s.geom)
    WHERE NOT EXISTS (SELECT FROM territory.building AS b WHERE b.geom && s.geom AND ST_Contains(b.geom, s.geom))
    GROUP BY s.origin, s.geom
$$;
COMMENT ON FUNCTION analysis.camera_candidates IS '可试的摄像机点位（给定缺口）; places tried by analysis.next_cameras for gaps (kind and unseen of analysis.unseen_ground): outline, building, road, site (around it), cell.';

-- The next cameras, one after the other, each the one that closes most of what is left. The gain of a set of cameras grows
-- and its growth shrinks (a union of areas, cut off at what the rule asks for), so that this reaches at least 1 - 1/e (63 %)
-- of what the best set of as many of the same candidates would. Lazily: a candidate's gain can only fall, so that one whose
-- last known gain is below the best of this round is not reckoned again.
CREATE FUNCTION analysis.next_cameras(
    wanted integer, moment timestamptz, town text DEFAULT NULL, reach_m double precision DEFAULT 80, hfov_deg double precision DEFAULT 90
) RETURNS TABLE (
    place_no integer, gain double precision, closed_m2 double precision, gap_before double precision, gap_after double precision,
    azimuth_deg double precision, origin text, cell_code text, sees jsonb, geom geometry(Point, :srid), ground geometry(Geometry, :srid)
) LANGUAGE plpgsql STABLE SET work_mem = '128MB' AS $$
#variable_conflict use_column
DECLARE
    sought text[]; ids text[]; names text[]; levels text[]; weights double precision[]; areas double precision[];
    needs double precision[]; seens double precision[]; unseens geometry[];
    places geometry[]; azimuths double precision[]; origins text[]; cells text[]; bounds double precision[]; grounds geometry[];
    best integer;
    best_gain double precision;
    found double precision;
    i integer;
    k integer;
    closed double precision;
    clip double precision;
BEGIN
    IF wanted IS NULL OR wanted < 1 OR wanted > 200 OR NOT reach_m BETWEEN 5 AND 2000 OR NOT hfov_deg BETWEEN 5 AND 360 OR moment IS NULL THEN
        RAISE EXCEPTION '点位 1–200 个、视距 5–2000 米、视场角 5–360 度 / 1 to 200 places, a reach of 5 to 2000 m, a field of view of 5 to 360 degrees'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF town IS NOT NULL AND NOT EXISTS (SELECT FROM territory.unit AS u WHERE u.code = town AND u.level = 'town') THEN
        RAISE EXCEPTION '没有街镇 % / there is no town %', town, town USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT
        array_agg(u.kind), array_agg(u.subject_id), array_agg(u.name_zh), array_agg(u.level), array_agg(u.weight), array_agg(u.area_m2),
        array_agg(u.need_m2), array_agg(u.seen_m2), array_agg(u.unseen)
    INTO sought, ids, names, levels, weights, areas, needs, seens, unseens
    FROM (SELECT * FROM analysis.unseen_ground(moment, town) AS g ORDER BY g.kind, g.subject_id::bigint) AS u;
    IF sought IS NULL THEN
        RETURN;
    END IF;
    -- From each place towards the three heaviest gaps within reach. The first bound is what touches the sector, whole.
    WITH gap AS MATERIALIZED (
        SELECT g.unseen, g.weight * g.need AS heft, g.weight, g.need
        FROM unnest(unseens, weights, needs) AS g (unseen, weight, need)
    ),
    aimed AS MATERIALIZED (
        SELECT DISTINCT c.geom, c.origin, c.cell_code, t.azimuth_deg
        FROM analysis.camera_candidates(sought, unseens, reach_m) AS c
        CROSS JOIN LATERAL (
            SELECT (coalesce(round(degrees(ST_Azimuth(c.geom, ST_PointOnSurface(g.unseen)))::numeric), 0) % 360)::double precision AS azimuth_deg
            FROM gap AS g
            WHERE g.unseen && ST_Expand(c.geom, reach_m) AND ST_DWithin(g.unseen, c.geom, reach_m)
            ORDER BY g.heft DESC, g.unseen
            LIMIT 3
        ) AS t
    ),
    drawn AS MATERIALIZED (
        SELECT a.*, registry.wedge(a.geom, a.azimuth_deg, hfov_deg, reach_m) AS sector FROM aimed AS a
    ),
    bounded AS (
        SELECT d.geom, d.azimuth_deg, d.origin, d.cell_code, sum(g.heft) AS bound
        FROM drawn AS d JOIN gap AS g ON g.unseen && d.sector AND ST_Intersects(d.sector, g.unseen)
        GROUP BY d.geom, d.azimuth_deg, d.origin, d.cell_code
    )
    SELECT
        array_agg(b.geom), array_agg(b.azimuth_deg), array_agg(b.origin), array_agg(b.cell_code), array_agg(b.bound),
        array_agg(NULL::geometry)
    INTO places, azimuths, origins, cells, bounds, grounds
    FROM (SELECT * FROM bounded AS o ORDER BY o.bound DESC, ST_X(o.geom), ST_Y(o.geom), o.azimuth_deg) AS b;
    IF places IS NULL THEN
        RETURN;
    END IF;
    FOR n IN 1 .. wanted LOOP
        best := NULL;
        best_gain := 0.01;  -- less than a hundredth of a weighted square metre is nothing
        FOR i IN SELECT u.no FROM unnest(bounds) WITH ORDINALITY AS u (bound, no) WHERE u.bound > best_gain ORDER BY u.bound DESC, u.no LOOP
            EXIT WHEN bounds[i] <= best_gain;
            IF grounds[i] IS NULL THEN
                grounds[i] := registry.ground_seen(places[i], registry.wedge(places[i], azimuths[i], hfov_deg, reach_m));
            END IF;
            SELECT coalesce(sum(g.weight * least(g.need, ST_Area(ST_Intersection(grounds[i], g.unseen)))), 0) INTO found
            FROM unnest(unseens, weights, needs) AS g (unseen, weight, need)
            WHERE g.need > 0 AND g.unseen && grounds[i] AND ST_Intersects(grounds[i], g.unseen);
            bounds[i] := found;
            IF found > best_gain THEN
                best := i;
                best_gain := found;
            END IF;
        END LOOP;
        EXIT WHEN best IS NULL;
        place_no := n;
        gap_before := (SELECT sum(g.weight * greatest(g.need, 0)) FROM unnest(weights, needs) AS g (weight, need));
        closed := 0;
        sees := '[]';
        FOR k IN
            SELECT u.no FROM unnest(unseens) WITH ORDINALITY AS u (unseen, no)
            WHERE u.unseen && grounds[best] AND ST_Intersects(grounds[best], u.unseen) ORDER BY u.no
        LOOP
            clip := ST_Area(ST_Intersection(grounds[best], unseens[k]));
            CONTINUE WHEN clip < 0.01;
            seens[k] := seens[k] + clip;
            sees := sees || jsonb_build_object(
                'kind', sought[k], 'id', ids[k], 'name', names[k], 'level', levels[k], 'new_m2', round(clip::numeric, 1),
                'gain', round((weights[k] * least(greatest(needs[k], 0), clip))::numeric, 1),
                'seen_fraction_after', round((seens[k] / areas[k])::numeric, 3), 'is_closed', needs[k] - clip <= 0.001
            );
            closed := closed + least(greatest(needs[k], 0), clip);
            needs[k] := greatest(needs[k] - clip, 0);
            unseens[k] := ST_CollectionExtract(ST_Difference(unseens[k], grounds[best], 0.001), 3);
        END LOOP;
        gain := best_gain;
        closed_m2 := closed;
        gap_after := (SELECT sum(g.weight * g.need) FROM unnest(weights, needs) AS g (weight, need));
        azimuth_deg := azimuths[best];
        origin := origins[best];
        cell_code := cells[best];
        geom := places[best];
        ground := grounds[best];
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION analysis.next_cameras IS '下一批摄像机的建议点位（贪心，每处给出收益与所见）; the next places for cameras of a reach and field of view, each the one that closes most of the weighted gap (weight of the level x square metres up to what the rule asks for): gain, the gap before and after, and what it would newly see. At least 1 - 1/e of the best set of the same candidates.';
