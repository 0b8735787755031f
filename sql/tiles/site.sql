-- needs: extent, analysis/parameter
-- Sites one by one from close by, where a tile holds some thousands: one plan for all tiles.
CREATE FUNCTION tiles.close_site(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ground constant geometry := ST_TileEnvelope(z, x, y);
    west constant double precision := ST_XMin(ground);
    north constant double precision := ST_YMax(ground);
    per_m constant double precision := tiles.units_per_m(z);
    today constant date := analysis.city_date(now());
BEGIN
    RETURN (
    WITH feature AS MATERIALIZED (
        SELECT
            s.id, 1 AS n, s.hazard_level, CASE WHEN z >= 14 THEN s.name_zh END AS name_zh, r.category,
            ST_SnapToGrid(ST_TransScale(s.geom_3857, -west, -north, per_m, -per_m), 1) AS geom
        FROM registry.site AS s
        LEFT JOIN duty.rule AS r ON r.code = s.rule_code
        WHERE s.geom_3857 && ground AND s.active_from <= today AND (s.active_to IS NULL OR s.active_to > today)
        ORDER BY s.id
    )
    SELECT ST_AsMVT(f, 'site', 4096, 'geom', 'id') FROM feature AS f
    );
END
$$;
COMMENT ON FUNCTION tiles.close_site IS '近处的场所点; sites one by one: as tiles.site from zoom 14.';

-- Sites one by one from zoom 14, and from 12 where no more than a few thousand stand in the tile. Else one point for each 32nd of a tile
-- (zooms below 12) or 64th (12 and 13), with the number of sites and the worst grade: from registry.site_bin, which follows
-- every change; where a large one has left it behind, below zoom 12 from the sites themselves, which takes seconds. A firm's
-- sites are always counted themselves.
CREATE FUNCTION tiles.site(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    today constant date := analysis.city_date(now());
    is_kept constant boolean := (SELECT m.is_whole FROM registry.site_bin_made AS m)
        AND (SELECT m.scope FROM access.my_account AS m) IS DISTINCT FROM 'site';
    kept_level constant integer := CASE WHEN z < 12 THEN 16 ELSE 19 END;
    finer constant integer := kept_level - z;  -- the tile is 2 ^ finer bins wide
    coarser constant integer := CASE WHEN z < 12 THEN 11 - z ELSE 13 - z END;
    is_grouped boolean := z < 12;
BEGIN
    IF z >= 14 THEN
        RETURN tiles.close_site(z, x, y);
    END IF;
    IF z IN (12, 13) AND is_kept THEN
        -- The coarser bins say it as well, and are a sixtieth as many.
        is_grouped := (
            SELECT sum(b.n) > 4000 FROM registry.site_bin AS b
            WHERE b.level = 16 AND b.bin_x BETWEEN x << (16 - z) AND ((x + 1) << (16 - z)) - 1
                AND b.bin_y BETWEEN y << (16 - z) AND ((y + 1) << (16 - z)) - 1
                AND b.since <= today AND b.until > today
        );
    END IF;
    IF is_grouped AND is_kept THEN
        RETURN (
        -- A site that was taken out on a later day than it was put in for has left a 1 and a -1 in two rows: only sums say what is there.
        WITH graded AS (
            SELECT
                b.bin_x >> coarser AS bin_x, b.bin_y >> coarser AS bin_y, sum(b.n) AS n,
                sum(b.n) FILTER (WHERE b.hazard_level = 'red') AS red, sum(b.n) FILTER (WHERE b.hazard_level = 'orange') AS orange,
                sum(b.n) FILTER (WHERE b.hazard_level = 'yellow') AS yellow, sum(b.n) FILTER (WHERE b.hazard_level = 'blue') AS blue,
                sum(b.sum_x) AS sum_x, sum(b.sum_y) AS sum_y, sum(b.sum_id) AS sum_id
            FROM registry.site_bin AS b
            WHERE b.level = kept_level
                AND b.bin_x BETWEEN x << finer AND ((x + 1) << finer) - 1 AND b.bin_y BETWEEN y << finer AND ((y + 1) << finer) - 1
                AND b.since <= today AND b.until > today
            GROUP BY 1, 2
            HAVING sum(b.n) > 0
        ),
        bucket AS (
            SELECT
                -- Of one site its own id; of more, the place's.
                CASE WHEN g.n = 1 THEN g.sum_id ELSE g.bin_y::bigint << 20 | g.bin_x END AS id, g.n::integer AS n,
                CASE WHEN g.red > 0 THEN 'red' WHEN g.orange > 0 THEN 'orange' WHEN g.yellow > 0 THEN 'yellow' WHEN g.blue > 0 THEN 'blue' END
                    AS hazard_level,
                ST_SetSRID(ST_MakePoint(g.sum_x / g.n, g.sum_y / g.n), 3857) AS at
            FROM graded AS g
        ),
        feature AS MATERIALIZED (
            SELECT b.id::bigint AS id, b.n, b.hazard_level, ST_AsMVTGeom(b.at, ST_TileEnvelope(z, x, y), 4096, 0, true) AS geom
            FROM bucket AS b
        )
        SELECT ST_AsMVT(f, 'site', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
        );
    END IF;
    -- Planned for this tile: a plan for any tile takes every tile for a small one, and never a town's own index.
    RETURN (
    WITH near AS (
        SELECT s.id, s.hazard_level, s.rule_code, s.geom_3857
        FROM registry.site AS s
        WHERE s.geom_3857 && ST_TileEnvelope(z, x, y)
            AND s.active_from <= today AND (s.active_to IS NULL OR s.active_to > today)
    ),
    bucket AS (
        SELECT
            min(n.id) AS id, count(*)::integer AS n,
            (ARRAY['red', 'orange', 'yellow', 'blue'])[
                min(array_position(ARRAY['red', 'orange', 'yellow', 'blue'], n.hazard_level))
            ] AS hazard_level,
            NULL::text AS name_zh, NULL::text AS category,
            ST_Centroid(ST_Collect(n.geom_3857)) AS at
        FROM near AS n
        WHERE z < 12
        GROUP BY territory.bin_column(ST_X(n.geom_3857)) >> (15 - z), territory.bin_row(ST_Y(n.geom_3857)) >> (15 - z)
    ),
    single AS (
        SELECT
            n.id, 1 AS n, n.hazard_level, NULL::text AS name_zh, r.category, n.geom_3857 AS at
        FROM near AS n LEFT JOIN duty.rule AS r ON r.code = n.rule_code WHERE z >= 12
        ORDER BY n.id
    ),
    feature AS MATERIALIZED (
        SELECT p.id, p.n, p.hazard_level, p.name_zh, p.category, ST_AsMVTGeom(p.at, ST_TileEnvelope(z, x, y), 4096, 0, true) AS geom
        FROM (SELECT * FROM bucket UNION ALL SELECT * FROM single) AS p
    )
    SELECT ST_AsMVT(f, 'site', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
    );
END
$$;
COMMENT ON FUNCTION tiles.site IS '场所点; sites: hazard_level, category of the type, name_zh from zoom 14; below zoom 12, and in crowded tiles below 14, aggregated, n = number of sites.';
