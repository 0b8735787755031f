-- Sites that no count of a cell holds for their town: in no cell, or in a cell of another town. Few, and asked for with every figure
-- that is added up from cells (analysis.town_tally_at).
CREATE INDEX site_elsewhere_idx ON registry.site (id) WHERE town_code IS DISTINCT FROM left(cell_code, 9) || '000';
