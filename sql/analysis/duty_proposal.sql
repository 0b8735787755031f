-- needs: parameter, own_area, industry
-- The industries that a rule speaks of: entries of its list, C2672 (all that begins so) or C13-C43 (divisions from 13 to 43).
CREATE VIEW analysis.rule_industry AS
SELECT
    r.code AS rule_code, left(e.entry, 1) AS section,
    CASE WHEN e.entry !~ '-' THEN e.entry END AS prefix,
    substring(e.entry FROM '^[A-T]([0-9]{2})[0-9]*-[A-T]?[0-9]{2}')::integer AS first_division,
    substring(e.entry FROM '-[A-T]?([0-9]{2})')::integer AS last_division
FROM duty.rule AS r CROSS JOIN LATERAL regexp_split_to_table(upper(r.gbt4754), '[;；,，、[:space:]]+') AS e (entry)
WHERE e.entry ~ '^[A-S]([0-9]{2,4}(-[A-T]?[0-9]{2})?)?$';
COMMENT ON VIEW analysis.rule_industry IS '规则所列行业代码; the industries of each rule: a prefix of the code, or divisions from first to last.';

-- Sites without a place type, by industry, each with the nearest rules (at most three). 安全生产法 Art. 10: where the duty of
-- supervision over a new industry is not clear, the county's government settles it by the nearness of the business. This only
-- proposes; a person decides. Similarity is the weighted mean of what can be told of the two:
--   code   the longest part that the two codes share: class (letter and 4 digits) 1, group 0.9, division 0.8; a rule's range of
--          divisions that holds it 0.6; the section alone 0.3; nothing 0. Unknown where either has no code.
--   words  share of the character pairs of one of the rule's words that the industry's name holds, or a third of its sites' names.
--   kin    share of the rules of that section which this rule's department leads. Unknown without a code.
-- Rules about works of every trade (hot work, confined space) are no business and are not proposed.
CREATE FUNCTION analysis.duty_proposal_at(moment timestamptz) RETURNS TABLE (
    industry text, industry_zh text, industry_en text, site_count bigint, sample_names text[], place integer, similarity double precision,
    rule_code text, place_type_zh text, place_type_en text, department_code text, department_zh text, department_en text,
    is_covered boolean, is_decided boolean, code_score double precision, words_score double precision, kin_score double precision,
    shared_part text, shared_words text[], decided_document_no text, decided_on date
) LANGUAGE sql STABLE AS $$
    WITH waiting AS MATERIALIZED (
        SELECT analysis.industry_of(s.gbt4754, s.name_zh) AS industry, s.name_zh
        FROM registry.site AS s
        WHERE s.rule_code IS NULL
            AND s.active_from <= (SELECT analysis.city_date(moment))
            AND (s.active_to IS NULL OR s.active_to > (SELECT analysis.city_date(moment)))
            -- Counts are of units that the reader sees whole.
            AND ((SELECT analysis.sees_all())
                OR s.town_code = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w))
                OR left(s.cell_code, 12) = ANY (ARRAY(SELECT w.code FROM analysis.whole_unit AS w)))
    ),
    -- A hundred names tell what an industry is called.
    grouped AS MATERIALIZED (
        SELECT
            w.industry, count(*) AS sites, (array_agg(w.name_zh ORDER BY w.name_zh))[1:100] AS names,
            CASE WHEN w.industry ~ '^[A-T][0-9]' THEN w.industry END AS code
        FROM waiting AS w GROUP BY w.industry
    ),
    named AS MATERIALIZED (
        SELECT
            g.industry, g.sites, g.names, g.code,
            CASE WHEN g.code IS NOT NULL THEN coalesce(i.name_zh, n.name_zh) END AS name_zh,
            CASE WHEN g.code IS NOT NULL THEN coalesce(i.name_en, n.name_en) END AS name_en,
            analysis.bigrams(CASE WHEN g.code IS NOT NULL THEN coalesce(i.name_zh, '') ELSE g.industry END) || ARRAY(
                SELECT b.pair
                FROM unnest(g.names) AS k (name)
                CROSS JOIN LATERAL unnest(analysis.bigrams(regexp_replace(k.name, '[（(][^（）()]*[)）]', '', 'g'))) AS b (pair)
                GROUP BY b.pair HAVING count(*) >= cardinality(g.names) / 3.0
            ) AS pairs
        FROM grouped AS g
        LEFT JOIN analysis.industry AS i ON i.code = left(g.code, 3)
        LEFT JOIN analysis.industry AS n ON n.code = left(g.code, 1)
    ),
    rule_word AS MATERIALIZED (
        SELECT r.code AS rule_code, p.word, analysis.bigrams(p.word) AS pairs
        FROM duty.rule AS r CROSS JOIN LATERAL regexp_split_to_table(r.place_type_zh, '[、,，;；()（）/[:space:]]+') AS p (word)
        WHERE length(p.word) > 1
    ),
    trade_rule AS MATERIALIZED (
        SELECT r.* FROM duty.rule AS r WHERE r.lead_code IS NOT NULL AND r.gbt4754 <> '全行业'
    ),
    -- Rules of each section, and how many of them a department leads.
    section_rule AS (
        SELECT DISTINCT i.section, r.code AS rule_code, r.lead_code
        FROM trade_rule AS r JOIN analysis.rule_industry AS i ON i.rule_code = r.code
    ),
    kin AS MATERIALIZED (
        SELECT s.section, s.lead_code, count(*) / sum(count(*)) OVER (PARTITION BY s.section)::double precision AS share
        FROM section_rule AS s GROUP BY s.section, s.lead_code
    ),
    compared AS (
        SELECT
            n.industry, r.code AS rule_code, r.place_type_zh, r.place_type_en, r.lead_code, r.lead_named_in_basis,
            c.score AS code_score, c.covers, c.shared, w.score AS words_score, w.words,
            CASE WHEN n.code IS NOT NULL THEN coalesce(k.share, 0) END AS kin_score
        FROM named AS n
        CROSS JOIN trade_rule AS r
        LEFT JOIN LATERAL (
            SELECT m.score, m.covers, m.shared
            FROM analysis.rule_industry AS e
            CROSS JOIN LATERAL (
                SELECT
                    CASE
                        WHEN length(n.code) >= 5 AND left(e.prefix, 5) = left(n.code, 5) THEN 1.0
                        WHEN length(n.code) >= 4 AND left(e.prefix, 4) = left(n.code, 4) THEN 0.9
                        WHEN length(n.code) >= 3 AND left(e.prefix, 3) = left(n.code, 3) THEN 0.8
                        WHEN e.section = left(n.code, 1) AND substr(n.code, 2, 2)::integer BETWEEN e.first_division AND e.last_division THEN 0.6
                        WHEN e.section = left(n.code, 1) THEN 0.3
                        ELSE 0.0
                    END::double precision AS score,
                    coalesce(starts_with(n.code, e.prefix), e.section = left(n.code, 1)
                        AND substr(n.code, 2, 2)::integer BETWEEN e.first_division AND e.last_division) AS covers,
                    CASE
                        WHEN length(n.code) >= 5 AND left(e.prefix, 5) = left(n.code, 5) THEN left(n.code, 5)
                        WHEN length(n.code) >= 4 AND left(e.prefix, 4) = left(n.code, 4) THEN left(n.code, 4)
                        WHEN length(n.code) >= 3 AND left(e.prefix, 3) = left(n.code, 3) THEN left(n.code, 3)
                        WHEN e.section = left(n.code, 1) AND substr(n.code, 2, 2)::integer BETWEEN e.first_division AND e.last_division
                            THEN e.section || e.first_division || '-' || e.section || e.last_division
                        WHEN e.section = left(n.code, 1) THEN e.section
                    END AS shared
            ) AS m
            WHERE e.rule_code = r.code AND n.code IS NOT NULL
            ORDER BY m.score DESC, m.covers DESC LIMIT 1
        ) AS c ON true
        LEFT JOIN LATERAL (
            SELECT
                cardinality(h.held) / cardinality(p.pairs)::double precision AS score, h.held AS words
            FROM rule_word AS p
            CROSS JOIN LATERAL (SELECT ARRAY(SELECT unnest(p.pairs) INTERSECT SELECT unnest(n.pairs) ORDER BY 1) AS held) AS h
            WHERE p.rule_code = r.code AND cardinality(p.pairs) > 0
            ORDER BY 1 DESC, p.word LIMIT 1
        ) AS w ON true
        LEFT JOIN kin AS k ON k.section = left(n.code, 1) AND k.lead_code = r.lead_code
    ),
    weight AS MATERIALIZED (
        SELECT
            analysis.parameter_value('duty_near_code') AS code, analysis.parameter_value('duty_near_words') AS words,
            analysis.parameter_value('duty_near_kin') AS kin
    ),
    scored AS (
        SELECT
            c.*,
            (
                coalesce(c.code_score * w.code, 0) + coalesce(c.words_score * w.words, 0) + coalesce(c.kin_score * w.kin, 0)
            ) / nullif(
                CASE WHEN c.code_score IS NULL THEN 0 ELSE w.code END + CASE WHEN c.words_score IS NULL THEN 0 ELSE w.words END
                + CASE WHEN c.kin_score IS NULL THEN 0 ELSE w.kin END, 0
            ) AS similarity,
            d.document_no, d.valid_from
        FROM compared AS c
        CROSS JOIN weight AS w
        LEFT JOIN LATERAL (
            SELECT g.document_no, g.valid_from FROM duty.designation AS g
            WHERE g.industry = c.industry AND g.rule_code = c.rule_code ORDER BY g.id DESC LIMIT 1
        ) AS d ON true
    ),
    -- What was decided for this very industry comes first, then what a rule covers already, then the nearest.
    placed AS (
        SELECT
            s.*,
            row_number() OVER (
                PARTITION BY s.industry
                ORDER BY (s.document_no IS NOT NULL) DESC, coalesce(s.covers, false) DESC, s.similarity DESC,
                    (s.lead_named_in_basis = 'Y') DESC, s.rule_code
            )::integer AS place
        FROM scored AS s WHERE s.similarity > 0
    )
    SELECT
        n.industry, n.name_zh, n.name_en, n.sites, n.names[1:3], p.place, p.similarity,
        p.rule_code, p.place_type_zh, p.place_type_en, p.lead_code, d.name_zh, d.name_en,
        coalesce(p.covers, false), p.document_no IS NOT NULL, p.code_score, p.words_score, p.kin_score,
        p.shared, p.words, p.document_no, p.valid_from
    FROM named AS n
    LEFT JOIN placed AS p ON p.industry = n.industry AND p.place <= 3
    LEFT JOIN duty.department AS d ON d.code = p.lead_code
$$;
CREATE VIEW analysis.duty_proposal AS SELECT * FROM analysis.duty_proposal_at(now());
COMMENT ON VIEW analysis.duty_proposal IS '无规则覆盖的行业及业务相近的部门建议（安全生产法第十条）; industries that wait for a duty, with the nearest rules and departments. Only proposals.';
COMMENT ON COLUMN analysis.duty_proposal.industry IS 'Code of GB/T 4754, else the last two characters of the sites'' names (analysis.industry_of).';
COMMENT ON COLUMN analysis.duty_proposal.place IS '1 = nearest; NULL = no rule is near at all.';
COMMENT ON COLUMN analysis.duty_proposal.similarity IS '0 to 1: weighted mean of code_score, words_score and kin_score, of those that are known.';
COMMENT ON COLUMN analysis.duty_proposal.is_covered IS 'The rule''s own list holds this industry: the sites only lack their place type.';
COMMENT ON COLUMN analysis.duty_proposal.is_decided IS 'The committee has decided so for this industry before.';
