DROP TABLE watch.expected_event, watch.expected_event_made, registry.risk_hex;
DROP TRIGGER risk_touched_update ON registry.camera;
DROP TRIGGER risk_touched_delete ON registry.camera;
DROP TRIGGER risk_touched_truncate ON registry.camera;
DROP FUNCTION registry.camera_risk_touched;
DO $$
DECLARE
    name text;
    event text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'inspection.hazard', 'inspection.visit', 'registry.certificate', 'registry.key_risk_area', 'watch.incident', 'registry.site',
        'duty.grid_staff', 'duty.assignment'
    ] LOOP
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete', 'truncate'] LOOP
            EXECUTE format('DROP TRIGGER risk_touched_%s ON %s', event, name);
        END LOOP;
    END LOOP;
END $$;
DROP FUNCTION registry.risk_touched;
DROP FUNCTION registry.site_risk_touched;
DROP FUNCTION registry.staff_risk_touched;
DROP FUNCTION registry.duty_risk_touched;
DROP FUNCTION registry.mark_risk;
DROP TABLE registry.risk_made_from, registry.risk_online, registry.risk_due, registry.cell_risk, registry.site_risk;
ALTER TABLE analysis.parameter DROP CONSTRAINT parameter_can_be_used;
DROP TRIGGER parameter_version_kept ON analysis.parameter;
DROP FUNCTION access.keep_parameter_version;
DROP TABLE analysis.parameter_version;
