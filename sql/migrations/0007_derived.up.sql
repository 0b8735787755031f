-- Derived rows that the views may read instead of computing them again, and versions that follow the watch.

-- Ground of the county in no cell, cut into pieces. The truth is analysis.no_cell_ground(); the view reads this copy only
-- while its three versions are those of territory.layer_version, so a forgotten refresh costs time, never truth.
CREATE TABLE territory.no_cell_piece (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    town_code text,
    declared_id integer,
    area_m2 double precision NOT NULL,
    geom geometry(Polygon, :srid) NOT NULL,
    geom_3857 geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
CREATE INDEX no_cell_piece_geom_idx ON territory.no_cell_piece USING gist (geom);
CREATE INDEX no_cell_piece_geom_3857_idx ON territory.no_cell_piece USING gist (geom_3857);
COMMENT ON TABLE territory.no_cell_piece IS 'Derived copy of analysis.no_cell_ground(); valid only while no_cell_made_from equals the layers'' versions.';

CREATE TABLE territory.no_cell_made_from (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    versions text NOT NULL,
    made_at timestamptz NOT NULL
);
COMMENT ON TABLE territory.no_cell_made_from IS 'Versions of cell, no_cell and unit that territory.no_cell_piece was computed from.';

-- Whether a camera looks is part of the camera layer: a change of health renews its tiles.
CREATE TRIGGER camera_health_event_bump AFTER INSERT OR DELETE OR TRUNCATE ON watch.camera_health_event
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('camera_health');
