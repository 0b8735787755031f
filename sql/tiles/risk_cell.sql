-- needs: extent, cell_ground, analysis/own_area, analysis/risk_site, analysis/risk_cell
-- As analysis.risk_cell, for the cells of one tile only.
CREATE FUNCTION tiles.risk_cell(z integer, x integer, y integer) RETURNS bytea
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan SET jit = off AS $$
DECLARE
    -- A cell of which the reader sees some sites only (an enterprise) has no colour that is true.
    whole constant text[] := CASE WHEN NOT analysis.sees_all() THEN analysis.whole_units() END;
    due constant text[] := analysis.risk_due_cells();
BEGIN
    RETURN (
    WITH near AS MATERIALIZED (
        SELECT c.cell_no, c.code, c.geom_3857 FROM tiles.cell_ground(z, x, y) AS c WHERE whole IS NULL OR left(c.code, 12) = ANY (whole)
    ),
    feature AS MATERIALIZED (
        SELECT
            n.cell_no AS id, n.code AS cell_code, r.score,
            analysis.risk_look(r.level, r.lacks_data, r.top_has_duty_gap) AS look,
            tiles.drawn(n.geom_3857, z, x, y) AS geom
        FROM near AS n
        LEFT JOIN (
            SELECT k.* FROM analysis.risk_cell_now(due) AS k WHERE k.cell_code = ANY (ARRAY(SELECT e.code FROM near AS e))
        ) AS r ON r.cell_code = n.code
        ORDER BY n.cell_no
    )
    SELECT ST_AsMVT(f, 'risk_cell', 4096, 'geom', 'id') FROM feature AS f WHERE NOT ST_IsEmpty(f.geom)
    );
END
$$;
COMMENT ON FUNCTION tiles.risk_cell IS '网格风险; cells by risk: look, score, cell_code.';
