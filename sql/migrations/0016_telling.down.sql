CREATE OR REPLACE FUNCTION access.metrics() RETURNS TABLE (name text, value double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    RETURN QUERY
    SELECT 'incidents_open', count(*)::double precision FROM analysis.event AS e WHERE e.state <> 'closed'
    UNION ALL SELECT 'incidents_unreviewed', count(*) FROM analysis.event AS e WHERE e.review = 'unreviewed'
    UNION ALL SELECT 'cameras_observed', count(*) FROM watch.camera_health AS h WHERE h.observed
    UNION ALL SELECT 'cameras_unobserved', count(*) FROM watch.camera_health AS h WHERE NOT h.observed
    UNION ALL SELECT 'cameras_due_total', count(*) FROM watch.scan_due AS d
    UNION ALL SELECT 'scan_delay_seconds', extract(epoch FROM now() - min(d.next_due_at)) FROM watch.scan_due AS d WHERE d.next_due_at < now()
    UNION ALL SELECT 'open_sessions', count(*) FROM access.session AS s WHERE s.ended_at IS NULL AND s.idle_until > now() AND s.expires_at > now()
    UNION ALL SELECT 'feeds_total', count(*) FROM staging.feed AS f WHERE f.paused_at IS NULL
    UNION ALL SELECT 'feeds_failing', count(*) FROM staging.feed AS f WHERE f.paused_at IS NULL AND f.failures > 0
    UNION ALL SELECT 'feeds_late', count(*) FROM analysis.import_feed AS f WHERE f.is_late
    UNION ALL SELECT 'feed_oldest_age_seconds', extract(epoch FROM now() - min(coalesce(f.last_success_at, f.added_at))) FROM staging.feed AS f;
END $$;
DROP FUNCTION watch.told_incident(uuid, timestamptz);
DELETE FROM access.secret WHERE subject_kind = 'receiver';
DROP TABLE watch.delivery, watch.receiver;
DROP INDEX watch.outbox_unplanned_idx;
ALTER TABLE watch.outbox DROP COLUMN planned_at;
