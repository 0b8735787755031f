-- needs: parameter, coverage_gap, duty
-- A number for a gap, the same whenever and by whomever it is asked: 52 bits, which a browser's numbers hold exactly.
CREATE FUNCTION analysis.gap_no(kind text, subject text, subject_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hashtextextended(kind || ':' || subject || ':' || subject_id, 0) & 4503599627370495
$$;
COMMENT ON FUNCTION analysis.gap_no IS '缺口的稳定编号; a stable number of a gap, from its kind and subject.';

-- Gaps as places on a map: analysis.coverage_gap with a number and a name of each.
CREATE FUNCTION analysis.coverage_gap_place_at(moment timestamptz) RETURNS TABLE (
    gap_no bigint, gap_id text, kind text, subject text, subject_id text, name_zh text, name_en text, cell_code text,
    town_code text, area_m2 double precision, seen_fraction double precision, since timestamptz, colour text,
    detail_zh text, detail_en text, geom geometry(Geometry, :srid)
) LANGUAGE sql STABLE AS $$
    SELECT
        analysis.gap_no(g.kind, g.subject, g.subject_id), concat_ws(':', g.kind, g.subject, g.subject_id),
        g.kind, g.subject, g.subject_id, g.name_zh, g.name_en, g.cell_code,
        g.town_code, g.area_m2, g.seen_fraction, g.since, g.colour, g.detail_zh, g.detail_en, g.geom
    FROM analysis.coverage_gap_at(moment) AS g
$$;
CREATE VIEW analysis.coverage_gap_place AS SELECT * FROM analysis.coverage_gap_place_at(now());
COMMENT ON VIEW analysis.coverage_gap_place IS '监管盲区的位置与编号; coverage gaps as places, each with a stable number (gap_no) and name (gap_id).';

-- What is missing, as one word: for sites and place types the standing of their lead, else the kind of gap.
CREATE FUNCTION analysis.duty_gap_class(kind text, status text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN kind IN ('no_grid_worker', 'no_town_person') THEN kind ELSE status END
$$;
COMMENT ON FUNCTION analysis.duty_gap_class IS '责任缺口的类别; missing | two_leads | disputed | proposed (nobody has confirmed it) | no_person | no_grid_worker | no_town_person.';

CREATE FUNCTION analysis.duty_gap_place_at(moment timestamptz) RETURNS TABLE (
    gap_no bigint, gap_id text, class text, kind text, subject text, subject_id text, name_zh text, name_en text, rule_code text,
    cell_code text, town_code text, status text, geom geometry(Geometry, :srid)
) LANGUAGE sql STABLE AS $$
    SELECT
        analysis.gap_no(g.kind, g.subject, g.subject_id), concat_ws(':', g.kind, g.subject, g.subject_id),
        analysis.duty_gap_class(g.kind, g.status), g.kind, g.subject, g.subject_id, g.name_zh, g.name_en, g.rule_code,
        g.cell_code, g.town_code, g.status, g.geom
    FROM analysis.duty_gap_at(moment) AS g
$$;
CREATE VIEW analysis.duty_gap_place AS SELECT * FROM analysis.duty_gap_place_at(now());
COMMENT ON VIEW analysis.duty_gap_place IS '责任缺口的位置、类别与编号; missing duties as places, each with its class, a stable number (gap_no) and name (gap_id). A place type without a site has no place.';
