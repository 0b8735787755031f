-- The first moment about which the register holds anything dated: before it a past map would be empty, and look calm.
CREATE FUNCTION analysis.known_from() RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT least(
        (SELECT min(r.began_at) FROM watch.connection_record AS r),
        (SELECT min(i.first_seen_at) FROM watch.incident AS i),
        (SELECT min(v.done_at) FROM inspection.visit AS v),
        (SELECT min(h.found_at) FROM inspection.hazard AS h),
        (SELECT min(a.valid_from) FROM duty.assignment AS a),
        (SELECT min(g.assigned_from) FROM duty.grid_staff AS g)
    )
$$;
COMMENT ON FUNCTION analysis.known_from IS '登记中最早一条有日期的记录; the first dated record of the register; NULL = it holds none. Nothing is known of any day before.';
