-- Imports: one batch per file and run; rows that could not be stored are kept with all their columns and the reasons.
CREATE TABLE staging.batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    section text NOT NULL,
    file text NOT NULL,
    file_sha256 text NOT NULL,
    encoding text,
    frame text,
    rows_in integer NOT NULL DEFAULT 0,
    rows_stored integer NOT NULL DEFAULT 0,
    rows_unchanged integer NOT NULL DEFAULT 0,
    rows_repaired integer NOT NULL DEFAULT 0,
    rows_rejected integer NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CHECK (finished_at IS NULL OR rows_in = rows_stored + rows_unchanged + rows_repaired + rows_rejected)
);

CREATE TABLE staging.rejected (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id bigint NOT NULL REFERENCES staging.batch (id),
    row_no integer NOT NULL,
    reason_code text NOT NULL,
    field text,
    reason_zh text NOT NULL,
    reason_en text NOT NULL,
    columns jsonb NOT NULL
);
CREATE INDEX rejected_batch_idx ON staging.rejected (batch_id);

-- The constants of the formulas, by name: configuration, not law. Views read them here.
CREATE TABLE analysis.parameter (
    name text PRIMARY KEY,
    value double precision NOT NULL,
    unit text NOT NULL DEFAULT '',
    note_zh text NOT NULL DEFAULT '',
    note_en text NOT NULL DEFAULT ''
);
COMMENT ON TABLE analysis.parameter IS 'Every constant of the risk, coverage and duty formulas; change a row, not a view.';
