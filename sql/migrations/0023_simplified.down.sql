DROP TRIGGER changeset_bump ON territory.changeset;
DROP TRIGGER cell_simplified_update ON territory.grid_cell;
DROP TRIGGER cell_simplified_delete ON territory.grid_cell;
DROP TRIGGER cell_simplified_truncate ON territory.grid_cell;
DROP FUNCTION territory.forget_simplified;
DROP TABLE territory.simplified_made_from;
DROP TABLE territory.unit_simplified;
DROP TABLE territory.cell_simplified;
DELETE FROM territory.layer_version WHERE layer IN ('changeset', 'simplified');
