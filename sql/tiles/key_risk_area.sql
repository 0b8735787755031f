-- needs: extent, analysis/parameter, analysis/camera, analysis/class_words, analysis/sight
-- As analysis.key_risk_area, for the areas of one tile only.
CREATE FUNCTION tiles.key_risk_area(z integer, x integer, y integer) RETURNS bytea
LANGUAGE sql STABLE AS $$
    WITH area AS (
        SELECT a.id, a.code, a.name_zh, a.name_en, a.level, a.onboarded_on, a.geom, a.geom_3857
        FROM registry.key_risk_area AS a
        WHERE a.status = 'active' AND a.geom_3857 && tiles.search_box(z, x, y)
            AND coalesce(a.onboarded_on <= (SELECT analysis.city_date(now())), true)
            AND coalesce(a.retired_on > (SELECT analysis.city_date(now())), true)
    ),
    online AS MATERIALIZED (
        SELECT o.sector FROM analysis.online_sector_at(now()) AS o
    ),
    seen AS (
        SELECT a.id, ST_Area(ST_Union(ST_Intersection(a.geom, o.sector))) / nullif(ST_Area(a.geom), 0) AS fraction
        FROM area AS a JOIN online AS o ON ST_IsValid(a.geom) AND a.geom && o.sector AND ST_Intersects(a.geom, o.sector)
        GROUP BY a.id, a.geom
    ),
    feature AS MATERIALIZED (
        SELECT
            a.id::integer AS id, a.code, a.name_zh, a.name_en, a.level,
            CASE
                WHEN s.fraction >= (SELECT analysis.parameter_value('seen_fraction_min'))
                    OR a.id <> ALL (ARRAY(SELECT unnest(analysis.areas_not_known())))
                    THEN round(least(coalesce(s.fraction, 0), 1)::numeric, 3)::double precision
            END AS seen_fraction,
            CASE WHEN s.fraction >= (SELECT analysis.parameter_value('seen_fraction_min')) THEN 'seen' ELSE 'under' END AS seen,
            analysis.onboarding_class(a.onboarded_on, now()) AS joined,
            ST_AsMVTGeom(a.geom_3857, ST_TileEnvelope(z, x, y), 4096, 64, true) AS geom
        FROM area AS a LEFT JOIN seen AS s ON s.id = a.id
        ORDER BY a.id
    )
    SELECT ST_AsMVT(f, 'key_risk_area', 4096, 'geom', 'id') FROM feature AS f WHERE f.geom IS NOT NULL
$$;
COMMENT ON FUNCTION tiles.key_risk_area IS '重点风险源区域; key risk source areas: code, name_zh, name_en, level, seen_fraction, seen, joined.';
