-- Who answers: departments, the rules that give a place type its lead, local assignments, people, grid staff.
CREATE TABLE duty.department (
    code text PRIMARY KEY,
    name_zh text NOT NULL,
    name_en text NOT NULL DEFAULT '',
    phone text
);

CREATE TABLE duty.rule (
    code text PRIMARY KEY,
    place_type_zh text NOT NULL,
    place_type_en text NOT NULL,
    category text NOT NULL,
    gbt4754 text NOT NULL DEFAULT '',
    nine_small boolean NOT NULL DEFAULT false,
    lead_code text REFERENCES duty.department (code),
    co_codes text[] NOT NULL DEFAULT '{}',
    legal_basis_zh text NOT NULL DEFAULT '',
    legal_basis_en text NOT NULL DEFAULT '',
    basis_status text NOT NULL DEFAULT '',
    lead_named_in_basis text NOT NULL DEFAULT 'N' CHECK (lead_named_in_basis IN ('Y', 'N', 'P')),
    note_zh text NOT NULL DEFAULT '',
    note_en text NOT NULL DEFAULT ''
);
COMMENT ON TABLE duty.rule IS 'Template: one row per place type, with the department that usually leads. Only duty.assignment says who leads here.';

CREATE TABLE duty.person (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name_zh text NOT NULL,
    phone text,
    department_code text REFERENCES duty.department (code),
    unit_code text REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    can_admin_inspect boolean NOT NULL DEFAULT false,
    is_generated boolean NOT NULL DEFAULT false
);

-- A department's duty for a place type in a unit (county, or a town that differs). Only confirmed or designated counts.
CREATE TABLE duty.assignment (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_code text NOT NULL REFERENCES duty.rule (code),
    unit_code text NOT NULL REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    department_code text NOT NULL REFERENCES duty.department (code),
    role text NOT NULL CHECK (role IN ('lead', 'co')),
    status text NOT NULL CHECK (status IN ('proposed', 'confirmed', 'disputed', 'designated')),
    person_id bigint REFERENCES duty.person (id),
    valid_from date NOT NULL,
    valid_to date,
    document_no text,
    UNIQUE (rule_code, unit_code, department_code, role, valid_from)
);
CREATE INDEX assignment_rule_idx ON duty.assignment (rule_code, unit_code);

CREATE TABLE duty.grid_staff (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cell_code text NOT NULL REFERENCES territory.grid_cell (code) DEFERRABLE INITIALLY DEFERRED,
    person_id bigint NOT NULL REFERENCES duty.person (id),
    role text NOT NULL CHECK (role IN ('chief', 'worker')),
    assigned_from date NOT NULL,
    assigned_to date,
    trained_at date,
    UNIQUE (cell_code, person_id, role, assigned_from)
);
CREATE INDEX grid_staff_cell_idx ON duty.grid_staff (cell_code);

-- The named person of a county, town or community.
CREATE TABLE duty.unit_staff (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    unit_code text NOT NULL REFERENCES territory.unit (code) DEFERRABLE INITIALLY DEFERRED,
    person_id bigint NOT NULL REFERENCES duty.person (id),
    role text NOT NULL CHECK (role IN ('leader', 'safety_officer')),
    assigned_from date NOT NULL,
    assigned_to date,
    UNIQUE (unit_code, person_id, role, assigned_from)
);

CREATE TRIGGER assignment_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON duty.assignment
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('duty');
CREATE TRIGGER grid_staff_bump AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON duty.grid_staff
FOR EACH STATEMENT EXECUTE FUNCTION territory.bump_layer('duty');
