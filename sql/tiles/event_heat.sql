-- needs: analysis/event_bins, analysis/event_heat
-- A point in the middle of each bin with events, by its number. Bins are 64 units of the tile's 4096 wide: the client draws them as squares.
CREATE FUNCTION tiles.event_heat(
    z integer, x integer, y integer, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, only_class text DEFAULT NULL
) RETURNS bytea
LANGUAGE sql STABLE AS $$
    WITH feature AS MATERIALIZED (
        SELECT analysis.event_bin_no(z + 6, x * 64 + b.bin_x, y * 64 + b.bin_y) AS id, b.n, ST_MakePoint(b.bin_x * 64 + 32, b.bin_y * 64 + 32) AS geom
        FROM analysis.event_bins(z, x, y, since, until, only_class) AS b
    )
    SELECT ST_AsMVT(f, 'event_heat', 4096, 'geom', 'id') FROM feature AS f
$$;
COMMENT ON FUNCTION tiles.event_heat IS '事件热力; counts of events by bin: a point in the middle of each of 64 × 64 bins that has any, n = number of events.';
