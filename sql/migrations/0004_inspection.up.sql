-- What was checked: visits by kind, and hazards.
CREATE TABLE inspection.visit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id bigint NOT NULL REFERENCES registry.site (id),
    kind text NOT NULL CHECK (kind IN ('patrol', 'self_check', 'remote_check', 'admin_inspection')),
    done_at timestamptz NOT NULL,
    person_id bigint REFERENCES duty.person (id),
    outcome text NOT NULL CHECK (outcome IN ('ok', 'hazard', 'unknown')),
    is_generated boolean NOT NULL DEFAULT false
);
CREATE INDEX visit_site_idx ON inspection.visit (site_id, kind, done_at DESC);
COMMENT ON COLUMN inspection.visit.kind IS 'patrol 巡查 (grid worker), self_check 自查, remote_check 远程检查, admin_inspection 行政检查 (two certified officers, counts against the yearly cap).';

CREATE TABLE inspection.hazard (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    site_id bigint NOT NULL REFERENCES registry.site (id),
    class text NOT NULL CHECK (class IN ('general', 'serious', 'major')),
    is_unlicensed_work boolean NOT NULL DEFAULT false,
    title_zh text NOT NULL,
    title_en text NOT NULL DEFAULT '',
    found_at timestamptz NOT NULL,
    found_by text NOT NULL CHECK (found_by IN ('patrol', 'self_check', 'remote_check', 'admin_inspection', 'public', 'incident')),
    deadline timestamptz,
    state text NOT NULL CHECK (state IN ('found', 'assigned', 'fixing', 'submitted', 'verified_closed', 'rejected')),
    closed_at timestamptz,
    is_generated boolean NOT NULL DEFAULT false,
    CHECK ((state = 'verified_closed') = (closed_at IS NOT NULL))
);
CREATE INDEX hazard_site_idx ON inspection.hazard (site_id, state);
COMMENT ON TABLE inspection.hazard IS '隐患. Only verified_closed is closed; rejected means that the fix was not accepted, so the hazard is open.';
