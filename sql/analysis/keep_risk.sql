-- needs: parameter, risk_site, risk_cell
-- Works out the scores that are due, `most` sites at a time, and keeps them. Where the formula, the constants or the units have
-- changed that is every site: at once where there are no more than `most`, else marked now and worked out by the next calls.
-- Called by `geoapp layers refresh` and, every few seconds, by the watch; one at a time. A score that is not kept is worked out
-- by whoever asks, so a late call costs time, never truth.
CREATE FUNCTION analysis.keep_risk(most integer DEFAULT 20000) RETURNS TABLE (sites bigint, cells bigint, still_due bigint, was_all boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET plan_cache_mode = force_custom_plan SET work_mem = '128MB' SET jit = off AS $$
#variable_conflict use_column
DECLARE
    taken bigint[];
    touched text[];
    online bigint[];
    left_due bigint[];
    at_once boolean;
BEGIN
    sites := 0;
    cells := 0;
    still_due := 0;
    was_all := false;
    -- One at a time; whoever comes second has nothing to do.
    IF NOT pg_try_advisory_xact_lock(748116318) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    was_all := NOT analysis.risk_is_kept();
    -- Sites under cameras that went on line or off are marked, and the cameras noted as they were found here: one that changes
    -- while the rest is worked out is found again next time.
    online := ARRAY(SELECT c.id FROM analysis.camera_at(now()) AS c WHERE c.is_online AND c.sector IS NOT NULL);
    IF NOT was_all THEN
        INSERT INTO registry.risk_due (site_id)
        SELECT u.site_id FROM analysis.sites_under(ARRAY(
            SELECT coalesce(o.id, n.camera_id) FROM unnest(online) AS o (id) FULL JOIN registry.risk_online AS n ON n.camera_id = o.id
            WHERE o.id IS NULL OR n.camera_id IS NULL
        )) AS u;
    END IF;
    DELETE FROM registry.risk_online AS n WHERE n.camera_id <> ALL (online);
    INSERT INTO registry.risk_online SELECT o.id FROM unnest(online) AS o (id) ON CONFLICT DO NOTHING;
    at_once := was_all AND (SELECT count(*) FROM (SELECT FROM registry.site AS s LIMIT most::bigint + 1) AS n) <= most;
    IF was_all THEN
        -- What others mark from here on stays marked: this statement does not see it.
        DELETE FROM registry.risk_due;
        DELETE FROM registry.cell_risk;
        INSERT INTO registry.risk_made_from AS m (versions, made_at) VALUES (analysis.risk_versions(), now())
        ON CONFLICT (only_row) DO UPDATE SET versions = excluded.versions, made_at = excluded.made_at;
        IF at_once THEN
            DELETE FROM registry.site_risk;
        ELSE
            INSERT INTO registry.risk_due (site_id) SELECT s.id FROM registry.site AS s;
        END IF;
    END IF;
    IF NOT at_once THEN
        -- Whole cells and place types, site by site and cell by cell, as they stand by now: a call takes a part of them only.
        IF EXISTS (SELECT FROM registry.risk_due AS d WHERE d.is_whole_cell OR d.rule_code IS NOT NULL) THEN
            WITH gone AS (
                DELETE FROM registry.risk_due AS d WHERE d.is_whole_cell OR d.rule_code IS NOT NULL RETURNING d.cell_code, d.rule_code
            )
            INSERT INTO registry.risk_due (site_id, cell_code)
            SELECT s.id, NULL FROM registry.site AS s WHERE s.cell_code = ANY (ARRAY(SELECT g.cell_code FROM gone AS g))
            UNION
            SELECT NULL, s.cell_code FROM registry.site AS s
            WHERE s.cell_code IS NOT NULL AND s.rule_code = ANY (ARRAY(SELECT g.rule_code FROM gone AS g))
            UNION
            SELECT NULL, g.cell_code FROM gone AS g WHERE g.cell_code IS NOT NULL;
        END IF;
        taken := ARRAY(SELECT d.site_id FROM analysis.risk_due_sites() AS d ORDER BY d.site_id LIMIT most);
        touched := ARRAY(
            SELECT s.cell_code FROM registry.site AS s WHERE s.id = ANY (taken) AND s.cell_code IS NOT NULL
            UNION
            SELECT r.cell_code FROM registry.site_risk AS r WHERE r.site_id = ANY (taken) AND r.cell_code IS NOT NULL
            UNION
            SELECT d.cell_code FROM registry.risk_due AS d WHERE d.cell_code IS NOT NULL
            UNION
            SELECT c.cell_code FROM registry.cell_risk AS c WHERE c.exact_until <= now()
        );
        IF cardinality(taken) = 0 AND cardinality(touched) = 0 THEN
            RETURN NEXT;
            RETURN;
        END IF;
        DELETE FROM registry.risk_due AS d WHERE d.site_id = ANY (taken) OR d.cell_code = ANY (touched);
        DELETE FROM registry.site_risk AS r WHERE r.site_id = ANY (taken);
        DELETE FROM registry.cell_risk AS c WHERE c.cell_code = ANY (touched);
    END IF;
    INSERT INTO registry.site_risk
    SELECT
        r.site_id, r.town_code, r.cell_code, r.rule_code, true, r.inherent, r.raw, r.dynamic, r.control, r.score, r.level, r.override_reason,
        r.points, r.unknown_parts, r.has_worker, r.is_stale, r.newest_data_at, r.is_seen, now(), r.exact_until,
        r.checked_at
    FROM analysis.risk_site_of(now(), taken) AS r;
    GET DIAGNOSTICS sites = ROW_COUNT;
    -- In the register and not in operation: no score, until the day on which it opens.
    INSERT INTO registry.site_risk (site_id, town_code, cell_code, rule_code, is_active, computed_at, exact_until)
    SELECT
        s.id, s.town_code, s.cell_code, s.rule_code, false, now(),
        CASE
            WHEN s.active_from > analysis.city_date(now())
                THEN s.active_from::timestamp AT TIME ZONE coalesce((SELECT c.timezone FROM territory.city AS c), 'Asia/Shanghai')
            ELSE now() + interval '10 years'
        END
    FROM registry.site AS s
    WHERE (at_once OR s.id = ANY (taken)) AND (
        s.active_from > (SELECT analysis.city_date(now())) OR s.active_to <= (SELECT analysis.city_date(now()))
    );
    -- A cell is added up when the last of its sites is done.
    left_due := ARRAY(SELECT d.site_id FROM analysis.risk_due_sites() AS d);
    still_due := cardinality(left_due);
    IF NOT at_once THEN
        touched := ARRAY(
            SELECT c.code FROM unnest(touched) AS c (code)
            EXCEPT SELECT s.cell_code FROM registry.site AS s WHERE s.id = ANY (left_due)
            EXCEPT SELECT r.cell_code FROM registry.site_risk AS r WHERE r.site_id = ANY (left_due)
        );
    END IF;
    INSERT INTO registry.cell_risk SELECT c.* FROM analysis.risk_cell_of(now(), touched) AS c;
    GET DIAGNOSTICS cells = ROW_COUNT;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION analysis.keep_risk IS '更新保存的风险分（一次至多若干场所；公式、常数或区划变了则全部）; works out the scores that are due and keeps them: how many sites and cells, how many sites are due still, and whether all were done anew.';

REVOKE EXECUTE ON FUNCTION analysis.keep_risk FROM PUBLIC;
