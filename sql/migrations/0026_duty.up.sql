-- Decisions on industries that no rule covered (安全生产法 Art. 10), and an index from which duties are counted.

CREATE TABLE duty.designation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    industry text NOT NULL CHECK (length(industry) BETWEEN 1 AND 40),
    rule_code text NOT NULL REFERENCES duty.rule (code),
    department_code text REFERENCES duty.department (code),
    assignment_id bigint REFERENCES duty.assignment (id),
    near_rule_code text REFERENCES duty.rule (code),
    document_no text NOT NULL CHECK (length(document_no) BETWEEN 1 AND 100),
    valid_from date NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now(),
    decided_by text NOT NULL DEFAULT ''
);
CREATE INDEX designation_industry_idx ON duty.designation (industry, id);
COMMENT ON TABLE duty.designation IS '新兴行业责任的决定; what the committee decided for an industry that no rule covered: the place type that its sites have from then on, and who leads it.';
COMMENT ON COLUMN duty.designation.industry IS 'As analysis.industry_of gives it.';
COMMENT ON COLUMN duty.designation.assignment_id IS 'The assignment that was made with it; NULL = the sites took a place type that was there already.';
COMMENT ON COLUMN duty.designation.near_rule_code IS 'The rule whose business was said to be nearest.';
CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON duty.designation
FOR EACH ROW EXECUTE FUNCTION access.audit_row('id');

-- Decides for one industry. existing_rule: its sites take this place type; else a place type is made for it
-- (place_type_zh, place_type_en, with department) and designated to the department in the county. It runs as the owner,
-- because nobody else writes rules or the type of a site: only the district's own committee may call it so.
CREATE FUNCTION duty.designate(
    industry text, existing_rule text, department text, place_type_zh text, place_type_en text, near_rule text,
    document_no text, valid_from date, person bigint DEFAULT NULL
) RETURNS TABLE (designation_id bigint, used_rule text, assignment_id bigint, site_count integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    who access.account;
    county constant text := (SELECT c.code FROM territory.city AS c) || '000000';
BEGIN
    used_rule := existing_rule;
    SELECT a.* INTO who FROM access.account AS a WHERE a.db_role = access.caller() AND a.disabled_at IS NULL;
    IF access.caller() <> current_user AND NOT coalesce('committee' = ANY (who.roles) AND who.scope = 'district', false) THEN
        RAISE EXCEPTION '只有全区安委会可以决定 / only the district''s committee decides this' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF coalesce(btrim(industry), '') = '' OR coalesce(btrim(document_no), '') = '' OR valid_from IS NULL
        OR valid_from NOT BETWEEN date '2000-01-01' AND date '2100-12-31'
        OR (existing_rule IS NULL) <> (department IS NOT NULL AND coalesce(btrim(place_type_zh), '') <> '')
    THEN
        RAISE EXCEPTION '须写明行业、文号、生效日期，以及场所类型或部门 / industry, document, first day, and a place type or a department are needed'
            USING ERRCODE = 'check_violation';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('duty.designate', 0));
    designation_id := nextval(pg_get_serial_sequence('duty.designation', 'id'));
    IF existing_rule IS NULL THEN
        IF EXISTS (SELECT FROM duty.designation AS d WHERE d.industry = designate.industry AND d.assignment_id IS NOT NULL) THEN
            RAISE EXCEPTION '该行业已有决定，请选用已定的场所类型 / this industry has been decided: use the place type made then'
                USING ERRCODE = 'unique_violation';
        END IF;
        used_rule := 'D' || lpad(designation_id::text, 3, '0');
        INSERT INTO duty.rule (code, place_type_zh, place_type_en, category, gbt4754, lead_code, legal_basis_zh, legal_basis_en, basis_status,
            lead_named_in_basis, note_zh, note_en)
        VALUES (used_rule, btrim(place_type_zh), coalesce(btrim(place_type_en), ''), 'emerging',
            CASE WHEN industry ~ '^[A-T][0-9]{2,4}$' THEN industry ELSE '' END, department,
            '《安全生产法》第十条；' || btrim(document_no), 'Work Safety Law Art. 10; ' || btrim(document_no), 'designated', 'N',
            '按业务相近指定', 'designated by nearness of business');
        INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, person_id, valid_from, document_no)
        VALUES (used_rule, county, department, 'lead', 'designated', person, valid_from, btrim(document_no))
        RETURNING id INTO designate.assignment_id;
    ELSIF NOT EXISTS (SELECT FROM duty.rule AS r WHERE r.code = existing_rule) THEN
        RAISE EXCEPTION '没有这一场所类型 / there is no place type %', existing_rule USING ERRCODE = 'foreign_key_violation';
    END IF;
    UPDATE registry.site AS s SET rule_code = used_rule
    WHERE s.rule_code IS NULL AND analysis.industry_of(s.gbt4754, s.name_zh) = designate.industry;
    GET DIAGNOSTICS site_count = ROW_COUNT;
    INSERT INTO duty.designation (id, industry, rule_code, department_code, assignment_id, near_rule_code, document_no, valid_from, decided_by)
    OVERRIDING SYSTEM VALUE
    VALUES (designation_id, industry, used_rule, department, designate.assignment_id, near_rule, btrim(document_no), valid_from,
        coalesce(who.login, access.caller()));
    RETURN NEXT;
END $$;
REVOKE EXECUTE ON FUNCTION duty.designate FROM PUBLIC;
COMMENT ON FUNCTION duty.designate IS '决定一个新兴行业由谁负责; decides who answers for an industry. 42501: not the district''s committee; 23514: something is lacking; 23505: decided already; 23503: no such rule, department or person.';

-- Every count of duties is answered by this index alone, in the order of the ground.
CREATE INDEX site_duty_idx ON registry.site (town_code, cell_code, rule_code, active_from, active_to);
