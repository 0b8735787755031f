-- The rows of analysis.expected_event for a past day, from squares that layers/past_events.py has worked out; to stand after FROM.
-- side in metres, xs and ys the squares' lower left corners in the city's zone (EPSG code srid).
(
    WITH square AS NOT MATERIALIZED (
        SELECT
            u.place, u.share, u.tenth, ST_MakeEnvelope(u.x, u.y, u.x + {side}, u.y + {side}, {srid}) AS geom,
            ST_SetSRID(ST_MakePoint(u.x + {side} / 2, u.y + {side} / 2), {srid}) AS middle
        FROM unnest({places}::integer[], {shares}::double precision[], {tenths}::integer[], {xs}::double precision[], {ys}::double precision[])
            AS u (place, share, tenth, x, y)
    )
    SELECT
        s.place,
        (
            SELECT t.code FROM territory.unit AS t
            WHERE t.level = 'town' AND t.valid_to IS NULL AND t.geom && s.middle AND ST_Intersects(t.geom, s.middle) ORDER BY t.code LIMIT 1
        ) AS town_code,
        (
            SELECT g.code FROM territory.grid_cell AS g
            WHERE g.geom && s.middle AND ST_Intersects(g.geom, s.middle) ORDER BY g.code LIMIT 1
        ) AS cell_code,
        s.share, s.share * {total}::double precision AS expected, s.tenth,
        CASE WHEN s.tenth <= 3 THEN (ARRAY['first', 'second', 'third'])[s.tenth] WHEN s.tenth <= 5 THEN 'to_half' ELSE 'rest' END AS band,
        {day}::date AS cut_day, {moment}::timestamptz AS made_at, s.geom, ST_Transform(s.geom, 3857) AS geom_3857
    FROM square AS s
)
