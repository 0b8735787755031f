-- needs: parameter, own_area
-- Key risk areas that joined the network, against the target, from dated rows alone: the answer for a past day is the same
-- whenever it is asked. Of the whole district (town NULL), for those who see all of it, or of a whole town.
CREATE FUNCTION analysis.onboarding_days(since date, until date, town text DEFAULT NULL) RETURNS TABLE (
    day date, joined_to_date bigint, left_to_date bigint, left_day_not_known bigint,
    in_network bigint, year_joined bigint, target integer,
    due_by_day double precision, share double precision, target_set_on date
) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    IF since IS NULL OR until IS NULL OR until < since OR until > since + 3660 THEN
        RAISE EXCEPTION '时段不合规：起 %，止 %（最多 3660 天）/ no span of days: from %, to % (3660 at most)', since, until, since, until
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF town IS NOT NULL AND NOT EXISTS (SELECT FROM territory.unit AS u WHERE u.code = town AND u.level = 'town') THEN
        RAISE EXCEPTION '没有街镇 % / there is no town %', town, town USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
    WITH may_know AS (
        SELECT CASE
            WHEN town IS NULL THEN (SELECT analysis.sees_all())
            ELSE town = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
        END AS yes
    ),
    area AS MATERIALIZED (
        SELECT a.onboarded_on, a.retired_on, a.status = 'retired' AND a.retired_on IS NULL AS is_undated FROM registry.key_risk_area AS a
        WHERE a.onboarded_on IS NOT NULL AND (town IS NULL OR a.town_code = town)
    ),
    calendar AS (
        SELECT d::date AS day, date_part('year', d)::integer AS year, make_date(date_part('year', d)::integer, 1, 1) AS new_year
        FROM generate_series(since::timestamp, until::timestamp, interval '1 day') AS d
    ),
    counted AS (
        SELECT
            c.day, c.year, c.new_year,
            count(a.onboarded_on) AS joined,
            count(*) FILTER (WHERE a.retired_on <= c.day) AS gone,
            count(*) FILTER (WHERE a.is_undated) AS gone_undated,
            count(*) FILTER (WHERE a.onboarded_on >= c.new_year) AS this_year
        FROM calendar AS c LEFT JOIN area AS a ON a.onboarded_on <= c.day
        GROUP BY c.day, c.year, c.new_year
    )
    SELECT
        c.day, c.joined, c.gone, c.gone_undated, c.joined - c.gone - c.gone_undated, c.this_year, t.areas,
        t.areas * (c.day - c.new_year + 1)::double precision / ((c.new_year + interval '1 year')::date - c.new_year),
        c.this_year::double precision / nullif(t.areas, 0), t.set_on
    FROM counted AS c
    CROSS JOIN may_know AS m
    LEFT JOIN LATERAL (
        SELECT g.areas, g.set_on FROM registry.onboarding_target AS g
        WHERE g.year = c.year AND g.town_code IS NOT DISTINCT FROM town AND g.set_on <= c.day
        ORDER BY g.set_on DESC, g.id DESC
        LIMIT 1
    ) AS t ON true
    WHERE m.yes
    ORDER BY c.day;
END $$;
COMMENT ON FUNCTION analysis.onboarding_days IS '重点风险源区域接入曲线，逐日；对照当日有效的年度目标; per day: areas joined and gone to date, in the network (without those that are gone and nobody knows since when: left_day_not_known), joined this year, the target in force on that day (NULL = none was set), what of it was due by an even pace, and the share reached.';

-- One row a year, as it stood at the end of it or, of the running year, on the day.
CREATE FUNCTION analysis.onboarding_on(day date, town text DEFAULT NULL) RETURNS TABLE (
    year integer, as_of date, year_joined bigint, target integer, due_by_day double precision, share double precision,
    joined_to_date bigint, in_network bigint
) LANGUAGE sql STABLE AS $$
    WITH began AS (
        SELECT least(min(a.onboarded_on), min(make_date(g.year, 1, 1))) AS on_day
        FROM (
            SELECT a.onboarded_on FROM registry.key_risk_area AS a WHERE a.onboarded_on <= day AND (town IS NULL OR a.town_code = town)
        ) AS a
        FULL JOIN (
            SELECT g.year FROM registry.onboarding_target AS g
            WHERE g.set_on <= day AND g.town_code IS NOT DISTINCT FROM town AND g.year <= date_part('year', day)
        ) AS g ON false
    ),
    year_end AS (
        SELECT y AS year, least(make_date(y, 12, 31), day) AS as_of
        FROM began AS b CROSS JOIN LATERAL generate_series(date_part('year', b.on_day)::integer, date_part('year', day)::integer) AS y
    )
    SELECT e.year, e.as_of, d.year_joined, d.target, d.due_by_day, d.share, d.joined_to_date, d.in_network
    FROM year_end AS e CROSS JOIN LATERAL analysis.onboarding_days(e.as_of, e.as_of, town) AS d
    ORDER BY e.year
$$;
COMMENT ON FUNCTION analysis.onboarding_on IS '重点风险源区域逐年接入与目标，截至某日; per year up to a day: areas joined in it against the target that held at its end (or on the day).';
CREATE VIEW analysis.onboarding AS SELECT * FROM analysis.onboarding_on(analysis.city_date(now()));
COMMENT ON VIEW analysis.onboarding IS '全区重点风险源区域逐年接入与目标，截至今日; the district''s yearly onboarding against target, today.';
