-- needs: parameter, own_area, risk_site, unit
-- Middles of the hexagons of the surface (RETURNS TABLE: so that it is written into the question and not called a million times). Pointy at the top, `width_m` from side to side; axial coordinates q, r from the
-- metric zone's own origin, so that a hexagon keeps its name whatever the district's outline does.
CREATE FUNCTION analysis.hex_middle(q integer, r integer, width_m double precision) RETURNS TABLE (x double precision, y double precision)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT width_m * (q + r / 2.0::float8), width_m * sqrt(0.75::float8) * r
$$;
COMMENT ON FUNCTION analysis.hex_middle IS '六边形中心（城市平面坐标，米）; middle of the hexagon q, r (pointy top, width_m from side to side), metres of the city''s zone.';

-- The hexagon in which a point lies: axial coordinates rounded as a cube's.
CREATE FUNCTION analysis.hex_of(x double precision, y double precision, width_m double precision) RETURNS TABLE (q integer, r integer)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT
        CASE WHEN n.dq > n.dr AND n.dq > n.ds THEN -n.rr - n.rs ELSE n.rq END::integer,
        CASE WHEN NOT (n.dq > n.dr AND n.dq > n.ds) AND n.dr > n.ds THEN -n.rq - n.rs ELSE n.rr END::integer
    FROM (
        SELECT
            round(f.q) AS rq, round(f.r) AS rr, round(-f.q - f.r) AS rs,
            abs(round(f.q) - f.q) AS dq, abs(round(f.r) - f.r) AS dr, abs(round(-f.q - f.r) + f.q + f.r) AS ds
        FROM (SELECT x / width_m - y / (width_m * sqrt(3::float8)) AS q, y / (width_m * sqrt(0.75::float8)) AS r) AS f
    ) AS n
$$;
COMMENT ON FUNCTION analysis.hex_of IS '点所在的六边形; the hexagon (axial q, r) in which a point of the city''s zone lies.';

CREATE FUNCTION analysis.hex_shape(q integer, r integer, width_m double precision) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ST_SetSRID(ST_MakePolygon(ST_MakeLine(ARRAY[
        ST_MakePoint(m.x, m.y + width_m / sqrt(3::float8)),
        ST_MakePoint(m.x + width_m / 2, m.y + width_m / sqrt(12::float8)),
        ST_MakePoint(m.x + width_m / 2, m.y - width_m / sqrt(12::float8)),
        ST_MakePoint(m.x, m.y - width_m / sqrt(3::float8)),
        ST_MakePoint(m.x - width_m / 2, m.y - width_m / sqrt(12::float8)),
        ST_MakePoint(m.x - width_m / 2, m.y + width_m / sqrt(12::float8)),
        ST_MakePoint(m.x, m.y + width_m / sqrt(3::float8))
    ])), :srid)
    FROM analysis.hex_middle(q, r, width_m) AS m
$$;
COMMENT ON FUNCTION analysis.hex_shape IS '六边形; the hexagon q, r as a polygon of the city''s zone.';

CREATE FUNCTION analysis.hex_no(q integer, r integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (q + 100000)::bigint * 1000000 + r + 100000 $$;
COMMENT ON FUNCTION analysis.hex_no IS '六边形编号; one number for the hexagon q, r.';

CREATE FUNCTION analysis.risk_rate_class(rate double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN rate >= 75 THEN 'from_75' WHEN rate >= 55 THEN 'from_55' WHEN rate >= 45 THEN 'from_45' WHEN rate >= 35 THEN 'from_35'
        WHEN rate >= 20 THEN 'from_20' WHEN rate IS NOT NULL THEN 'below_20' ELSE 'not_known'
    END
$$;
COMMENT ON FUNCTION analysis.risk_rate_class IS '平均风险分的档; class of a mean score, 0 to 100; NULL = not known.';

CREATE FUNCTION analysis.risk_density_class(density double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN density >= 100 THEN 'from_100' WHEN density >= 30 THEN 'from_30' WHEN density >= 10 THEN 'from_10'
        WHEN density >= 3 THEN 'from_3' WHEN density >= 1 THEN 'from_1' WHEN density > 0 THEN 'above_0' ELSE 'no_site'
    END
$$;
COMMENT ON FUNCTION analysis.risk_density_class IS '风险密度的档; class of a density of risk, per km².';

-- Two surfaces over the hexagons whose middle x lies in the district, with the quartic kernel w(d) = (1 − (d/b)²)² for d < b:
--   rate      m(x) = Σ w·R / Σ w            mean score around x, NULL where Σ w is below risk_rate_weight_min
--   density   λ(x) = Σ (R/100)·3/(πb²)·w / inside_share(x), per km²
-- inside_share is the part of the kernel's mass that lies in the district (beyond the border nobody keeps a register): the
-- mean over 16 rings of equal mass with 24 points each.
-- Whoever does not see the whole district gets the hexagons around which every site is theirs to see.
-- near: only what lies near a box (EPSG:3857), and no score is worked out but those that count there: a tile of a past day.
-- Of a past moment inside_share is that of the kept copy where it has the hexagon: the outlines are today's for every day.
CREATE FUNCTION analysis.risk_surface_at(
    moment timestamptz, kernel_m double precision DEFAULT NULL, near geometry DEFAULT NULL
) RETURNS TABLE (
    hex_no bigint, q integer, r integer, rate double precision, rate_class text, density double precision, density_class text,
    weight double precision, inside_share double precision, town_codes text[], bandwidth_m double precision, as_of timestamptz,
    geom geometry(Polygon, :srid), geom_3857 geometry(Polygon, 3857)
)
-- Nobody can tell the planner how many hexagons there will be: it would look each of them up in all others.
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET enable_nestloop = off SET work_mem = '256MB' SET jit = off AS $$
#variable_conflict use_column
DECLARE
    b constant double precision := coalesce(kernel_m, analysis.parameter_value('risk_bandwidth_m'));
    width constant double precision := analysis.parameter_value('risk_hex_m');
    least_weight constant double precision := analysis.parameter_value('risk_rate_weight_min');
    all_of_it constant boolean := analysis.sees_all();
    whole constant text[] := ARRAY(SELECT w.code FROM analysis.whole_unit AS w);
    reach constant integer := ceil(b / (width * sqrt(0.75)) + 1)::integer;
    -- A district without an outline of its own is its towns.
    ground constant geometry := coalesce(
        (SELECT ST_Union(u.geom) FROM territory.unit AS u WHERE u.level = 'county' AND u.valid_to IS NULL),
        (SELECT ST_Union(u.geom) FROM territory.unit AS u WHERE u.level = 'town' AND u.valid_to IS NULL)
    );
    -- Where the reader sees every site.
    own constant geometry := CASE WHEN all_of_it THEN NULL ELSE (
        SELECT ST_Union(u.geom) FROM territory.unit AS u WHERE u.level = 'town' AND u.valid_to IS NULL AND u.code = ANY (whole)
    ) END;
    box constant geometry := ST_Envelope(ST_Transform(ST_Segmentize(near, greatest(ST_XMax(near) - ST_XMin(near), 1) / 16), :srid));
    area geometry := ST_Envelope(ground);
    only_sites bigint[];
    shape constant geometry := analysis.hex_shape(0, 0, width);
BEGIN
    IF b < width / 2 OR b > 5000 THEN
        RAISE EXCEPTION '核半径 % 米不可用：% 至 5000 / a kernel of % m cannot be used: % to 5000', b, width / 2, b, width / 2
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF ground IS NULL OR (NOT all_of_it AND own IS NULL) THEN
        RETURN;
    END IF;
    IF box IS NOT NULL AND NOT ST_Contains(box, area) THEN
        area := ST_Intersection(area, ST_Expand(box, width));
        IF ST_Dimension(area) < 2 OR ST_IsEmpty(area) THEN
            RETURN;
        END IF;
        only_sites := ARRAY(SELECT s.id FROM registry.site AS s WHERE s.geom && ST_Expand(area, b));
    END IF;
    RETURN QUERY
    WITH hex AS MATERIALIZED (
        SELECT h.q, h.r, m.x, m.y, ST_SetSRID(ST_MakePoint(m.x, m.y), :srid) AS at
        FROM (
            SELECT a.q, a.r
            FROM generate_series(floor(ST_YMin(area) / (width * sqrt(0.75)))::integer, ceil(ST_YMax(area) / (width * sqrt(0.75)))::integer) AS a0 (r)
            CROSS JOIN LATERAL (
                SELECT s.q, a0.r FROM generate_series(
                    floor(ST_XMin(area) / width - a0.r / 2.0)::integer, ceil(ST_XMax(area) / width - a0.r / 2.0)::integer
                ) AS s (q)
            ) AS a
        ) AS h
        CROSS JOIN LATERAL analysis.hex_middle(h.q, h.r, width) AS m
        -- The district comes first and as one: PostGIS keeps its index from point to point.
        WHERE ST_Intersects(ground, ST_SetSRID(ST_MakePoint(m.x, m.y), :srid))
    ),
    -- Hexagons around a site's own whose middle may lie within b of it.
    step AS MATERIALIZED (
        SELECT i.n AS q, j.n AS r
        FROM generate_series(-reach, reach) AS i (n) CROSS JOIN generate_series(-reach, reach) AS j (n)
        CROSS JOIN LATERAL analysis.hex_middle(i.n, j.n, width) AS m
        WHERE m.x * m.x + m.y * m.y < (b + width / sqrt(3::float8)) ^ 2
    ),
    site AS MATERIALIZED (
        SELECT c.score, s.town_code, ST_X(s.geom) AS x, ST_Y(s.geom) AS y, o.q, o.r
        FROM analysis.risk_state(moment, NULL, NULL, only_sites) AS c
        JOIN registry.site AS s ON s.id = c.site_id
        CROSS JOIN LATERAL analysis.hex_of(ST_X(s.geom), ST_Y(s.geom), width) AS o
        OFFSET 0
    ),
    near AS (
        SELECT n.q, n.r, n.score, n.town_code, (1 - n.d2 / (b * b)) ^ 2 AS w
        FROM (
            SELECT
                s.q + t.q AS q, s.r + t.r AS r, s.score, s.town_code,
                (width * (s.q + t.q + (s.r + t.r) / 2.0::float8) - s.x) ^ 2 + (width * sqrt(0.75::float8) * (s.r + t.r) - s.y) ^ 2 AS d2
            FROM site AS s CROSS JOIN step AS t
            OFFSET 0
        ) AS n
        WHERE n.d2 < b * b
    ),
    summed AS (
        SELECT
            n.q, n.r, sum(n.w) AS weight, sum(n.w * n.score) AS scored,
            -- A site of no town is seen by readers of the whole district only, and so is what it colours.
            array_agg(DISTINCT coalesce(n.town_code, '')) AS towns
        FROM near AS n GROUP BY n.q, n.r
    ),
    -- Whole where the district reaches as far as the kernel; worked out point by point near its border only.
    ring AS MATERIALIZED (
        SELECT b * sqrt(1 - (1 - (i.n - 0.5) / 16) ^ (1 / 3.0::float8)) AS d, 2 * pi() * (j.n + i.n / 16.0) / 24 AS angle
        FROM generate_series(1, 16) AS i (n) CROSS JOIN generate_series(1, 24) AS j (n)
    ),
    inside AS (
        SELECT
            h.q, h.r, h.x, h.y,
            CASE
                WHEN ST_Contains(ground, ST_Buffer(h.at, b)) THEN 1
                WHEN k.inside_share IS NOT NULL THEN k.inside_share
                ELSE (
                    SELECT count(*) FILTER (
                        WHERE ST_Intersects(ground, ST_SetSRID(ST_MakePoint(h.x + g.d * cos(g.angle), h.y + g.d * sin(g.angle)), :srid))
                    ) / count(*)::double precision
                    FROM ring AS g
                )
            END AS share
        FROM hex AS h
        LEFT JOIN registry.risk_hex AS k ON k.q = h.q AND k.r = h.r AND k.bandwidth_m = b AND moment <> now()
            -- Hexagons of another width have other places.
            AND abs(ST_XMax(k.geom) - h.x - width / 2) < 0.01
        WHERE all_of_it OR ST_Contains(own, ST_Buffer(h.at, b))
    ),
    worked AS MATERIALIZED (
        SELECT
            i.q, i.r, CASE WHEN coalesce(s.weight, 0) >= least_weight THEN s.scored / s.weight END AS rate,
            1e6 * coalesce(s.scored, 0) / 100 * 3 / (pi() * b * b) / greatest(i.share, 1 / 384.0) AS density,
            coalesce(s.weight, 0) AS weight, i.share, coalesce(s.towns, '{}') AS towns, ST_Translate(shape, i.x, i.y) AS at
        FROM inside AS i
        LEFT JOIN summed AS s ON s.q = i.q AND s.r = i.r
        WHERE i.share > 0
    )
    SELECT
        analysis.hex_no(w.q, w.r), w.q, w.r, w.rate, analysis.risk_rate_class(w.rate), w.density, analysis.risk_density_class(w.density),
        w.weight, w.share, w.towns, b, moment, w.at, ST_Transform(w.at, 3857)
    FROM worked AS w;
END $$;
COMMENT ON FUNCTION analysis.risk_surface_at(timestamptz, double precision, geometry) IS '风险面（六边形）：平均风险 rate 与风险密度 density（每平方公里）; two surfaces of risk on hexagons: rate = mean score around the middle (0 to 100; NULL = hardly a site near), density = weighted scores per km², the kernel''s radius in bandwidth_m, corrected at the district''s border. Holds no name of any site.';

-- The copy that the map draws, as of its time.
CREATE VIEW analysis.risk_surface AS
SELECT
    analysis.hex_no(h.q, h.r) AS hex_no, h.q, h.r, h.rate, analysis.risk_rate_class(h.rate) AS rate_class, h.density,
    analysis.risk_density_class(h.density) AS density_class,
    h.weight, h.inside_share, h.town_codes, h.bandwidth_m, h.computed_at AS as_of, h.geom, h.geom_3857
FROM registry.risk_hex AS h;
COMMENT ON VIEW analysis.risk_surface IS '风险面的副本（地图所画），as_of 为其时刻; the surfaces as the map draws them, worked out at as_of (geoapp layers refresh, and the watch); at any moment: analysis.risk_surface_at(moment, kernel_m).';
COMMENT ON COLUMN analysis.risk_surface.rate IS 'Mean score (0 to 100) of the sites within bandwidth_m, near ones counting more; NULL = hardly a site near, not known.';
COMMENT ON COLUMN analysis.risk_surface.density IS 'Sum of scores/100 by the quartic kernel, per km², corrected at the district''s border.';
COMMENT ON COLUMN analysis.risk_surface.town_codes IS 'Towns of the sites within bandwidth_m, an empty text for one of no town: who does not see all of them does not see the hexagon.';

-- Renews the copy; returns how many hexagons. Nothing is written where it is younger than `older_than`.
CREATE FUNCTION analysis.keep_risk_surface(older_than interval DEFAULT '0') RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    made bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(748116319)
        OR EXISTS (SELECT FROM registry.risk_hex AS h WHERE h.computed_at > now() - older_than) THEN
        RETURN NULL;
    END IF;
    DELETE FROM registry.risk_hex;
    INSERT INTO registry.risk_hex (q, r, town_codes, rate, density, weight, inside_share, bandwidth_m, computed_at, geom)
    SELECT
        s.q, s.r,
        -- Where no site is near, the town in which the middle lies.
        CASE WHEN cardinality(s.town_codes) > 0 THEN s.town_codes ELSE coalesce(ARRAY(
            SELECT u.code FROM territory.unit AS u
            WHERE u.level = 'town' AND u.valid_to IS NULL AND u.geom && ST_Centroid(s.geom) AND ST_Intersects(u.geom, ST_Centroid(s.geom))
        ), '{}') END,
        s.rate, s.density, s.weight, s.inside_share, s.bandwidth_m, s.as_of, s.geom
    FROM analysis.risk_surface_at(now()) AS s;
    GET DIAGNOSTICS made = ROW_COUNT;
    INSERT INTO territory.layer_version AS v (layer, version, changed_at) VALUES ('risk_surface', 1, now())
    ON CONFLICT (layer) DO UPDATE SET version = v.version + 1, changed_at = excluded.changed_at;
    RETURN made;
END $$;
COMMENT ON FUNCTION analysis.keep_risk_surface IS '更新风险面的副本; renews registry.risk_hex and its layer''s version: how many hexagons, NULL = young enough, or somebody else is at it.';
REVOKE EXECUTE ON FUNCTION analysis.keep_risk_surface FROM PUBLIC;
