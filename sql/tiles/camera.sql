-- needs: extent, analysis/camera, analysis/class_words
CREATE FUNCTION tiles.camera(z integer, x integer, y integer) RETURNS bytea
LANGUAGE sql STABLE AS $$
    WITH feature AS MATERIALIZED (
        SELECT
            c.id::integer AS id, CASE WHEN c.observed THEN 'observed' ELSE 'unobserved' END AS state, c.reason,
            c.is_online, c.azimuth_deg, analysis.camera_health_class(c.observed, c.reason) AS health, CASE WHEN z >= 14 THEN c.name_zh END AS name_zh,
            ST_AsMVTGeom(c.geom_3857, ST_TileEnvelope(z, x, y), 4096, 64, true) AS geom
        FROM analysis.camera AS c
        WHERE c.geom_3857 && tiles.search_box(z, x, y)
        ORDER BY c.id
    )
    SELECT ST_AsMVT(f, 'camera', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
$$;
COMMENT ON FUNCTION tiles.camera IS '摄像机; cameras: state observed|unobserved, reason, is_online, azimuth_deg, health.';

CREATE FUNCTION tiles.camera_sector(z integer, x integer, y integer) RETURNS bytea
LANGUAGE sql STABLE AS $$
    WITH feature AS MATERIALIZED (
        SELECT
            c.id::integer AS id, CASE WHEN c.observed THEN 'observed' ELSE 'unobserved' END AS state, c.is_online,
            analysis.camera_health_class(c.observed, c.reason) AS health,
            ST_AsMVTGeom(c.sector_3857, ST_TileEnvelope(z, x, y), 4096, 64, true) AS geom
        FROM analysis.camera AS c
        WHERE c.sector_3857 && tiles.search_box(z, x, y)
        ORDER BY c.id
    )
    SELECT ST_AsMVT(f, 'camera_sector', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
$$;
COMMENT ON FUNCTION tiles.camera_sector IS '摄像机视域; ground sectors of cameras: state, is_online, health.';
